/* What the files of the proxy share. */
#pragma once

#include "server/adapters/curl.h"
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/dev/faultproxy/memory.h"
#include "server/dev/faults/faults.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

struct proxy_options {
    int port; /* on loopback; 0 = a free one */
    const char *certificate, *key;
    struct http_target upstream; /* without credentials: those of each client are passed on */
};

struct proxy {
    struct proxy_options options;
    struct MHD_Daemon *daemon;
    struct http_pool *calls;
    struct http_io *streams;
    bool own_credentials;
    atomic_bool stopping;
    pthread_mutex_t lock; /* guards what follows */
    struct faults *faults;
    struct memory *memory;
};

/* One request. */
struct exchange {
    struct ctx ctx;
    struct proxy *proxy;
    struct MHD_Connection *connection;
    const char *method, *uri; /* as sent, with query */
    struct str *body;
    struct target target;
    struct fault fault;
};

int proxy_start(struct ctx *ctx, const struct proxy_options *options, struct proxy **ret);
int proxy_port(const struct proxy *proxy);
void proxy_stop(struct proxy *proxy);

/* A header of the client's request, or NULL. */
const char *exchange_header(const struct exchange *exchange, const char *name);
/* A parameter of its query, or NULL. */
const char *exchange_query(const struct exchange *exchange, const char *name);
/* The client's own credential, where the proxy has none; or NULL. */
const char *exchange_bearer(const struct exchange *exchange);
/* How Kubernetes says no; the arena's. */
const char *exchange_status(struct exchange *exchange, const char *reason, int http);
/* A response of `bytes` in memory. */
struct MHD_Response *exchange_response(const char *text, size_t bytes, const char *type);
