/*
 * A TCP port where TLS ends: each connection is shaken hands with, its client's certificate is
 * looked at, and its bytes go on in the clear through one end of a socketpair, which whoever reads
 * them owns (HTTP: http_server_take()). One thread per connection, TLS_CONNECTIONS_MAX at most.
 * Strangers are all that shake hands, and whose certificate is not there, not good or of a name
 * that is not allowed. They never have all places, and nobody waits for one of theirs: the oldest
 * goes, first of the newcomer's address, then of the address that has the most. One without a
 * certificate is let in, too: who owns the other end tells it what is missing. TLS 1.3 only.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

struct ctx;
struct tls_server;

enum {
    TLS_CONNECTIONS_MAX = 128,
    TLS_STRANGERS_MAX = 32, /* among them */
    /* of one address: more than a client that is to become known has in its handshakes at once */
    TLS_ADDRESS_STRANGERS_MAX = 16,
    TLS_HANDSHAKE_MS = 2000,
    TLS_STRANGER_MS = 10000, /* a stranger's whole connection */
    TLS_FLUSH_MS = 5000,     /* for the last bytes of a connection that ends */
    TLS_STALL_MS = 30000,    /* a client that takes nothing of what it is sent */
    TLS_RENEW_MS = 5000,     /* those that are believed no more, to end */
    TLS_NAME_BYTES = 65,     /* of a common name: 64 in X.509 */
};

/* As PEM; they are copied into the library's forms, and may be freed. */
struct tls_terms {
    const char *certificate,
        *key;              /* the certificate first, then those that lead to its authority */
    const char *client_ca; /* authorities of clients, many or one; NULL or "" = none is good */
};

/* Who is at the other end. */
struct tls_client {
    bool certified;            /* by an authority of the terms, for clients, and now */
    char name[TLS_NAME_BYTES]; /* common name; "" = none, several, or nobody certified it */
};

struct tls_server_options {
    const char *address; /* "127.0.0.1", "::1"; read at the start only */
    int port;            /* 0 = any free one; see tls_server_port() */
    int stranger_ms;     /* a stranger's time to be told what is missing; 0 = TLS_STRANGER_MS */
    int stall_ms;        /* a client's that takes nothing; 0 = TLS_STALL_MS */
    /* Whether one that is certified is known; NULL = each is. On the connection's thread. */
    bool (*allows)(void *arg, const struct tls_client *client);
    /* On the connection's thread; `fd` is the callee's from now on. */
    void (*take)(void *arg, int fd, const struct sockaddr *from, socklen_t from_bytes,
                 const struct tls_client *client);
    void *arg;
};

/* -ERR_CONFIG (CannotListen, or terms that are none; a key never stands in a message). */
int tls_server_start(struct ctx *ctx, const struct tls_server_options *options,
                     const struct tls_terms *terms, struct tls_server **ret);
/*
 * For connections to come. Those that are there go on, unless the clients' authorities are others:
 * then they have ended when it returns, since what was believed of them may no longer hold.
 * -ERR_CONFIG: all stays. -ERR_UNAVAILABLE: the terms are the new ones, but some of before have not
 * ended within TLS_RENEW_MS; calling again waits again. One thread at a time.
 */
int tls_server_renew(struct ctx *ctx, struct tls_server *server, const struct tls_terms *terms);
int tls_server_port(const struct tls_server *server);
/* Ends all connections; when it returns, take() runs nowhere. */
void tls_server_stop(struct tls_server *server);
