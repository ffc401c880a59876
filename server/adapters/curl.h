/*
 * HTTP over libcurl. Two shapes: `http_call` blocks until the answer or ctx's deadline (a client
 * keeps its connections and belongs to one thread at a time; http_pool shares them), and
 * `http_stream`, a long answer that an I/O thread delivers in pieces.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ctx;

enum {
    HTTP_DEFAULT_TIMEOUT_MS = 30000,
    HTTP_CONNECT_TIMEOUT_MS = 5000,
    HTTP_BODY_MAX_BYTES = 64 << 20,
    HTTP_BEARER_BYTES = 16384,
    HTTP_KEPT_MAX_BYTES = 8192, /* of one kept header */
};

/* How to reach and trust a server. Strings are copied by http_pool_new and http_io_get. */
struct http_target {
    const char *base_url;        /* "https://127.0.0.1:6443", no slash at the end */
    const char *connect_to;      /* "host:port": calls (not streams) go there, and name base_url's
                                    host all the same; NULL = where base_url says */
    const char *ca_pem;          /* NULL = the system's */
    const char *client_cert_pem; /* NULL = none */
    const char *client_key_pem;
    const char *user_agent;
    bool insecure; /* kubeconfig's insecure-skip-tls-verify */
    /* Bearer token, asked anew for each request; NULL = none. Written into `out`, "" = none. */
    void (*bearer)(void *arg, char out[HTTP_BEARER_BYTES]);
    void *bearer_arg;
};

struct http_request {
    const char *method;
    const char *path; /* with query, already encoded */
    const char *content_type;
    const char *accept;
    const char *const *headers; /* "Name: value" each, ended by NULL; NULL = no more of them */
    const char *body;           /* NULL = none */
    size_t body_bytes;
    const char *const *keep; /* names of the answer's headers that are wanted, ended by NULL */
    size_t answer_max_bytes; /* 0 = HTTP_BODY_MAX_BYTES */
};

/* Owned by ctx->arena. */
struct http_response {
    int status;
    char *body; /* NUL-terminated */
    size_t body_bytes;
    int retry_after_ms; /* 0 = the server did not say */
    char **kept; /* beside `keep`; NULL = not sent, or too long; several are parted by '\n' */
};

/*
 * -ERR_UNAVAILABLE: not sent, or no answer; -ERR_TIMEOUT: deadline, also when it passed before
 * sending; -ERR_TOO_LARGE: the body. Any HTTP status is a success here. Retries nothing; libcurl
 * itself sends once more when a kept connection turns out to be closed before any answer came.
 */
struct http_pool;
struct http_pool *http_pool_new(const struct http_target *target);
void http_pool_free(struct http_pool *pool);
int http_call(struct ctx *ctx, struct http_pool *pool, const struct http_request *request,
              struct http_response *ret);

/* Percent-encodes everything but unreserved characters (RFC 3986 section 2.3). */
char *http_encode(struct ctx *ctx, const char *text);

/* ---- streams: one I/O thread drives many (curl multi) ---- */

struct http_io;

struct http_stream_events {
    /* A piece of the body of a 2xx answer. Return false to end the stream. */
    bool (*data)(void *arg, const char *bytes, size_t count);
    /*
     * The stream ended: HTTP status (0 = no answer), the body of a non-2xx answer (capped at
     * 64 KiB, else ""), and what went wrong for the log (NULL = the server ended it in order).
     * Called on the I/O thread; the stream is gone after it, another may be started from here.
     */
    void (*end)(void *arg, int status, const char *body, const char *what);
    void *arg; /* identifies the streams of one owner, see http_io_cancel() */
};

struct http_io *http_io_new(void);
/* Ends all streams (their `end` is called, new ones are refused silently) and the thread. */
void http_io_free(struct http_io *io);
/*
 * Starts a GET after `delay_ms`; idle_timeout_ms without a byte ends it and shuts its connection,
 * which other streams to that server may share: a silent connection is dead. Thread-safe.
 */
void http_io_get(struct http_io *io, const struct http_target *target, const char *path,
                 const char *accept, int delay_ms, int idle_timeout_ms,
                 const struct http_stream_events *events);
/*
 * Ends all streams with this `arg`, without calling `end`. When it returns no callback with this
 * arg runs or will run. Not from inside a callback, nor after http_io_free().
 */
void http_io_cancel(struct http_io *io, const void *arg);
