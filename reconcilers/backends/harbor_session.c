/*
 * Every call to a Harbor is named in calls.def, counted, and framed by its failpoints. A change
 * asks the lease's gate after its failpoint, so that a worker which hung before sending sends
 * nothing once its lease is lost. Credentials are in one header, secrets in bodies, and nowhere
 * else.
 */
#include "reconcilers/backends/harbor_session.h"

#include "reconcilers/backends/harbor_answers.h"
#include "server/adapters/crypto.h"
#include "server/adapters/curl.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <stdio.h>
#include <string.h>

enum { HOST_MAX = 253, PORT_MAX = 65535 };

/* ---- open and close ---- */

/* A host, and a port unless it may be left out. */
static bool is_address(const char *text, bool port_needed)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";
    bool brackets = *text == '[';
    size_t host =
        brackets ? 1 + strspn(text + 1, "0123456789abcdefABCDEF:.") : strspn(text, letters);
    if (brackets)
        host += text[host] == ']';
    if (host == 0 || host > HOST_MAX || (brackets && text[host - 1] != ']'))
        return false;
    int64_t port;
    if (text[host] == ':')
        return str_to_int(text + host + 1, 1, PORT_MAX, &port);
    return !text[host] && !port_needed;
}

static bool is_base_url(const char *url)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t at = 0; at < ARRAY_SIZE(schemes); at++)
        if (str_starts(url, schemes[at]))
            return is_address(url + strlen(schemes[at]), false);
    return false;
}

int harbor_open(struct ctx *ctx, const struct harbor_server *server, struct harbor **ret)
{
    if (!server->base_url || !is_base_url(server->base_url))
        return err_set(ctx, ERR_CONFIG, NULL, "'%s' is no base URL of a Harbor",
                       server->base_url ? server->base_url : "");
    if (server->connect_to && !is_address(server->connect_to, true))
        return err_set(ctx, ERR_CONFIG, NULL, "'%s' is no host and port", server->connect_to);
    struct harbor *harbor = arena_alloc(ctx->arena, sizeof *harbor);
    harbor->server = server;
    harbor->robot = server->robot;
    if (!harbor->robot.user)
        harbor->robot.user = HARBOR_ROBOT_USER;
    harbor->http = http_pool_new(&(struct http_target){
        .base_url = server->base_url,
        .connect_to = server->connect_to,
        .ca_pem = server->ca_pem,
        .user_agent = "flotilla",
    });
    *ret = harbor;
    return 0;
}

void harbor_close(struct harbor *harbor)
{
    if (!harbor)
        return;
    http_pool_free(harbor->http);
    harbor->http = NULL;
}

int harbor_changes(const struct harbor *harbor)
{
    return harbor->changes;
}

enum harbor_word harbor_told(const struct harbor *harbor, enum harbor_as as)
{
    return harbor->told[as];
}

/* ---- refusals ---- */

static const struct {
    int status;
    enum err_code error;
    const char *reason; /* NULL = the row's */
} refusals[] = {
    {400, ERR_REFUSED, "HarborBadRequest"},    {401, ERR_DENIED, "HarborUnauthorized"},
    {403, ERR_DENIED, "HarborForbidden"},      {404, ERR_NOT_FOUND, NULL},
    {409, ERR_ALREADY_EXISTS, NULL},           {412, ERR_REFUSED, "HarborPrecondition"},
    {422, ERR_REFUSED, "HarborUnprocessable"}, {429, ERR_UNAVAILABLE, "HarborBusy"},
};

static int refuse(struct ctx *ctx, const struct harbor_request *request,
                  const struct http_response *response)
{
    bool failed = response->status >= 500;
    enum err_code error = failed ? ERR_UNAVAILABLE : ERR_REFUSED;
    const char *reason = failed ? "HarborFailed" : "HarborRefused";
    for (size_t at = 0; at < ARRAY_SIZE(refusals); at++) {
        if (refusals[at].status != response->status)
            continue;
        error = refusals[at].error;
        reason = refusals[at].reason;
    }
    const char *what =
        request->secret ? "" : harbor_parse_complaint(ctx, response->body, response->body_bytes);
    int rc = err_set(ctx, error, reason, "%s %.*s: Harbor answers %d%s%s", request->method,
                     (int)strcspn(request->path, "?"), request->path, response->status,
                     *what ? ": " : "", what);
    ctx->err.retry_after_ms = response->retry_after_ms;
    return rc;
}

/* ---- one request ---- */

static const struct harbor_login *login_of(const struct harbor *harbor,
                                           const struct harbor_request *request)
{
    static const struct harbor_login nobody = {NULL, NULL};
    if (request->login)
        return request->login;
    switch (request->as) {
    case HARBOR_ROBOT:
        return &harbor->robot;
    case HARBOR_ADMIN:
        return &harbor->server->admin;
    case HARBOR_NOBODY:
        break;
    }
    return &nobody;
}

/* 403: who asked is known, and may not. */
static void note_login(struct harbor *harbor, const struct harbor_request *request, int status)
{
    if (request->login || request->as == HARBOR_NOBODY)
        return;
    if (status == 401)
        harbor->told[request->as] = HARBOR_REFUSED;
    else if (status == 403 || (status >= 200 && status < 300))
        harbor->told[request->as] = HARBOR_TAKEN;
}

static const char *authorization(struct ctx *ctx, const struct harbor_login *login)
{
    const char *pair = arena_printf(ctx->arena, "%s:%s", login->user, login->password);
    return arena_printf(ctx->arena, "Authorization: Basic %s",
                        crypto_base64(ctx->arena, pair, strlen(pair)));
}

enum { HEADERS_MAX = 3 };

static void add_headers(struct ctx *ctx, const struct harbor *harbor,
                        const struct harbor_request *request, bool reads,
                        const char *ret[HEADERS_MAX])
{
    const struct harbor_login *login = login_of(harbor, request);
    const struct harbor_cookie *cookie = harbor->server->cookie;
    int count = 0;
    if (login->password)
        ret[count++] = authorization(ctx, login);
    if (reads && cookie && *cookie->sid)
        ret[count++] = arena_printf(ctx->arena, "Cookie: sid=%s", cookie->sid);
}

static int exchange(struct ctx *ctx, struct harbor *harbor, const struct harbor_request *request,
                    struct harbor_answer *ret)
{
    static const char *const keep[] = {"Set-Cookie", "Location", "X-Total-Count", NULL};
    bool reads = str_equal(request->method, "GET");
    const char *headers[HEADERS_MAX] = {NULL};
    add_headers(ctx, harbor, request, reads, headers);
    const struct http_request http = {
        .method = request->method,
        .path = request->path,
        .content_type = request->body ? "application/json" : NULL,
        .accept = "application/json",
        .headers = headers,
        .body = request->body,
        .body_bytes = request->body ? strlen(request->body) : 0,
        .keep = keep,
        .answer_max_bytes = HARBOR_ANSWER_MAX_BYTES,
    };
    struct http_response response;
    int rc = http_call(ctx, harbor->http, &http, &response);
    harbor->status = response.status;
    TRY(rc);
    note_login(harbor, request, response.status);
    harbor->bytes += response.body_bytes;
    if (harbor->bytes > HARBOR_SESSION_BYTES)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "%.*s: Harbor's answers are over %d MiB together",
                       (int)strcspn(request->path, "?"), request->path, HARBOR_SESSION_BYTES >> 20);
    if (reads && harbor->server->cookie)
        harbor_parse_session(response.kept[0], harbor->server->cookie);
    *ret = (struct harbor_answer){
        .body = response.body, .bytes = response.body_bytes, .location = response.kept[1]};
    if (!str_to_int(response.kept[2], 0, INT64_MAX, &ret->total))
        ret->total = -1;
    bool fine = response.status >= 200 && response.status < 300;
    return fine ? 0 : refuse(ctx, request, &response);
}

int harbor_send(struct ctx *ctx, struct harbor *harbor, const struct harbor_request *request,
                struct harbor_answer *ret)
{
    harbor->status = 0;
    if (request->as != HARBOR_NOBODY && !login_of(harbor, request)->password)
        return err_set(ctx, ERR_DENIED, "HarborUnauthorized", "no credential is known for %s",
                       call_row(request->call)->name);
    if (request->as == HARBOR_ADMIN && !request->login &&
        harbor->told[HARBOR_ADMIN] == HARBOR_REFUSED) /* each try would lock his name for longer */
        return err_set(ctx, ERR_DENIED, "HarborUnauthorized",
                       "%s: the administrator's login was refused a moment ago",
                       call_row(request->call)->name);
    TRY(FAILPOINT_BEFORE(ctx, request->call));
    if (!str_equal(request->method, "GET")) {
        TRY(ctx_may_write(ctx));
        harbor->changes++;
    }
    int rc = exchange(ctx, harbor, request, ret);
    metric_add(METRIC_EXTERNAL_CALLS, 1, call_row(request->call)->name,
               rc == 0 ? "ok" : ctx->err.reason);
    TRY(rc);
    return FAILPOINT_AFTER(ctx, request->call);
}

int harbor_get(struct ctx *ctx, struct harbor *harbor, enum call call, enum harbor_as as,
               const char *path, json_t **ret)
{
    const struct harbor_request request = {.call = call, .as = as, .method = "GET", .path = path};
    struct harbor_answer answer;
    TRY(harbor_send(ctx, harbor, &request, &answer));
    return harbor_parse(ctx, answer.body, answer.bytes, ret);
}

/* ---- pages ---- */

struct pages {
    struct harbor *harbor;
    enum call call;
    enum harbor_as as;
    const char *path;
    int (*take)(struct ctx *ctx, const json_t *element, void *arg);
    void *arg;
    struct arena *kept; /* the caller's: what `take` makes stays */
    int64_t seen;
};

/* 1 = there may be more. ctx->arena is the page's own, but for `take`. */
static int read_page(struct ctx *ctx, struct pages *pages, int page)
{
    const char *path = pages->path;
    const struct harbor_request request = {
        .call = pages->call,
        .as = pages->as,
        .method = "GET",
        .path = arena_printf(ctx->arena, "%s%cpage=%d&page_size=%d", path,
                             strchr(path, '?') ? '&' : '?', page, HARBOR_PAGE)};
    struct harbor_answer answer;
    struct arena *scratch = ctx->arena;
    json_t *list = NULL, *element;
    size_t at;
    TRY(harbor_send(ctx, pages->harbor, &request, &answer));
    TRY(harbor_parse_bounded(ctx, answer.body, answer.bytes, HARBOR_PAGE_VALUES, &list));
    if (!json_is_array(list) && !json_is_null(list))
        return err_set(ctx, ERR_PROTOCOL, NULL, "%s: Harbor's answer is no list", path);
    if (json_array_size(list) > HARBOR_PAGE)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "%s: a page of Harbor's is over %d elements", path,
                       HARBOR_PAGE);
    ctx->arena = pages->kept;
    int rc = 0;
    json_array_foreach(list, at, element)
        if (rc == 0)
            rc = pages->take(ctx, element, pages->arg);
    ctx->arena = scratch;
    TRY(rc);
    pages->seen += (int64_t)json_array_size(list);
    return json_array_size(list) == HARBOR_PAGE && (answer.total < 0 || pages->seen < answer.total);
}

/* Customers own their Harbor: a page's text and tree go before the next one is read. */
int harbor_each(struct ctx *ctx, struct harbor *harbor, enum call call, enum harbor_as as,
                const char *path, int (*take)(struct ctx *ctx, const json_t *element, void *arg),
                void *arg)
{
    struct pages pages = {harbor, call, as, path, take, arg, ctx->arena, 0};
    struct arena *scratch = arena_new();
    int more = 1;
    for (int page = 1; more == 1 && page <= HARBOR_PAGES_MAX; page++) {
        ctx->arena = scratch;
        more = read_page(ctx, &pages, page);
        ctx->arena = pages.kept;
        arena_reset(scratch);
    }
    arena_free(scratch);
    if (more == 1)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "%s: a list of Harbor's is over %d elements", path,
                       HARBOR_PAGE * HARBOR_PAGES_MAX);
    return more;
}
