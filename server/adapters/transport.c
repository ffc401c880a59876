/* See transport.h. The socket never blocks: each wait is a poll() with an end. */
#include "server/adapters/transport.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UNACKED_MS = 10000, KEEPALIVE_IDLE_S = 10, KEEPALIVE_INTERVAL_S = 5 };

struct transport {
    int fd;
    SSL_CTX *tls; /* NULL: plain */
    SSL *ssl;
};

struct ssl_mode {
    const char *name;
    bool tls, chain, host; /* encrypt; check the chain; check the name in the certificate */
};

static const struct ssl_mode modes[] = {
    {"disable", false, false, false},
    {"require", true, false, false},
    {"verify-ca", true, true, false},
    {"verify-full", true, true, true},
};

/* ---- waiting ---- */

/* True once one of `events`, or an error, which the next call reports, is there. */
static bool wait_socket(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left = deadline_ms - clock_boottime_ms();
        if (left <= 0)
            return false;
        struct pollfd entry = {.fd = fd, .events = events};
        /* poll's clock stops in suspend, ours does not */
        if (poll(&entry, 1, left > 1000 ? 1000 : (int)left) > 0)
            return true;
    }
}

static int lost(struct ctx *ctx, const char *why)
{
    return err_set(ctx, ERR_UNAVAILABLE, NULL, "connection lost: %s", why);
}

static int late(struct ctx *ctx)
{
    return err_set(ctx, ERR_TIMEOUT, NULL, "no answer in time");
}

/* ---- TCP ---- */

static void set_options(int fd)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS},
    };
    for (size_t at = 0; at < ARRAY_SIZE(options); at++)
        setsockopt(fd, options[at].level, options[at].name, &options[at].value, sizeof(int));
}

/* 0, or an errno. */
static int connect_one(int fd, const struct addrinfo *address, int64_t deadline_ms)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (!wait_socket(fd, POLLOUT, deadline_ms))
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}

static int connect_any(struct ctx *ctx, const struct transport_target *target,
                       const struct addrinfo *list, int64_t deadline_ms, int *ret)
{
    int error = EHOSTUNREACH;
    for (const struct addrinfo *at = list; at; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return err_set(ctx, ERR_INTERNAL, NULL, "socket: %s", strerror(errno));
        set_options(fd);
        error = connect_one(fd, at, deadline_ms);
        if (error == 0) {
            *ret = fd;
            return 0;
        }
        close(fd);
    }
    return err_set(ctx, ERR_UNAVAILABLE, NULL, "connect to %s port %d: %s", target->host,
                   target->port, strerror(error));
}

static int connect_tcp(struct ctx *ctx, const struct transport_target *target, int64_t deadline_ms,
                       int *ret)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[16];
    snprintf(port, sizeof port, "%d", target->port);
    int failure = getaddrinfo(target->host, port, &hints, &list);
    if (failure)
        return err_set(ctx, ERR_UNAVAILABLE, NULL, "look up '%s': %s", target->host,
                       gai_strerror(failure));
    int rc = connect_any(ctx, target, list, deadline_ms, ret);
    freeaddrinfo(list);
    return rc;
}

/* ---- TLS ---- */

/* NULL: the certificate is good, or nobody asked. */
static const char *certificate_error(const SSL *ssl)
{
    long found = SSL_get_verify_result(ssl);
    bool asked = SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER;
    return asked && found != X509_V_OK ? X509_verify_cert_error_string(found) : NULL;
}

static const char *tls_error(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "closed by the other side";
}

/* After an operation that did not finish: waits for what it needs, or tells why it never will. */
static int tls_wait(struct ctx *ctx, const struct transport *transport, int rc, int64_t deadline_ms)
{
    short events;
    switch (SSL_get_error(transport->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        events = POLLIN;
        break;
    case SSL_ERROR_WANT_WRITE:
        events = POLLOUT;
        break;
    default:
        return lost(ctx, tls_error());
    }
    return wait_socket(transport->fd, events, deadline_ms) ? 0 : late(ctx);
}

/* The authorities of `pem`, at least one, or the system's. */
static int trust(struct ctx *ctx, SSL_CTX *tls, const char *pem)
{
    if (!pem) {
        SSL_CTX_set_default_verify_paths(tls);
        return 0;
    }
    int count = 0;
    X509 *certificate;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    while (bio && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        count += X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), certificate);
        X509_free(certificate);
    }
    BIO_free(bio);
    return count ? 0 : err_set(ctx, ERR_CONFIG, NULL, "the CA holds no certificate");
}

/* A host may be a name or an address; only a name is sent ahead (SNI). */
static bool expect_host(SSL *ssl, const char *host, bool check)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    bool numeric = address != NULL;
    ASN1_OCTET_STRING_free(address);
    char *name = (char *)(uintptr_t)host; /* it is copied, not changed */
    if (!numeric && SSL_set_tlsext_host_name(ssl, name) != 1)
        return false;
    if (!check)
        return true;
    return numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1
                   : SSL_set1_host(ssl, host) == 1;
}

static int handshake(struct ctx *ctx, struct transport *transport, int64_t deadline_ms)
{
    int done, rc = 0;
    do {
        ERR_clear_error();
        done = SSL_connect(transport->ssl);
        if (done == 1)
            return 0;
        rc = tls_wait(ctx, transport, done, deadline_ms);
    } while (rc == 0);
    const char *certificate = certificate_error(transport->ssl);
    if (certificate)
        return err_set(ctx, ERR_UNAVAILABLE, "CertificateRefused", "the server's certificate: %s",
                       certificate);
    return err_set(ctx, ERR_UNAVAILABLE, NULL, "TLS: %s",
                   rc == -ERR_TIMEOUT ? "no handshake in time" : tls_error());
}

static int start_tls(struct ctx *ctx, struct transport *transport,
                     const struct transport_target *target, const struct ssl_mode *mode,
                     int64_t deadline_ms)
{
    ERR_clear_error();
    transport->tls = SSL_CTX_new(TLS_client_method());
    if (!transport->tls)
        abort();
    SSL_CTX_set_min_proto_version(transport->tls, TLS1_2_VERSION);
    SSL_CTX_set_mode(transport->tls, SSL_MODE_ENABLE_PARTIAL_WRITE);
    if (mode->chain) {
        SSL_CTX_set_verify(transport->tls, SSL_VERIFY_PEER, NULL);
        TRY(trust(ctx, transport->tls, target->ca_pem));
    }
    transport->ssl = SSL_new(transport->tls);
    if (!transport->ssl || SSL_set_fd(transport->ssl, transport->fd) != 1)
        abort();
    if (!expect_host(transport->ssl, target->host, mode->host))
        return err_set(ctx, ERR_CONFIG, NULL, "'%s' is no host name", target->host);
    return handshake(ctx, transport, deadline_ms);
}

/* ---- the stream ---- */

static const struct ssl_mode *mode_of(const char *name)
{
    for (size_t at = 0; at < ARRAY_SIZE(modes); at++)
        if (str_equal(modes[at].name, name))
            return &modes[at];
    return NULL;
}

int transport_open(struct ctx *ctx, const struct transport_target *target, int64_t deadline_ms,
                   struct transport **ret)
{
    const struct ssl_mode *mode = mode_of(target->ssl_mode);
    int fd;
    if (!mode)
        return err_set(ctx, ERR_CONFIG, NULL, "unknown ssl mode '%s'", target->ssl_mode);
    TRY(connect_tcp(ctx, target, deadline_ms, &fd));
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        abort();
    transport->fd = fd;
    int rc = mode->tls ? start_tls(ctx, transport, target, mode, deadline_ms) : 0;
    if (rc < 0) {
        transport_close(transport);
        return rc;
    }
    *ret = transport;
    return 0;
}

void transport_close(struct transport *transport)
{
    if (!transport)
        return;
    SSL_free(transport->ssl);
    SSL_CTX_free(transport->tls);
    close(transport->fd);
    free(transport);
}

/* One step of sending or receiving: bytes done (0 = waited, try again), or -ERR_x. */
static ssize_t tls_step(struct ctx *ctx, struct transport *transport, void *in, const void *out,
                        size_t count, int64_t deadline_ms)
{
    size_t done = 0;
    ERR_clear_error();
    int ok = in ? SSL_read_ex(transport->ssl, in, count, &done)
                : SSL_write_ex(transport->ssl, out, count, &done);
    return ok ? (ssize_t)done : tls_wait(ctx, transport, ok, deadline_ms);
}

static ssize_t plain_step(struct ctx *ctx, struct transport *transport, void *in, const void *out,
                          size_t count, int64_t deadline_ms)
{
    ssize_t done =
        in ? recv(transport->fd, in, count, 0) : send(transport->fd, out, count, MSG_NOSIGNAL);
    if (done > 0)
        return done;
    if (done == 0)
        return lost(ctx, "closed by the other side");
    if (errno != EAGAIN && errno != EINTR)
        return lost(ctx, strerror(errno));
    return wait_socket(transport->fd, in ? POLLIN : POLLOUT, deadline_ms) ? 0 : late(ctx);
}

static ssize_t step(struct ctx *ctx, struct transport *transport, void *in, const void *out,
                    size_t count, int64_t deadline_ms)
{
    if (clock_boottime_ms() >= deadline_ms)
        return late(ctx);
    return transport->ssl ? tls_step(ctx, transport, in, out, count, deadline_ms)
                          : plain_step(ctx, transport, in, out, count, deadline_ms);
}

int transport_send(struct ctx *ctx, struct transport *transport, const void *bytes, size_t count,
                   int64_t deadline_ms)
{
    const char *at = bytes;
    while (count > 0) {
        ssize_t done = step(ctx, transport, NULL, at, count, deadline_ms);
        if (done < 0)
            return (int)done;
        at += done;
        count -= (size_t)done;
    }
    return 0;
}

int transport_receive(struct ctx *ctx, struct transport *transport, void *out, size_t size,
                      int64_t deadline_ms, size_t *ret_count)
{
    ssize_t done;
    while ((done = step(ctx, transport, out, NULL, size, deadline_ms)) == 0)
        ;
    if (done < 0)
        return (int)done;
    *ret_count = (size_t)done;
    return 0;
}
