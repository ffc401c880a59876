/*
 * A byte stream to a server: TCP, with TLS on top where asked for. Blocking calls that poll and
 * give up at the deadline. Protocols whose library brings no transport of its own stand on it. The
 * process ignores SIGPIPE. (getaddrinfo() blocks: give addresses where that matters.)
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ctx;
struct transport;

struct transport_target {
    const char *host;
    int port;
    const char *ssl_mode; /* PostgreSQL's words disable|require|verify-ca|verify-full; require
                             encrypts and checks nothing */
    const char *ca_pem;   /* NULL = the system's authorities */
};

/*
 * -ERR_UNAVAILABLE: not reached, or not in time, or a certificate that is not to be trusted
 * (CertificateRefused); -ERR_CONFIG: an unknown ssl_mode, or a CA that is none.
 */
int transport_open(struct ctx *ctx, const struct transport_target *target, int64_t deadline_ms,
                   struct transport **ret);
void transport_close(struct transport *transport);

/* -ERR_UNAVAILABLE: the connection is lost; -ERR_TIMEOUT: what became of the bytes is unknown. */
int transport_send(struct ctx *ctx, struct transport *transport, const void *bytes, size_t count,
                   int64_t deadline_ms);
/* At least one byte; the end of the stream is -ERR_UNAVAILABLE. */
int transport_receive(struct ctx *ctx, struct transport *transport, void *out, size_t size,
                      int64_t deadline_ms, size_t *ret_count);
