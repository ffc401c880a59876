#include "server/dev/faultproxy/stream.h"

#include "server/base/clock.h"
#include "server/base/json.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_MS = 200,    /* between two looks at whether the client is still there */
    REFUSED_MS = 500, /* within which a refusal comes; a later one is told in the stream */
    IDLE_MS = 3600000,
    INBOX_MAX_BYTES = 64 << 20,
    LINE_MAX_BYTES = 8 << 20,
    BLOCK_BYTES = 64 << 10,
    HTTP_OK = 200,
};

struct stream {
    struct proxy *proxy;
    struct arena *arena; /* of its whole life */
    struct target target;
    const char *bearer, *client, *selector; /* of labels; "" = none */
    int fd;
    bool initial;      /* what is told was there when the watch began */
    bool over, broken; /* nothing more comes; and it ends in the middle */
    int64_t expire_ms; /* 0 = never */
    struct str frames; /* to be sent */
    size_t taken;
    pthread_mutex_t lock; /* guards what the I/O thread fills */
    pthread_cond_t news;
    struct str inbox, refusal;
    bool ended, failed;
    int status;
};

/* ---- on the I/O thread ---- */

static bool on_data(void *arg, const char *bytes, size_t count)
{
    struct stream *stream = arg;
    pthread_mutex_lock(&stream->lock);
    str_add_bytes(&stream->inbox, bytes, count);
    bool takes = !stream->inbox.overflow;
    pthread_cond_signal(&stream->news);
    pthread_mutex_unlock(&stream->lock);
    return takes;
}

static void on_end(void *arg, int status, const char *body, const char *what)
{
    struct stream *stream = arg;
    pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    stream->failed = what != NULL;
    stream->status = status;
    str_add(&stream->refusal, body);
    pthread_cond_signal(&stream->news);
    pthread_mutex_unlock(&stream->lock);
}

static void give_bearer(void *arg, char out[HTTP_BEARER_BYTES])
{
    const struct stream *stream = arg;
    snprintf(out, HTTP_BEARER_BYTES, "%s", stream->bearer ? stream->bearer : "");
}

/* ---- events ---- */

static void add_error(struct stream *stream, const char *status)
{
    str_printf(&stream->frames, "{\"type\":\"ERROR\",\"object\":%s}\n", status);
    stream->over = true;
}

static void add_expired(struct stream *stream)
{
    struct exchange exchange = {.ctx = ctx_make(stream->arena, "faultproxy"),
                                .target = stream->target};
    add_error(stream, exchange_status(&exchange, "Expired", MHD_HTTP_GONE));
}

static struct fault meet(struct stream *stream, struct arena *arena, const char *type,
                         const json_t *object)
{
    struct proxy *proxy = stream->proxy;
    const struct occasion occasion = {stream->client, "event", stream->target.resource,
                                      json_str(object, "metadata.namespace"),
                                      json_str(object, "metadata.name")};
    struct fault fault = {.action = FAULT_NONE};
    pthread_mutex_lock(&proxy->lock);
    if (str_equal(type, "DELETED"))
        memory_note_end(arena, proxy->memory, &stream->target, object, stream->selector);
    else
        memory_note_answer(arena, proxy->memory, &stream->target, object,
                           str_equal(type, "ADDED") && !stream->initial);
    if (!stream->initial)
        fault = faults_meet(arena, proxy->faults, &occasion);
    pthread_mutex_unlock(&proxy->lock);
    return fault;
}

static void add_line(struct stream *stream, struct arena *arena, const char *line, size_t bytes)
{
    struct ctx ctx = ctx_make(arena, "faultproxy");
    struct fault fault = {.action = FAULT_NONE};
    json_t *event;
    if (json_parse_foreign(&ctx, line, bytes, LINE_MAX_BYTES, &event) == 0) {
        const char *type = json_str_or(event, "type", "");
        bool end = json_at(event, "object.metadata.annotations") && str_equal(type, "BOOKMARK");
        if (!str_equal(type, "BOOKMARK") && !str_equal(type, "ERROR"))
            fault = meet(stream, arena, type, json_at(event, "object"));
        stream->initial = stream->initial && !end;
    }
    stream->over = stream->broken = fault.action == FAULT_CUT;
    if (fault.action == FAULT_DROP && fault.ms)
        stream->expire_ms = clock_boottime_ms() + fault.ms;
    if (fault.action == FAULT_EXPIRE)
        add_expired(stream);
    if (fault.action == FAULT_NONE || stream->broken)
        str_add_bytes(&stream->frames, line, stream->broken ? bytes / 2 : bytes);
}

/* Complete lines, taken from the inbox; false: there are none yet. */
static bool take_lines(struct stream *stream, struct str *lines)
{
    const char *last =
        stream->inbox.length ? memrchr(stream->inbox.data, '\n', stream->inbox.length) : NULL;
    size_t bytes = last ? (size_t)(last - stream->inbox.data) + 1 : 0;
    if (!bytes)
        return false;
    str_add_bytes(lines, stream->inbox.data, bytes);
    stream->inbox.length -= bytes;
    memmove(stream->inbox.data, stream->inbox.data + bytes, stream->inbox.length);
    return true;
}

static bool client_left(const struct stream *stream)
{
    struct pollfd fd = {.fd = stream->fd, .events = POLLRDHUP};
    return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static bool is_expired(const struct stream *stream)
{
    return stream->expire_ms && clock_boottime_ms() >= stream->expire_ms;
}

/* Waits for lines; false: none will come. */
static bool await_lines(struct stream *stream, struct str *lines)
{
    bool found, left = false;
    pthread_mutex_lock(&stream->lock);
    while (!(found = take_lines(stream, lines)) && !stream->ended && !left) {
        struct timespec until = clock_until(LOOK_MS);
        pthread_cond_timedwait(&stream->news, &stream->lock, &until);
        left = stream->proxy->stopping || client_left(stream) || is_expired(stream);
    }
    stream->over = !found;
    stream->broken = !found && stream->failed;
    pthread_mutex_unlock(&stream->lock);
    if (!found && is_expired(stream)) {
        add_expired(stream);
    } else if (!found && stream->refusal.length) {
        add_error(stream, str_text(&stream->refusal));
        stream->broken = false;
    }
    return found;
}

static void fill(struct stream *stream)
{
    struct str lines;
    struct arena *arena = arena_new();
    str_init(&lines, INBOX_MAX_BYTES);
    if (await_lines(stream, &lines)) {
        const char *at = lines.data, *end = lines.data + lines.length;
        while (at < end && !stream->over) {
            const char *next = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
            add_line(stream, arena, at, (size_t)(next - at));
            at = next;
        }
    }
    str_done(&lines);
    arena_free(arena);
}

/* ---- the answer ---- */

static ssize_t stream_read(void *arg, uint64_t position, char *out, size_t bytes)
{
    struct stream *stream = arg;
    (void)position;
    if (stream->taken == stream->frames.length) {
        str_clear(&stream->frames);
        stream->taken = 0;
    }
    while (!stream->frames.length && !stream->over)
        fill(stream);
    size_t left = stream->frames.length - stream->taken;
    if (!left)
        return stream->broken ? MHD_CONTENT_READER_END_WITH_ERROR
                              : MHD_CONTENT_READER_END_OF_STREAM;
    size_t count = left < bytes ? left : bytes;
    memcpy(out, stream->frames.data + stream->taken, count);
    stream->taken += count;
    return (ssize_t)count;
}

static void stream_free(void *arg)
{
    struct stream *stream = arg;
    http_io_cancel(stream->proxy->streams, stream);
    str_done(&stream->frames);
    str_done(&stream->inbox);
    str_done(&stream->refusal);
    pthread_cond_destroy(&stream->news);
    pthread_mutex_destroy(&stream->lock);
    arena_free(stream->arena);
    free(stream);
}

static struct stream *stream_new(struct exchange *exchange)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        abort();
    struct arena *arena = arena_new();
    const struct target *target = &exchange->target;
    const char *bearer = exchange_bearer(exchange);
    const char *client = exchange_header(exchange, "User-Agent");
    const char *selector = exchange_query(exchange, "labelSelector");
    *stream = (struct stream){
        .proxy = exchange->proxy,
        .arena = arena,
        .target = {.group = arena_strdup(arena, target->group),
                   .resource = arena_strdup(arena, target->resource)},
        .bearer = bearer ? arena_strdup(arena, bearer) : NULL,
        .client = client ? arena_strdup(arena, client) : NULL,
        .selector = arena_strdup(arena, selector ? selector : ""),
        .fd = MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                  ->connect_fd,
        .initial = strstr(exchange->uri, "sendInitialEvents=true") != NULL,
    };
    str_init(&stream->frames, INBOX_MAX_BYTES);
    str_init(&stream->inbox, INBOX_MAX_BYTES);
    str_init(&stream->refusal, INBOX_MAX_BYTES);
    pthread_mutex_init(&stream->lock, NULL);
    clock_cond_init(&stream->news);
    return stream;
}

/* True when the server has refused it by then. */
static bool is_refused(struct stream *stream)
{
    struct timespec until = clock_until(REFUSED_MS);
    pthread_mutex_lock(&stream->lock);
    while (!stream->ended && !stream->inbox.length &&
           pthread_cond_timedwait(&stream->news, &stream->lock, &until) == 0)
        ;
    bool refused = stream->ended && stream->status != HTTP_OK;
    pthread_mutex_unlock(&stream->lock);
    return refused;
}

struct MHD_Response *stream_open(struct exchange *exchange, int *status)
{
    struct stream *stream = stream_new(exchange);
    struct http_target target = exchange->proxy->options.upstream;
    if (stream->bearer) {
        target.bearer = give_bearer;
        target.bearer_arg = stream;
    }
    const struct http_stream_events events = {.data = on_data, .end = on_end, .arg = stream};
    http_io_get(exchange->proxy->streams, &target, exchange->uri,
                exchange_header(exchange, "Accept"), 0, IDLE_MS, &events);
    *status = HTTP_OK;
    struct MHD_Response *response = NULL;
    if (!is_refused(stream)) {
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_read,
                                                     stream, stream_free);
        MHD_add_response_header(response, "Content-Type", "application/json");
        return response;
    }
    if (stream->status) {
        *status = stream->status;
        response = exchange_response(str_text(&stream->refusal), stream->refusal.length,
                                     "application/json");
    }
    stream_free(stream);
    return response;
}
