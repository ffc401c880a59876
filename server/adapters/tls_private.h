/* What tls_server.c (port, threads), tls_terms.c (certificates) and tls_relay.c (bytes) share. */
#pragma once

#include "server/adapters/tls_server.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct tls_server {
    struct tls_server_options options;
    int fd, port;
    pthread_t acceptor;
    atomic_bool stopping;
    atomic_int trust; /* raised when the clients' authorities change */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t gone;  /* a connection ended */
    SSL_CTX *tls;
    char *client_ca; /* as text, to see a change */
    int connections, strangers;
    int of_trust[2]; /* connections by the lowest bit of their trust: no more than two live at once
                      */
};

struct tls_connection {
    struct tls_server *server;
    int fd;
    SSL *ssl;
    int trust; /* the server's when hands were shaken */
    bool stranger;
    int64_t stranger_until_ms;
    struct sockaddr_storage from;
    socklen_t from_bytes;
};

/* ---- tls_terms.c ---- */

int tls_context_make(struct ctx *ctx, const struct tls_terms *terms, SSL_CTX **ret);
void tls_client_of(SSL *ssl, struct tls_client *ret);

/* ---- tls_relay.c: false when it did not come to be in time ---- */

bool tls_shake_hands(struct tls_connection *connection);
/* Until one side ends, or the server, or what was believed of the client. */
void tls_relay(struct tls_connection *connection, int clear_fd);
bool tls_ends(const struct tls_connection *connection);
