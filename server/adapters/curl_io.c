/*
 * Streams: one thread drives many long answers with a curl multi handle. All state but the inbox
 * belongs to that thread; other threads post into the inbox and wake it. Streams are never paused:
 * their readers drain into memory with a cap of their own.
 */
#include "server/adapters/curl_target.h"
#include "server/base/clock.h"
#include "server/base/str.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

enum { TICK_MS = 1000, ERROR_BODY_MAX_BYTES = 64 << 10, STREAM_BUFFER_BYTES = 16 << 10 };

struct http_stream {
    struct http_stream *prev, *next;
    struct http_target *target;
    char *url;
    struct curl_slist *headers;
    struct http_stream_events events;
    int64_t start_at_ms;
    int64_t last_byte_ms;
    int idle_timeout_ms;
    CURL *easy; /* NULL until started */
    struct str error_body;
    char what[CURL_ERROR_SIZE];
};

struct http_io {
    CURLM *multi;
    pthread_t thread;
    struct http_stream *streams; /* the I/O thread's own */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t cancelled;
    struct http_stream *inbox;
    const void *cancel_arg; /* NULL = nobody waits for a cancellation */
    bool stopping;
};

static void stream_free(struct http_stream *stream)
{
    if (stream->easy)
        curl_easy_cleanup(stream->easy);
    curl_slist_free_all(stream->headers);
    target_free(stream->target);
    str_done(&stream->error_body);
    free(stream->url);
    free(stream);
}

/* Takes it off the thread's list. What the caller still reads of it lives until stream_free(). */
static void detach(struct http_io *io, struct http_stream *stream)
{
    if (stream->easy)
        curl_multi_remove_handle(io->multi, stream->easy);
    DL_DELETE(io->streams, stream);
}

static void finish(struct http_io *io, struct http_stream *stream, const char *what)
{
    long status = 0;
    if (stream->easy)
        curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
    detach(io, stream);
    stream->events.end(stream->events.arg, (int)status, str_text(&stream->error_body), what);
    stream_free(stream);
}

static size_t receive(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_stream *stream = arg;
    size_t length = size * count;
    long status = 0;
    stream->last_byte_ms = clock_boottime_ms();
    curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299) {
        str_add_bytes(&stream->error_body, bytes, length);
        return length;
    }
    return stream->events.data(stream->events.arg, bytes, length) ? length : 0;
}

static int prepare(struct http_stream *stream)
{
    CURL *easy = stream->easy = curl_easy_init();
    if (!easy || target_prepare(easy, stream->target) < 0 ||
        target_authorize(easy, stream->target) < 0)
        return -1;
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, stream->url);
    /* Streams to one server share one HTTP/2 connection where it speaks that. Plain HTTP does not,
     * and who waits there to learn it waits until the first stream has ended. */
    rc |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    rc |= curl_easy_setopt(easy, CURLOPT_PIPEWAIT, str_starts(stream->url, "https:") ? 1L : 0L);
    rc |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)STREAM_BUFFER_BYTES);
    rc |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, stream->headers);
    rc |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, stream->what);
    rc |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
    rc |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, stream);
    rc |= curl_easy_setopt(easy, CURLOPT_PRIVATE, stream);
    return rc == CURLE_OK ? 0 : -1;
}

static void start(struct http_io *io, struct http_stream *stream)
{
    stream->last_byte_ms = clock_boottime_ms();
    if (prepare(stream) < 0 || curl_multi_add_handle(io->multi, stream->easy) != CURLM_OK)
        finish(io, stream, "libcurl refused the request");
}

/* Shuts the connection too: streams that share it must not wait for it any longer. */
static void end_silent(struct http_io *io, struct http_stream *stream)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(stream->easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK &&
        fd != CURL_SOCKET_BAD)
        shutdown(fd, SHUT_RDWR);
    finish(io, stream, "no byte within the idle timeout");
}

/* Starts and ends what is due; returns how long nothing else will be. */
static int run_timers(struct http_io *io)
{
    int64_t now = clock_boottime_ms(), wait = TICK_MS;
    struct http_stream *stream, *next;
    DL_FOREACH_SAFE(io->streams, stream, next)
    {
        int64_t due =
            stream->easy ? stream->last_byte_ms + stream->idle_timeout_ms : stream->start_at_ms;
        if (due > now)
            wait = due - now < wait ? due - now : wait;
        else if (stream->easy)
            end_silent(io, stream);
        else
            start(io, stream);
    }
    return (int)wait;
}

static void reap_finished(struct http_io *io)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(io->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct http_stream *stream = NULL;
        CURLcode rc = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&stream);
        const char *what = *stream->what ? stream->what : curl_easy_strerror(rc);
        finish(io, stream, rc == CURLE_OK ? NULL : what);
    }
}

/* False when the thread shall end. */
static bool read_inbox(struct http_io *io)
{
    pthread_mutex_lock(&io->lock);
    DL_CONCAT(io->streams, io->inbox);
    io->inbox = NULL;
    const void *arg = io->cancel_arg;
    bool stopping = io->stopping;
    pthread_mutex_unlock(&io->lock);
    if (arg) {
        struct http_stream *stream, *next;
        DL_FOREACH_SAFE(io->streams, stream, next)
        {
            if (stream->events.arg != arg)
                continue;
            detach(io, stream);
            stream_free(stream);
        }
        pthread_mutex_lock(&io->lock);
        io->cancel_arg = NULL;
        pthread_cond_broadcast(&io->cancelled);
        pthread_mutex_unlock(&io->lock);
    }
    return !stopping;
}

static void *run(void *arg)
{
    struct http_io *io = arg;
    while (read_inbox(io)) {
        int running, ready;
        int wait_ms = run_timers(io);
        curl_multi_perform(io->multi, &running);
        reap_finished(io);
        pthread_mutex_lock(&io->lock);
        bool more = io->inbox != NULL; /* an `end` has started another stream */
        pthread_mutex_unlock(&io->lock);
        curl_multi_poll(io->multi, NULL, 0, more ? 0 : wait_ms, &ready);
    }
    while (io->streams)
        finish(io, io->streams, "the program stops");
    return NULL;
}

struct http_io *http_io_new(void)
{
    struct http_io *io = calloc(1, sizeof *io);
    if (!io)
        abort();
    target_free(target_copy(&(struct http_target){0})); /* starts the library */
    io->multi = curl_multi_init();
    pthread_mutex_init(&io->lock, NULL);
    pthread_cond_init(&io->cancelled, NULL);
    if (!io->multi || pthread_create(&io->thread, NULL, run, io) != 0)
        abort();
    return io;
}

void http_io_free(struct http_io *io)
{
    if (!io)
        return;
    pthread_mutex_lock(&io->lock);
    io->stopping = true;
    pthread_mutex_unlock(&io->lock);
    curl_multi_wakeup(io->multi);
    pthread_join(io->thread, NULL);
    curl_multi_cleanup(io->multi);
    pthread_cond_destroy(&io->cancelled);
    pthread_mutex_destroy(&io->lock);
    free(io);
}

void http_io_get(struct http_io *io, const struct http_target *target, const char *path,
                 const char *accept, int delay_ms, int idle_timeout_ms,
                 const struct http_stream_events *events)
{
    struct http_stream *stream = calloc(1, sizeof *stream);
    size_t url_bytes = strlen(target->base_url) + strlen(path) + 1;
    if (!stream || !(stream->url = malloc(url_bytes)))
        abort();
    snprintf(stream->url, url_bytes, "%s%s", target->base_url, path);
    stream->target = target_copy(target);
    stream->headers = target_header(NULL, "Accept", accept);
    stream->events = *events;
    stream->start_at_ms = clock_boottime_ms() + delay_ms;
    stream->idle_timeout_ms = idle_timeout_ms;
    str_init(&stream->error_body, ERROR_BODY_MAX_BYTES);

    pthread_mutex_lock(&io->lock);
    bool refused = io->stopping;
    if (!refused)
        DL_APPEND(io->inbox, stream);
    pthread_mutex_unlock(&io->lock);
    if (refused)
        stream_free(stream);
    else
        curl_multi_wakeup(io->multi);
}

void http_io_cancel(struct http_io *io, const void *arg)
{
    pthread_mutex_lock(&io->lock);
    while (io->cancel_arg) /* somebody else's turn */
        pthread_cond_wait(&io->cancelled, &io->lock);
    io->cancel_arg = arg;
    curl_multi_wakeup(io->multi);
    while (io->cancel_arg == arg)
        pthread_cond_wait(&io->cancelled, &io->lock);
    pthread_mutex_unlock(&io->lock);
}
