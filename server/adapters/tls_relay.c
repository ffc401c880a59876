/* The bytes of one connection: hands are shaken, then they go to and fro until somebody ends. */
#include "server/adapters/tls_private.h"

#include "server/base/clock.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 16 << 10, /* a TLS record */
    LOOK_MS = 1000,         /* whether it shall end */
};

/* One way: what came and has not gone on yet. */
struct way {
    char bytes[PIECE_BYTES];
    size_t from, to;
    bool ended; /* nothing more comes in */
    bool told;  /* and whoever reads knows */
};

struct relay {
    struct tls_connection *connection;
    SSL *ssl;
    int fd, clear_fd;
    struct way in, out; /* from the client, to it */
    int64_t taken_ms;   /* when the client took something, or there was something new */
    bool broken;
    bool tls_wants_write; /* to read, or to write, TLS must write first; or to write, read */
    bool tls_wants_read;
};

bool tls_shake_hands(struct tls_connection *connection)
{
    for (;;) {
        ERR_clear_error();
        int done = SSL_accept(connection->ssl);
        if (done == 1)
            return true;
        int why = SSL_get_error(connection->ssl, done);
        int64_t left_ms = connection->stranger_until_ms - clock_boottime_ms();
        if ((why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) || left_ms <= 0 ||
            tls_ends(connection))
            return false;
        struct pollfd entry = {.fd = connection->fd,
                               .events = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT};
        poll(&entry, 1, left_ms > LOOK_MS ? LOOK_MS : (int)left_ms);
    }
}

static bool is_empty(const struct way *way)
{
    return way->from == way->to;
}

/* After a step of TLS that did nothing: what it waits for, or that it is over. */
static void look_why(struct relay *relay, int done, bool *ended)
{
    switch (SSL_get_error(relay->ssl, done)) {
    case SSL_ERROR_WANT_READ:
        relay->tls_wants_read = true;
        break;
    case SSL_ERROR_WANT_WRITE:
        relay->tls_wants_write = true;
        break;
    case SSL_ERROR_ZERO_RETURN:
        *ended = true;
        break;
    default:
        relay->broken = true;
    }
}

/* Each step: true when it moved something. */

static bool hear_client(struct relay *relay)
{
    struct way *in = &relay->in;
    size_t got = 0;
    if (in->ended || !is_empty(in))
        return false;
    ERR_clear_error();
    int done = SSL_read_ex(relay->ssl, in->bytes, sizeof in->bytes, &got);
    in->from = 0;
    in->to = got;
    if (done != 1)
        look_why(relay, done, &in->ended);
    return done == 1 || in->ended;
}

static bool tell_client(struct relay *relay)
{
    struct way *out = &relay->out;
    size_t put = 0;
    bool ended = false;
    if (is_empty(out))
        return false;
    ERR_clear_error();
    int done = SSL_write_ex(relay->ssl, out->bytes + out->from, out->to - out->from, &put);
    out->from += put;
    if (put)
        relay->taken_ms = clock_boottime_ms();
    if (done != 1)
        look_why(relay, done, &ended);
    relay->broken |= ended;
    return done == 1;
}

static bool hear_clear(struct relay *relay)
{
    struct way *out = &relay->out;
    if (out->ended || !is_empty(out))
        return false;
    ssize_t got = recv(relay->clear_fd, out->bytes, sizeof out->bytes, 0);
    out->from = 0;
    out->to = got > 0 ? (size_t)got : 0;
    out->ended = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    if (got > 0)
        relay->taken_ms = clock_boottime_ms();
    return got > 0 || out->ended;
}

static bool tell_clear(struct relay *relay)
{
    struct way *in = &relay->in;
    if (is_empty(in)) {
        if (!in->ended || in->told)
            return false;
        shutdown(relay->clear_fd, SHUT_WR);
        in->told = true;
        return true;
    }
    ssize_t put = send(relay->clear_fd, in->bytes + in->from, in->to - in->from, MSG_NOSIGNAL);
    if (put > 0)
        in->from += (size_t)put;
    else if (errno != EAGAIN && errno != EINTR) /* nobody reads on; what was said still goes out */
        *in = (struct way){.ended = true, .told = true};
    return put > 0;
}

static void wait_for_more(const struct relay *relay)
{
    bool reads = relay->tls_wants_read &&
                 ((!relay->in.ended && is_empty(&relay->in)) || !is_empty(&relay->out));
    bool hears = !relay->out.ended && is_empty(&relay->out);
    struct pollfd entries[] = {
        /* a negative one is left out: what hung up would wake us again and again */
        {.fd = reads || relay->tls_wants_write ? relay->fd : -1,
         .events = (short)((reads ? POLLIN : 0) | (relay->tls_wants_write ? POLLOUT : 0))},
        {.fd = hears || !is_empty(&relay->in) ? relay->clear_fd : -1,
         .events = (short)((hears ? POLLIN : 0) | (!is_empty(&relay->in) ? POLLOUT : 0))},
    };
    poll(entries, 2, LOOK_MS);
}

/* The reader of the clear end has gone: what it said last is still to be sent, for a while. */
static bool is_over(const struct relay *relay, int64_t *flush_until_ms)
{
    int64_t now_ms = clock_boottime_ms();
    bool stalls = !is_empty(&relay->out) &&
                  now_ms - relay->taken_ms >= relay->connection->server->options.stall_ms;
    if (relay->broken || stalls || tls_ends(relay->connection))
        return true;
    if (!relay->out.ended)
        return false;
    if (!*flush_until_ms)
        *flush_until_ms = now_ms + TLS_FLUSH_MS;
    return is_empty(&relay->out) || now_ms >= *flush_until_ms;
}

void tls_relay(struct tls_connection *connection, int clear_fd)
{
    struct relay relay = {.connection = connection,
                          .ssl = connection->ssl,
                          .fd = connection->fd,
                          .clear_fd = clear_fd};
    int64_t flush_until_ms = 0;
    while (!is_over(&relay, &flush_until_ms)) {
        relay.tls_wants_read = relay.tls_wants_write = false;
        bool moved = hear_client(&relay);
        moved |= tell_clear(&relay);
        moved |= hear_clear(&relay);
        moved |= tell_client(&relay);
        if (!moved && !relay.broken)
            wait_for_more(&relay);
    }
    if (!relay.broken)
        SSL_shutdown(connection->ssl);
}
