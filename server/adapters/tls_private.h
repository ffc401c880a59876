/* What tls_server.c (port, threads), tls_places.c (who may stay), tls_terms.c (certificates) and
 * tls_relay.c (bytes) share. */
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
    struct tls_connection *places[TLS_CONNECTIONS_MAX];
    int connections;
    uint64_t came; /* connections, ever */
};

struct tls_connection {
    struct tls_server *server;
    int fd;
    SSL *ssl;
    int trust; /* the server's when it came */
    int place;
    uint64_t number; /* an older one's is lower */
    int64_t came_ms;
    /* Its thread changes them under the lock, and reads them without. */
    bool stranger;
    int64_t stranger_until_ms; /* first, of the handshake */
    atomic_bool sent_away;
    struct sockaddr_storage from;
    socklen_t from_bytes;
};

/* ---- tls_terms.c ---- */

int tls_context_make(struct ctx *ctx, const struct tls_terms *terms, SSL_CTX **ret);
void tls_client_of(SSL *ssl, struct tls_client *ret);

/* ---- tls_places.c ---- */

/* Whether it is to end: its own thread, or with the server's lock. */
bool tls_ends(const struct tls_connection *connection);
/* With the lock: those whose end has come are cut off, even if their thread looks for it nowhere.
 */
void tls_places_look(struct tls_server *server);
/* With the lock: some that came before the authorities were what they are. */
bool tls_places_have_older(const struct tls_server *server);
/* False when there is none yet: a stranger was asked to leave his, if there is one. Waits shortly.
 */
bool tls_places_free(struct tls_server *server);
/* A place has to be free. Of too many strangers one goes. */
struct tls_connection *tls_place_take(struct tls_server *server, int fd,
                                      const struct sockaddr_storage *from, socklen_t from_bytes);
/* Hands were shaken. */
void tls_place_greet(struct tls_connection *connection, bool known);
/* All of it goes. */
void tls_place_leave(struct tls_connection *connection);

/* ---- tls_relay.c: false when it did not come to be in time ---- */

bool tls_shake_hands(struct tls_connection *connection);
/* Until one side ends or stands still, or the server ends, or what was believed of the client. */
void tls_relay(struct tls_connection *connection, int clear_fd);
