/* What http_server.c (threads, life and death) and http_exchange.c (one request) share. */
#pragma once

#include "server/base/str.h"
#include "server/net/http_server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <sys/queue.h>

enum {
    HTTP_URI_MAX = 4096,
    HTTP_HEADERS_MAX = 12 << 10, /* ours; MHD's own limit stands behind it and answers in HTML */
    HTTP_MEMORY_MAX = 32 << 10,
    HTTP_QUEUE_MAX = 512,
    HTTP_SEND_TIMEOUT_MS = 30000,
};

/* A TCP connection; deadline_ms 0 = a worker has it, which has a deadline of its own. */
struct peer {
    int fd;
    int64_t deadline_ms;
    char *client; /* as http_server_take() was told; NULL = nobody vouched for it */
    LIST_ENTRY(peer) entry;
};

enum exchange_state {
    EXCHANGE_RECEIVING,
    EXCHANGE_QUEUED,
    EXCHANGE_RUNNING,
    EXCHANGE_PARKED,
    EXCHANGE_ANSWERED
};

struct exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct peer *peer;
    struct arena *arena;
    struct str body;
    struct request request;
    struct response response;
    int64_t deadline_ms;
    const char *uri_problem; /* NULL = fine */
    bool uri_long;
    bool seen;      /* the headers were looked at */
    bool submitted; /* counted in the server's `busy` until it is closed */
    size_t body_seen;
    enum exchange_state state; /* guarded by the server's lock from QUEUED to PARKED */
    bool woken;                /* requeued while still running */
    STAILQ_ENTRY(exchange) entry;
};

struct http_server {
    struct http_server_options options;
    struct MHD_Daemon *daemon;
    int port;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;  /* something was queued, or stopping */
    pthread_cond_t idle;  /* a request was sent off */
    STAILQ_HEAD(, exchange) queue;
    int queued;
    int busy; /* submitted and not yet sent off */
    bool stopping;

    pthread_mutex_t peers_lock; /* guards what follows, and the deadlines */
    LIST_HEAD(, peer) peers;
    LIST_HEAD(, peer) taken; /* handed to MHD, which has not begun them yet */

    pthread_t janitor;
    pthread_t *worker;
};

/* ---- http_exchange.c: MHD's callbacks ---- */

void *http_exchange_open(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_exchange_step(void *server, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *bytes, void **exchange);
void http_exchange_close(void *server, struct MHD_Connection *connection, void **exchange,
                         enum MHD_RequestTerminationCode why);
/* Runs the handler; true when there is an answer, false when it was parked. */
bool http_exchange_run(struct exchange *exchange);

/* ---- http_server.c ---- */

/* False when the queue is full. The connection is suspended already. */
bool http_server_submit(struct exchange *exchange);
/* A submitted exchange is over. */
void http_server_release(struct http_server *server);
void http_peer_deadline(struct http_server *server, struct peer *peer, int64_t ms_from_now);
