/*
 * HTTP listener on libmicrohttpd. Epoll threads parse; a complete request is suspended, queued to
 * one of W blocking workers, and resumed with its response. Limits hold before any handler runs:
 * body, header memory, connections, absolute time per request, and framing that proxies read
 * differently (duplicate Content-Length, Content-Length with Transfer-Encoding, odd path bytes).
 */
#pragma once

#include "server/base/ctx.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;
struct sockaddr;

/* A body is read before anybody knows who sends it: connections times this is what strangers get.
 */
enum {
    HTTP_CONNECTIONS_MAX = 1000,
    HTTP_ADDRESS_CONNECTIONS = HTTP_CONNECTIONS_MAX / 2, /* of one address, where nothing is said */
    HTTP_REQUEST_BODY_MAX = 64 << 10,
    HTTP_HEADERS_OUT_MAX = 12,
};

struct request {
    const char *method;
    /* Restricted to [A-Za-z0-9/_.~:-], so it is its own encoding; with star_in_path also '*'. */
    const char *path;
    const char *body; /* NUL-terminated, never NULL */
    size_t body_bytes;
    const char *id;     /* X-Request-Id, or made by us */
    const char *peer;   /* address text */
    const char *client; /* name that http_server_take() gave; NULL = nobody vouched for it */
    bool resumed;       /* this request was parked, and http_server_requeue() brought it back */
    void *exchange_;
};

/* Borrowed, or NULL. Header names are case-insensitive. */
const char *request_header(const struct request *request, const char *name);
const char *request_query(const struct request *request, const char *name);
/* The first query parameter that is not among `names` (with blanks between them); NULL = none. */
const char *request_query_stranger(const struct request *request, const char *names);

struct response {
    int status;
    /*
     * No answer yet, and no worker shall wait for it: the request stays suspended until somebody
     * calls http_server_requeue(). Who parks promises to requeue before http_server_stop().
     */
    bool parked;
    const char *content_type;
    const char *body; /* in the arena */
    size_t body_bytes;
    int headers;
    struct {
        const char *name, *value;
    } header[HTTP_HEADERS_OUT_MAX];
};

/* Values with CR, LF or NUL are dropped. */
void response_header(struct response *response, const char *name, const char *value);
void response_text(struct ctx *ctx, struct response *response, int status, const char *type,
                   const char *text);
void response_json(struct ctx *ctx, struct response *response, int status, const json_t *body);

/* Runs on a worker, with an arena and deadline of its own. Always fills `response`. */
typedef void (*http_handler)(struct ctx *ctx, void *arg, const struct request *request,
                             struct response *response);

/*
 * Fills `response` for a request that no handler will see (bad framing, too large, queue full): the
 * error is in ctx->err; `status` is its HTTP status, which errors.def need not have (414, 431).
 */
typedef void (*http_refuser)(struct ctx *ctx, void *arg, const struct request *request, int status,
                             struct response *response);

struct http_server_options {
    const char *address; /* "127.0.0.1"; NULL = no port: connections come by http_server_take() */
    int port;            /* 0 = any free one; see http_server_port() */
    int workers;
    /* Of one address at a time; one more is closed before anything is read. 0 = as many as there
     * are. IPv6 addresses count whole: who has a network of them is no single address. */
    int connections_per_address;
    int request_timeout_ms; /* absolute, default 75000 so that ?wait=60 fits */
    int receive_timeout_ms; /* absolute, for head and body together; default 20000 */
    bool star_in_path;      /* a path may have '*', which Go's clients send as %2A */
    http_handler handler;
    http_refuser refuse; /* NULL = one line of text */
    void *arg;
};

int http_server_start(struct ctx *ctx, const struct http_server_options *options,
                      struct http_server **ret);
int http_server_port(const struct http_server *server);
/*
 * A connection from elsewhere, in the clear (TLS ended at adapters/tls_server): its descriptor is
 * the server's from now on, also when there is no room. `client` is who is at its other end, as
 * whoever looked at the certificate says, or NULL; it is copied. From any thread, before the stop.
 */
void http_server_take(struct http_server *server, int fd, const struct sockaddr *from,
                      unsigned from_bytes, const char *client);
/* Queues a parked request once more; from any thread, also before its handler has returned. */
void http_server_requeue(const struct request *request);
/* Stops accepting, lets running requests end (up to 10 s), frees. */
void http_server_stop(struct http_server *server);
