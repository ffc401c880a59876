/* The listener: one thread per connection, which blocks as it likes; a watch is such a thread. */
#include "server/adapters/crypto.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/controllers.h"
#include "server/dev/devcluster/kinds.h"
#include "server/dev/devcluster/lists.h"
#include "server/dev/devcluster/routes.h"
#include "server/dev/devcluster/status.h"
#include "server/dev/devcluster/watch.h"
#include "server/dev/devcluster/write.h"
#include "server/dev/faults/cut.h"
#include "server/dev/faults/faults.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX_BYTES = 3 << 20,
    CONNECTIONS_MAX = 4096,
    STACK_BYTES = 1 << 20,
    WATCH_BLOCK_BYTES = 64 << 10,
    MEMORY_MAX_BYTES = 128 << 10, /* of a connection: a continue token may be long */
};

/* What comes in before there is a call. */
struct intake {
    struct str body;
    bool seen;
};

const char *call_query(const struct call *call, const char *name)
{
    return MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *call_header(const struct call *call, const char *name)
{
    return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

bool call_query_is(const struct call *call, const char *name, const char *value)
{
    return str_equal(call_query(call, name), value);
}

bool call_flag(const struct call *call, const char *name)
{
    return faults_flag(call_query(call, name));
}

void call_warn(struct call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(call->ctx.arena, format, args);
    va_end(args);
    if (call->warnings < WARNINGS_MAX && !strpbrk(text, "\r\n"))
        call->warning[call->warnings++] = arena_printf(call->ctx.arena, "299 - \"%s\"", text);
}

/* ---- answers ---- */

static struct MHD_Response *make_response(struct call *call)
{
    if (call->watch) {
        struct MHD_Response *response = MHD_create_response_from_callback(
            MHD_SIZE_UNKNOWN, WATCH_BLOCK_BYTES, watch_read, call->watch, watch_free);
        MHD_add_response_header(response, "Content-Type", call->type);
        return response;
    }
    const char *text = call->text ? call->text : json_text(call->ctx.arena, call->answer);
    if (call->fault.action == FAULT_CUT)
        return cut_response(text);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", call->type ? call->type : "application/json");
    if (call->retry_after_s)
        MHD_add_response_header(response, "Retry-After",
                                arena_printf(call->ctx.arena, "%d", call->retry_after_s));
    return response;
}

static enum MHD_Result answer(struct call *call)
{
    struct MHD_Response *response = make_response(call);
    for (int at = 0; at < call->warnings; at++)
        MHD_add_response_header(response, "Warning", call->warning[at]);
    MHD_add_response_header(response, "Cache-Control", "no-cache, private");
    enum MHD_Result result = MHD_queue_response(call->connection, (unsigned)call->status, response);
    MHD_destroy_response(response);
    return result;
}

/* A browser cannot be led here, either: no page of another origin may set this header. */
static int authenticate(struct call *call)
{
    static const char scheme[] = "Bearer ";
    const char *sent = call_header(call, "Authorization"), *token = call->cluster->options.token;
    if (!sent || !str_starts(sent, scheme))
        return refuse(call, "Unauthorized",
                      "no bearer token came with the request: the kubeconfig has it");
    sent += strlen(scheme);
    if (strlen(sent) != strlen(token) || !crypto_equal(sent, token, strlen(token)))
        return refuse(call, "Unauthorized",
                      "the bearer token is not this cluster's: the kubeconfig has that");
    return 0;
}

static int run(struct call *call, const struct str *body)
{
    TRY(authenticate(call));
    if (body->overflow)
        return refuse(call, "RequestEntityTooLarge", "limit is %d", BODY_MAX_BYTES);
    return routes_run(call);
}

static enum MHD_Result serve(struct devcluster *cluster, struct MHD_Connection *connection,
                             const char *path, const char *method, struct str *body)
{
    struct arena *arena = arena_new();
    struct call call = {.ctx = ctx_make(arena, "devcluster"),
                        .cluster = cluster,
                        .connection = connection,
                        .method = method,
                        .path = path,
                        .body = str_text(body),
                        .body_bytes = body->length,
                        .status = 200};
    pthread_mutex_lock(&cluster->lock);
    if (run(&call, body) < 0)
        call.answer = status_failure(&call);
    pthread_mutex_unlock(&cluster->lock);
    enum MHD_Result result = answer(&call);
    arena_free(arena);
    return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *bytes, void **context)
{
    (void)version;
    struct intake *intake = *context;
    if (!intake) {
        *context = intake = calloc(1, sizeof *intake);
        if (!intake)
            return MHD_NO;
        str_init(&intake->body, BODY_MAX_BYTES);
        return MHD_YES;
    }
    if (*bytes) {
        str_add_bytes(&intake->body, data, *bytes);
        *bytes = 0;
        return MHD_YES;
    }
    return serve(arg, connection, path, method, &intake->body);
}

static void on_done(void *arg, struct MHD_Connection *connection, void **context,
                    enum MHD_RequestTerminationCode why)
{
    (void)arg, (void)connection, (void)why;
    struct intake *intake = *context;
    if (intake)
        str_done(&intake->body);
    free(intake);
    *context = NULL;
}

/* ---- life ---- */

static int listen_at(struct ctx *ctx, struct devcluster *cluster)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)cluster->options.port)};
    if (inet_pton(AF_INET, cluster->options.address, &address.sin_addr) != 1)
        return err_set(ctx, ERR_CONFIG, NULL, "'%s' is no IPv4 address", cluster->options.address);
    cluster->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
            MHD_USE_ITC | MHD_USE_TLS,
        0, NULL, NULL, on_request, cluster, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_HTTPS_MEM_CERT, cluster->options.certificate, MHD_OPTION_HTTPS_MEM_KEY,
        cluster->options.key, MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_BYTES, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX_BYTES,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    if (!cluster->daemon)
        return err_set(ctx, ERR_UNAVAILABLE, NULL, "port %d of %s cannot be had",
                       cluster->options.port, cluster->options.address);
    cluster->port = MHD_get_daemon_info(cluster->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    return 0;
}

int devcluster_start(struct ctx *ctx, const struct devcluster_options *options,
                     struct devcluster **ret)
{
    struct devcluster *cluster = calloc(1, sizeof *cluster);
    if (!cluster)
        abort();
    cluster->options = *options;
    cluster->arena = arena_new();
    cluster->version = 100; /* no object ever has the version 1: docs/adr/0002 */
    pthread_mutex_init(&cluster->lock, NULL);
    clock_cond_init(&cluster->news);
    cluster->faults = faults_new();
    kinds_init(cluster);
    int rc = listen_at(ctx, cluster);
    if (rc == 0) {
        controllers_start(cluster);
        *ret = cluster;
    } else {
        devcluster_stop(cluster);
    }
    return rc;
}

int devcluster_port(const struct devcluster *cluster)
{
    return cluster->port;
}

void devcluster_stop(struct devcluster *cluster)
{
    if (!cluster)
        return;
    pthread_mutex_lock(&cluster->lock);
    cluster->stopping = true;
    pthread_cond_broadcast(&cluster->news);
    for (struct kind *kind = cluster->kinds; kind; kind = kind->next)
        pthread_cond_broadcast(&kind->news);
    pthread_mutex_unlock(&cluster->lock);
    if (cluster->daemon) {
        MHD_stop_daemon(cluster->daemon);
        controllers_stop(cluster);
    }
    faults_free(cluster->faults);
    lists_done(cluster);
    kinds_done(cluster);
    arena_free(cluster->arena);
    pthread_cond_destroy(&cluster->news);
    pthread_mutex_destroy(&cluster->lock);
    free(cluster);
}
