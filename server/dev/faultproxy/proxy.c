/* The listener: one thread per connection, which blocks as it likes. */
#include "server/dev/faultproxy/proxy.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/dev/faultproxy/stream.h"
#include "server/dev/faultproxy/told.h"
#include "server/dev/faults/cut.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX_BYTES = 8 << 20,
    CONNECTIONS_MAX = 1024,
    STACK_BYTES = 1 << 20,
    MEMORY_MAX_BYTES = 128 << 10, /* of a connection: a continue token may be long */
    HEADERS_MAX = 4,
};

/* What comes in before there is an exchange. */
struct intake {
    char *uri;
    bool seen;
    struct str body;
};

const char *exchange_header(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

const char *exchange_query(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *exchange_bearer(const struct exchange *exchange)
{
    static const char scheme[] = "Bearer ";
    const char *sent = exchange_header(exchange, "Authorization");
    return !exchange->proxy->own_credentials && str_starts(sent, scheme) ? sent + strlen(scheme)
                                                                         : NULL;
}

/* ---- answers ---- */

const char *exchange_status(struct exchange *exchange, const char *reason, int http)
{
    const struct fault *fault = &exchange->fault;
    json_t *details = json_pack(
        "{s:s*, s:s*, s:s*}", "kind", exchange->target.resource, "name", exchange->target.name,
        "group", str_equal(exchange->target.group, "") ? NULL : exchange->target.group);
    if (fault->retry_after_s)
        json_object_set_new(details, "retryAfterSeconds", json_integer(fault->retry_after_s));
    json_t *status =
        json_pack("{s:s, s:s, s:{}, s:s, s:s, s:s, s:o, s:i}", "kind", "Status", "apiVersion", "v1",
                  "metadata", "status", "Failure", "message",
                  arena_printf(exchange->ctx.arena, "a fault of the table: %s", reason), "reason",
                  reason, "details", details, "code", http);
    return json_text(exchange->ctx.arena, arena_json(exchange->ctx.arena, status));
}

struct MHD_Response *exchange_response(const char *text, size_t bytes, const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(bytes, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", type);
    return response;
}

static struct MHD_Response *refuse(struct exchange *exchange, int *status)
{
    const struct fault *fault = &exchange->fault;
    const char *text = exchange_status(exchange, fault->reason, fault->http);
    struct MHD_Response *response = exchange_response(text, strlen(text), "application/json");
    if (fault->retry_after_s)
        MHD_add_response_header(response, "Retry-After",
                                arena_printf(exchange->ctx.arena, "%d", fault->retry_after_s));
    *status = fault->http;
    return response;
}

/* ---- one request ---- */

static void add_kept(struct MHD_Response *response, const char *name, char *values)
{
    char *value;
    while ((value = strsep(&values, "\n")))
        MHD_add_response_header(response, name, value);
}

static struct MHD_Response *forward(struct exchange *exchange, int *status)
{
    static const char *const keep[] = {"Warning", "Retry-After", "Content-Type", NULL};
    const char *bearer = exchange_bearer(exchange), *headers[HEADERS_MAX] = {NULL};
    if (bearer)
        headers[0] = arena_printf(exchange->ctx.arena, "Authorization: Bearer %s", bearer);
    const struct http_request request = {
        .method = exchange->method,
        .path = exchange->uri,
        .content_type = exchange_header(exchange, "Content-Type"),
        .accept = exchange_header(exchange, "Accept"),
        .headers = headers,
        .body = exchange->body->length ? exchange->body->data : NULL,
        .body_bytes = exchange->body->length,
        .keep = keep,
    };
    struct http_response real;
    if (http_call(&exchange->ctx, exchange->proxy->calls, &request, &real) < 0)
        return NULL; /* as if the server itself did not answer */
    *status = real.status;
    const char *text = told_body(exchange, &real, status);
    bool same = text == real.body;
    if (exchange->fault.action == FAULT_CUT)
        return cut_response(text);
    struct MHD_Response *response =
        exchange_response(text, same ? real.body_bytes : strlen(text),
                          real.kept[2] ? real.kept[2] : "application/json");
    add_kept(response, keep[0], real.kept[0]);
    add_kept(response, keep[1], real.kept[1]);
    return response;
}

/* The table itself: no part of Kubernetes. */
static struct MHD_Response *serve_table(struct exchange *exchange, int *status)
{
    struct proxy *proxy = exchange->proxy;
    json_t *answer;
    pthread_mutex_lock(&proxy->lock);
    int rc = faults_serve(&exchange->ctx, proxy->faults, exchange->method, str_text(exchange->body),
                          exchange->body->length, &answer);
    pthread_mutex_unlock(&proxy->lock);
    *status = rc < 0 ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_OK;
    const char *text = rc < 0 ? exchange->ctx.err.message : json_text(exchange->ctx.arena, answer);
    return exchange_response(text, strlen(text), rc < 0 ? "text/plain" : "application/json");
}

static struct MHD_Response *run(struct exchange *exchange, const char *path, int *status)
{
    bool watched = faults_flag(
        MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, "watch"));
    struct proxy *proxy = exchange->proxy;
    if (str_equal(path, FAULTS_PATH))
        return serve_table(exchange, status);
    if (target_of(exchange->ctx.arena, path, &exchange->target)) {
        const struct target *target = &exchange->target;
        const struct occasion occasion = {.client = exchange_header(exchange, "User-Agent"),
                                          .verb =
                                              faults_verb(exchange->method, target->name, watched),
                                          .resource = target->resource,
                                          .namespace = target->namespace,
                                          .name = target->name};
        pthread_mutex_lock(&proxy->lock);
        exchange->fault = faults_meet(exchange->ctx.arena, proxy->faults, &occasion);
        pthread_mutex_unlock(&proxy->lock);
    }
    if (exchange->fault.action == FAULT_REFUSE)
        return refuse(exchange, status);
    if (exchange->fault.action == FAULT_SLOW)
        clock_sleep_ms(exchange->fault.ms);
    return watched && exchange->target.resource ? stream_open(exchange, status)
                                                : forward(exchange, status);
}

static enum MHD_Result serve(struct proxy *proxy, struct MHD_Connection *connection,
                             const char *path, const char *method, struct intake *intake)
{
    struct arena *arena = arena_new();
    struct exchange exchange = {.ctx = ctx_make(arena, "faultproxy"),
                                .proxy = proxy,
                                .connection = connection,
                                .method = method,
                                .uri = intake->uri,
                                .body = &intake->body};
    int status = MHD_HTTP_OK;
    struct MHD_Response *response = intake->body.overflow ? NULL : run(&exchange, path, &status);
    enum MHD_Result result = MHD_NO;
    if (response) {
        result = MHD_queue_response(connection, (unsigned)status, response);
        MHD_destroy_response(response);
    }
    arena_free(arena);
    return result;
}

/* ---- the listener ---- */

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
    (void)arg, (void)connection;
    struct intake *intake = calloc(1, sizeof *intake);
    if (!intake || !(intake->uri = strdup(uri)))
        abort();
    str_init(&intake->body, BODY_MAX_BYTES);
    return intake;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *bytes, void **context)
{
    (void)version;
    struct intake *intake = *context;
    if (!intake->seen) {
        intake->seen = true;
        return MHD_YES;
    }
    if (*bytes) {
        str_add_bytes(&intake->body, data, *bytes);
        *bytes = 0;
        return MHD_YES;
    }
    return serve(arg, connection, path, method, intake);
}

static void on_done(void *arg, struct MHD_Connection *connection, void **context,
                    enum MHD_RequestTerminationCode why)
{
    (void)arg, (void)connection, (void)why;
    struct intake *intake = *context;
    if (!intake)
        return;
    str_done(&intake->body);
    free(intake->uri);
    free(intake);
    *context = NULL;
}

static int listen_at(struct ctx *ctx, struct proxy *proxy)
{
    const struct proxy_options *options = &proxy->options;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)options->port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    proxy->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
            MHD_USE_ITC | MHD_USE_TLS,
        0, NULL, NULL, on_request, proxy, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_HTTPS_MEM_CERT, options->certificate, MHD_OPTION_HTTPS_MEM_KEY, options->key,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_BYTES, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX_BYTES,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    return proxy->daemon ? 0
                         : err_set(ctx, ERR_UNAVAILABLE, NULL, "port %d of loopback cannot be had",
                                   options->port);
}

int proxy_start(struct ctx *ctx, const struct proxy_options *options, struct proxy **ret)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    if (!proxy)
        abort();
    proxy->options = *options;
    proxy->own_credentials = options->upstream.client_cert_pem || options->upstream.bearer;
    pthread_mutex_init(&proxy->lock, NULL);
    proxy->faults = faults_new();
    proxy->memory = memory_new();
    proxy->calls = http_pool_new(&options->upstream);
    proxy->streams = http_io_new();
    int rc = listen_at(ctx, proxy);
    if (rc == 0)
        *ret = proxy;
    else
        proxy_stop(proxy);
    return rc;
}

int proxy_port(const struct proxy *proxy)
{
    return MHD_get_daemon_info(proxy->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void proxy_stop(struct proxy *proxy)
{
    if (!proxy)
        return;
    proxy->stopping = true;
    if (proxy->daemon)
        MHD_stop_daemon(proxy->daemon);
    http_io_free(proxy->streams);
    http_pool_free(proxy->calls);
    faults_free(proxy->faults);
    memory_free(proxy->memory);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}
