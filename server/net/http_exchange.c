/*
 * One request from its first byte to its last: what MHD calls, in the order in which it calls it.
 * Everything here runs on MHD's threads but http_exchange_run(), and blocks nowhere.
 */
#include "server/net/http_private.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"

#include <netdb.h>
#include <string.h>
#include <strings.h>

#define PATH_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_.~:-"
#define ID_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

/* ---- the request line ---- */

static bool has_dot_segment(const char *path, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t segment = strcspn(path + at, "/?");
        if ((segment == 1 && path[at] == '.') ||
            (segment == 2 && path[at] == '.' && path[at + 1] == '.'))
            return true;
        at += segment + 1;
    }
    return false;
}

/* How much of the raw text is a path; `star`: it may hold '*', encoded or not. */
static size_t path_bytes(const char *uri, bool star)
{
    size_t at = 0;
    for (;;) {
        at += strspn(uri + at, star ? PATH_BYTES "*" : PATH_BYTES);
        if (!star || strncasecmp(uri + at, "%2a", 3) != 0)
            return at;
        at += 3;
    }
}

/* On the raw bytes: MHD decodes before the handler sees anything, and %00 would cut the text. */
static const char *uri_problem(const char *uri, bool star)
{
    size_t path = path_bytes(uri, star);
    if (uri[0] != '/' || (uri[path] && uri[path] != '?'))
        return "the path holds a byte that no path of this API has (percent-encoding included)";
    if (has_dot_segment(uri, path))
        return "the path has a dot segment";
    for (const char *at = uri + path; *at; at++)
        if (*at <= 0x20 || *at >= 0x7f)
            return "the query holds a byte that has to be percent-encoded";
    if (strstr(uri + path, "%00"))
        return "the query holds a NUL byte";
    return NULL;
}

void *http_exchange_open(void *server, const char *uri, struct MHD_Connection *connection)
{
    struct arena *arena = arena_new();
    struct exchange *exchange = arena_alloc(arena, sizeof *exchange);
    exchange->server = server;
    exchange->connection = connection;
    exchange->arena = arena;
    exchange->peer =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    exchange->uri_long = strlen(uri) > HTTP_URI_MAX;
    exchange->uri_problem = uri_problem(uri, exchange->server->options.star_in_path);
    str_init(&exchange->body, HTTP_REQUEST_BODY_MAX);
    return exchange;
}

/* ---- refusals ---- */

static enum MHD_Result send_answer(struct exchange *exchange);

struct refusal {
    enum err_code code;
    int status; /* 0 = the row's */
    const char *reason;
    const char *message;
};

static struct ctx exchange_ctx(struct exchange *exchange)
{
    struct ctx ctx = ctx_make(exchange->arena, "http");
    ctx.deadline_ms = exchange->deadline_ms;
    log_field(&ctx, "request_id", exchange->request.id);
    return ctx;
}

/* What was not read of such a request must not be taken for the next one: the connection ends. */
static enum MHD_Result refuse(struct exchange *exchange, const struct refusal *refusal)
{
    struct http_server *server = exchange->server;
    struct ctx ctx = exchange_ctx(exchange);
    (void)err_set(&ctx, refusal->code, refusal->reason, "%s", refusal->message);
    int status = refusal->status ? refusal->status : err_row((int)refusal->code)->http;
    if (server->options.refuse)
        server->options.refuse(&ctx, server->options.arg, &exchange->request, status,
                               &exchange->response);
    else
        response_text(&ctx, &exchange->response, status, "text/plain", refusal->message);
    response_header(&exchange->response, "Connection", "close");
    return send_answer(exchange);
}

/* ---- the headers ---- */

/* Headers that decide something must not be there twice: two readers could take either. */
static const char *const single_headers[] = {
    "Host",          "Content-Length", "Transfer-Encoding",
    "Authorization", "Content-Type",   "Idempotency-Key",
    "If-Match",      "If-None-Match",  "X-Request-Id",
};

struct header_tally {
    size_t bytes;
    int count[ARRAY_SIZE(single_headers)];
};

static enum MHD_Result tally_header(void *arg, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    (void)kind;
    struct header_tally *tally = arg;
    tally->bytes += strlen(key) + (value ? strlen(value) : 0) + 4;
    for (size_t row = 0; row < ARRAY_SIZE(single_headers); row++)
        if (strcasecmp(key, single_headers[row]) == 0)
            tally->count[row]++;
    return MHD_YES;
}

static bool takes_body(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

static const char *header_of(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

/* Returns false and fills *ret when the framing is such that two readers could disagree about it.
 */
static bool check_framing(const struct exchange *exchange, struct refusal *ret)
{
    const char *length = header_of(exchange, "Content-Length");
    const char *coding = header_of(exchange, "Transfer-Encoding");
    int64_t bytes = 0;
    *ret = (struct refusal){.code = ERR_INVALID, .reason = "BadFraming"};
    if (length && coding)
        ret->message = "Content-Length and Transfer-Encoding exclude each other";
    else if (coding && strcasecmp(coding, "chunked") != 0)
        ret->message = "the only transfer coding is chunked";
    else if (length && !str_to_int(length, 0, INT64_MAX, &bytes))
        ret->message = "Content-Length is not a number";
    else if ((coding || bytes) && !takes_body(exchange->request.method))
        ret->message = "this method takes no body", ret->reason = "BodyNotAllowed";
    else if (bytes > HTTP_REQUEST_BODY_MAX)
        *ret = (struct refusal){.code = ERR_TOO_LARGE, .message = "the body is over 64 KiB"};
    return !ret->message;
}

static bool check_head(const struct exchange *exchange, struct refusal *ret)
{
    struct header_tally tally = {0};
    MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, tally_header, &tally);
    if (exchange->uri_long) {
        *ret = (struct refusal){ERR_TOO_LARGE, 414, "UriTooLong", "the URI is over 4096 bytes"};
        return false;
    }
    if (exchange->uri_problem) {
        *ret = (struct refusal){ERR_INVALID, 0, "BadUri", exchange->uri_problem};
        return false;
    }
    if (tally.bytes > HTTP_HEADERS_MAX) {
        *ret =
            (struct refusal){ERR_TOO_LARGE, 431, "HeadersTooLarge", "the headers are over 12 KiB"};
        return false;
    }
    for (size_t row = 0; row < ARRAY_SIZE(single_headers); row++)
        if (tally.count[row] > 1) {
            *ret = (struct refusal){
                ERR_INVALID, 0, "DuplicateHeader",
                arena_printf(exchange->arena, "%s is there twice", single_headers[row])};
            return false;
        }
    return check_framing(exchange, ret);
}

static const char *peer_text(const struct exchange *exchange)
{
    char text[64] = "?";
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info && info->client_addr)
        getnameinfo(info->client_addr,
                    info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                             : sizeof(struct sockaddr_in),
                    text, sizeof text, NULL, 0, NI_NUMERICHOST);
    return arena_strdup(exchange->arena, text);
}

static enum MHD_Result look_at_head(struct exchange *exchange, const char *url, const char *method)
{
    exchange->seen = true;
    const char *id = header_of(exchange, "X-Request-Id");
    exchange->request = (struct request){
        .method = arena_strdup(exchange->arena, method),
        /* what comes after the first odd byte is refused, and not repeated */
        .path = arena_strndup(exchange->arena, url,
                              path_bytes(url, exchange->server->options.star_in_path)),
        .body = "",
        .peer = peer_text(exchange),
        .client = exchange->peer->client,
        .id = str_matches(id, ID_BYTES, 1, 64) ? arena_strdup(exchange->arena, id)
                                               : crypto_id(exchange->arena, "req"),
        .exchange_ = exchange,
    };
    struct refusal refusal;
    return check_head(exchange, &refusal) ? MHD_YES : refuse(exchange, &refusal);
}

/* ---- body, work, answer ---- */

/* MHD takes no answer in the middle of a body: what is too much is read and dropped, not kept, for
 * a while. */
static enum MHD_Result take_body(struct exchange *exchange, const char *data, size_t *bytes)
{
    exchange->body_seen += *bytes;
    str_add_bytes(&exchange->body, data, *bytes);
    *bytes = 0;
    return exchange->body_seen <= 16 * (size_t)HTTP_REQUEST_BODY_MAX ? MHD_YES : MHD_NO;
}

static enum MHD_Result submit(struct exchange *exchange)
{
    static const struct refusal too_large = {ERR_TOO_LARGE, 0, NULL, "the body is over 64 KiB"};
    static const struct refusal queue_full = {ERR_OVERLOADED, 0, NULL,
                                              "too many requests wait; try again"};
    struct http_server *server = exchange->server;
    if (exchange->body.overflow)
        return refuse(exchange, &too_large);
    exchange->request.body = str_text(&exchange->body);
    exchange->request.body_bytes = exchange->body.length;
    exchange->deadline_ms = clock_boottime_ms() + server->options.request_timeout_ms;
    http_peer_deadline(server, exchange->peer, 0);
    MHD_suspend_connection(exchange->connection);
    if (http_server_submit(exchange))
        return MHD_YES;
    MHD_resume_connection(exchange->connection);
    return refuse(exchange, &queue_full);
}

static enum MHD_Result send_answer(struct exchange *exchange)
{
    struct response *answer = &exchange->response;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->body_bytes, (void *)(uintptr_t)answer->body, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    if (answer->content_type)
        MHD_add_response_header(response, "Content-Type", answer->content_type);
    for (int at = 0; at < answer->headers; at++)
        MHD_add_response_header(response, answer->header[at].name, answer->header[at].value);
    MHD_add_response_header(response, "X-Request-Id", exchange->request.id);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    http_peer_deadline(exchange->server, exchange->peer, HTTP_SEND_TIMEOUT_MS);
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result http_exchange_step(void *server, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *bytes, void **context)
{
    (void)server, (void)connection, (void)version;
    struct exchange *exchange = *context;
    if (!exchange->seen)
        return look_at_head(exchange, url, method);
    if (*bytes)
        return take_body(exchange, data, bytes);
    return exchange->state == EXCHANGE_ANSWERED ? send_answer(exchange) : submit(exchange);
}

void http_exchange_close(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode why)
{
    (void)connection, (void)why;
    struct http_server *server = arg;
    struct exchange *exchange = *context;
    if (!exchange)
        return;
    *context = NULL;
    http_peer_deadline(server, exchange->peer, server->options.receive_timeout_ms);
    if (exchange->submitted)
        http_server_release(server);
    str_done(&exchange->body);
    arena_free(exchange->arena); /* and the exchange with it */
}

bool http_exchange_run(struct exchange *exchange)
{
    struct http_server *server = exchange->server;
    struct ctx ctx = exchange_ctx(exchange);
    exchange->response = (struct response){0};
    server->options.handler(&ctx, server->options.arg, &exchange->request, &exchange->response);
    return !exchange->response.parked;
}

/* ---- what handlers use ---- */

const char *request_header(const struct request *request, const char *name)
{
    return header_of(request->exchange_, name);
}

const char *request_query(const struct request *request, const char *name)
{
    const struct exchange *exchange = request->exchange_;
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct strangers {
    const char *names, *first;
};

static enum MHD_Result look_for_stranger(void *arg, enum MHD_ValueKind kind, const char *name,
                                         const char *value)
{
    struct strangers *strangers = arg;
    (void)kind;
    (void)value;
    if (str_has_word(strangers->names, name))
        return MHD_YES;
    strangers->first = name;
    return MHD_NO;
}

const char *request_query_stranger(const struct request *request, const char *names)
{
    const struct exchange *exchange = request->exchange_;
    struct strangers strangers = {names, NULL};
    MHD_get_connection_values(exchange->connection, MHD_GET_ARGUMENT_KIND, look_for_stranger,
                              &strangers);
    return strangers.first;
}

void response_header(struct response *response, const char *name, const char *value)
{
    if (!value || strpbrk(value, "\r\n") || response->headers >= HTTP_HEADERS_OUT_MAX)
        return;
    response->header[response->headers].name = name;
    response->header[response->headers].value = value;
    response->headers++;
}

void response_text(struct ctx *ctx, struct response *response, int status, const char *type,
                   const char *text)
{
    response->status = status;
    response->content_type = type;
    response->body = arena_strdup(ctx->arena, text);
    response->body_bytes = strlen(text);
}

void response_json(struct ctx *ctx, struct response *response, int status, const json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    response_text(ctx, response, status, "application/json", text ? text : "null");
    free(text);
}
