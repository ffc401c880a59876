/*
 * HTTP from its first byte: the input is what a client sends, over a real connection, to our
 * listener, which walks it as `flotillad serve` does. Only the database is not there: find_key()
 * knows three keys, and what a handler would ask it is answered by at_the_database(). Whatever the
 * input is, what comes back is HTTP, whoever was heard is answered, and now and then a usual client
 * is served. libFuzzer's clock interrupts calls by a signal.
 */
#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/str.h"
#include "server/handlers/app.h"
#include "server/http/api.h"
#include "server/http/auth.h"
#include "server/http/cursor.h"
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    START_BYTES = 4096,
    MOMENT_MS = 1,
    RECEIVE_MS = 1000,
    PATIENCE_MS = 20000,
    USUAL_EVERY = 50,
    ROUTES_MAX = 64
};

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define SECRET LETTERS LETTERS
#define CUSTOMER "tn_0123456789abcdefghijklmnop"

static atomic_uint heard; /* requests of this connection that reached our code */

/* ---- instead of the database ---- */

static int find_key(struct ctx *ctx, void *app, const char *prefix, struct principal *ret,
                    bool *ret_found)
{
    static const struct {
        const char *prefix, *tenant;
    } keys[] = {{"provider", ""}, {"ordinary", ""}, {"customer", CUSTOMER}};
    (void)app;
    if (str_equal(prefix, "unawares"))
        return err_set(ctx, ERR_UNAVAILABLE, NULL, "the database does not answer");
    for (size_t at = 0; at < ARRAY_SIZE(keys) && !*ret_found; at++) {
        *ret_found = str_equal(prefix, keys[at].prefix);
        snprintf(ret->key, sizeof ret->key, "%s", keys[at].prefix);
        snprintf(ret->tenant, sizeof ret->tenant, "%s", keys[at].tenant);
        ret->provider = !*ret->tenant;
    }
    if (*ret_found)
        crypto_sha256_hex(SECRET, AUTH_SECRET_LENGTH, ret->secret_hash);
    return 0;
}

/* Who may not come here does not; what handlers read before they ask is read. */
static int at_the_database(struct ctx *ctx, struct api_call *call)
{
    const struct principal *who = &call->principal;
    struct page page;
    json_t *body = NULL;
    MUST(*who->key && (who->provider || call->route->permission != PERMISSION_PROVIDER));
    MUST(who->provider || !call->param[0] || str_equal(call->param[0], CUSTOMER));
    for (int at = 0; at < ROUTE_PARAMS_MAX; at++)
        MUST(!call->param[at] || crypto_is_id(call->param[at]));
    TRY(cursor_read(ctx, call, &page));
    if (call->request->body_bytes)
        TRY(call_body(ctx, call, &body));
    response_text(ctx, call->response, 200, "text/plain", call->route->path);
    return 0;
}

/* Nobody has to log in for the health of the process and its API's description: no rows there. */
static const struct route *routes(void)
{
    static struct route own[ROUTES_MAX];
    for (int at = 0; app_routes[at].method; at++) {
        MUST(at + 1 < ROUTES_MAX);
        own[at] = app_routes[at];
        if (own[at].permission != PERMISSION_PUBLIC)
            own[at].handler = at_the_database;
    }
    return own;
}

/* ---- the server ---- */

/* A problem is a document that names the status which it is sent with. None is our own defect. */
static void check(const struct response *response)
{
    MUST(response->status >= 200 && response->status <= 599 && response->status != 500);
    MUST(response->body && !response->parked);
    if (!str_equal(response->content_type, "application/problem+json"))
        return;
    _cleanup_json_ json_t *problem =
        json_loadb(response->body, response->body_bytes, JSON_REJECT_DUPLICATES, NULL);
    MUST(json_integer_value(json_object_get(problem, "status")) == response->status);
    MUST(json_string_length(json_object_get(problem, "detail")));
}

static void answer(struct ctx *ctx, void *api, const struct request *request,
                   struct response *response)
{
    atomic_fetch_add(&heard, 1);
    MUST(*request->path == '/' && request->body[request->body_bytes] == '\0');
    MUST(request->body_bytes <= HTTP_REQUEST_BODY_MAX);
    api_answer(ctx, api, request, response);
    check(response);
}

static void refuse(struct ctx *ctx, void *api, const struct request *request, int status,
                   struct response *response)
{
    atomic_fetch_add(&heard, 1);
    api_refuse(ctx, api, request, status, response);
    check(response);
}

static int listener(void)
{
    static struct http_server *server;
    if (!server) {
        static struct app app = {.openapi = "{}"};
        app.pool = pg_pool_new("host=/nowhere", 1, NULL);
        const struct api_options api = {.routes = routes(),
                                        .app = &app,
                                        .find_key = find_key,
                                        .requests_per_second = 200,
                                        .writes_per_second = 20};
        const struct http_server_options options = {.address = "127.0.0.1",
                                                    .workers = 1,
                                                    .receive_timeout_ms = RECEIVE_MS,
                                                    .handler = answer,
                                                    .refuse = refuse,
                                                    .arg = api_new(&api)};
        struct ctx ctx = ctx_make(arena_new(), "fuzz");
        MUST(http_server_start(&ctx, &options, &server) == 0);
        arena_free(ctx.arena);
    }
    return http_server_port(server);
}

/* ---- its client ---- */

static int dial(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)listener()),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* without it a million connections would use up all ports */
    const struct linger reset = {.l_onoff = 1};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0);
    MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    MUST(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 || errno == EINTR);
    return fd;
}

static void send_all(int fd, const char *text, size_t bytes)
{
    ssize_t sent;
    while (bytes && (sent = TEMP_FAILURE_RETRY(send(fd, text, bytes, MSG_NOSIGNAL))) > 0) {
        text += sent;
        bytes -= (size_t)sent;
    } /* it may have had enough of us before the end */
}

static bool is_readable(int fd, int patience_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return TEMP_FAILURE_RETRY(poll(&ready, 1, patience_ms)) > 0;
}

/* Reads until the server ends it, and keeps the start. */
static size_t receive(int fd, char start[START_BYTES + 1])
{
    char rest[START_BYTES];
    size_t filled = 0;
    for (;;) {
        bool full = filled == START_BYTES;
        MUST(is_readable(fd, PATIENCE_MS));
        ssize_t count = TEMP_FAILURE_RETRY(
            recv(fd, full ? rest : start + filled, full ? sizeof rest : START_BYTES - filled, 0));
        if (count <= 0)
            break;
        filled += full ? 0 : (size_t)count;
    }
    start[filled] = '\0';
    return filled;
}

/*
 * Sends, waits for the beginning of an answer if one is due, then says that no more comes, and
 * reads to the end. What is no whole request is waited for by the server: for a moment here. (Who
 * says so before his answer came may lose it, docs/operations.md: that is asked of nobody. Now and
 * then the end is not noticed either: such a connection ends when its time is over.)
 */
static bool is_served(struct ctx *ctx, const char *text, size_t bytes, const char *expected)
{
    char *start = arena_alloc(ctx->arena, START_BYTES + 1);
    bool due = *expected;
    atomic_store(&heard, 0);
    int fd = dial();
    send_all(fd, text, bytes);
    if (!due && !is_readable(fd, MOMENT_MS))
        due = atomic_load(&heard) > 0;
    if (due)
        MUST(is_readable(fd, PATIENCE_MS));
    (void)shutdown(fd, SHUT_WR);
    size_t filled = receive(fd, start);
    close(fd);
    bool fits = filled ? str_starts(start, *expected ? expected : "HTTP/1.") : !due;
    if (!fits)
        fprintf(stderr, "%zu bytes came back: %.200s\n", filled, start);
    return fits;
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    static const char usual[] = "GET /v1/tenants?limit=3 HTTP/1.1\r\nHost: a\r\nAuthorization: "
                                "Bearer flk_ordinary_" SECRET "\r\nConnection: close\r\n\r\n";
    static unsigned run;
    MUST(is_served(ctx, text, bytes, ""));
    if (run++ % USUAL_EVERY == 0)
        MUST(is_served(ctx, usual, strlen(usual), "HTTP/1.1 200 "));
}
