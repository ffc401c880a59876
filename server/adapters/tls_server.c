/* See tls_server.h: the port, its acceptor, a thread per connection, and the terms. */
#include "server/adapters/tls_private.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 64, STACK_BYTES = 256 << 10, LOOK_MS = 250, NO_FILE_MS = 20 };

/* ---- one connection ---- */

static void never_block(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* Certified is not enough: others may have a certificate of the same authority. */
static bool is_known(const struct tls_server_options *options, const struct tls_client *client)
{
    return client->certified && (!options->allows || options->allows(options->arg, client));
}

static void serve(struct tls_connection *connection)
{
    const struct tls_server_options *options = &connection->server->options;
    struct tls_client client;
    int pair[2];
    if (!tls_shake_hands(connection) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    tls_client_of(connection->ssl, &client);
    tls_place_greet(connection, is_known(options, &client));
    never_block(pair[0]);
    options->take(options->arg, pair[1], (struct sockaddr *)&connection->from,
                  connection->from_bytes, &client);
    tls_relay(connection, pair[0]);
    close(pair[0]);
}

static void *connection_main(void *arg)
{
    struct tls_connection *connection = arg;
    serve(connection);
    tls_place_leave(connection);
    return NULL;
}

/* ---- accepting ---- */

/* Its place is taken before its thread begins, so that a stop waits for it. */
static void begin(struct tls_server *server, int fd, const struct sockaddr_storage *from,
                  socklen_t from_bytes)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct tls_connection *connection = tls_place_take(server, fd, from, from_bytes);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&thread, &attributes, connection_main, connection) != 0)
        tls_place_leave(connection);
    pthread_attr_destroy(&attributes);
}

static void accept_one(struct tls_server *server)
{
    struct sockaddr_storage from;
    socklen_t bytes = sizeof from;
    int fd = accept4(server->fd, (struct sockaddr *)&from, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        begin(server, fd, &from, bytes);
    else if (errno != EAGAIN && errno != ECONNABORTED)
        clock_sleep_ms(NO_FILE_MS); /* no descriptor is left */
}

/* Whoever comes is accepted: a queue of the silent would keep out who has something to say. */
static void *acceptor_main(void *arg)
{
    struct tls_server *server = arg;
    int64_t looked_ms = clock_boottime_ms();
    while (!atomic_load(&server->stopping)) {
        struct pollfd entry = {.fd = server->fd, .events = POLLIN};
        if (tls_places_free(server) && poll(&entry, 1, LOOK_MS) > 0)
            accept_one(server);
        if (clock_boottime_ms() - looked_ms < LOOK_MS)
            continue;
        pthread_mutex_lock(&server->lock);
        tls_places_look(server);
        pthread_mutex_unlock(&server->lock);
        looked_ms = clock_boottime_ms();
    }
    return NULL;
}

/* ---- life ---- */

static int cannot_listen(struct ctx *ctx, const struct tls_server_options *options, const char *why)
{
    return err_set(ctx, ERR_CONFIG, "CannotListen", "port %d of %s: %s", options->port,
                   options->address, why);
}

static socklen_t parse_address(const struct tls_server_options *options,
                               struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    uint16_t port = htons((uint16_t)options->port);
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, options->address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = port;
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, options->address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port;
        return sizeof *v6;
    }
    return 0;
}

static int listen_at(struct ctx *ctx, struct tls_server *server)
{
    struct sockaddr_storage address;
    socklen_t bytes = parse_address(&server->options, &address);
    int one = 1;
    if (!bytes)
        return cannot_listen(ctx, &server->options, "that is no address");
    server->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->fd < 0)
        return cannot_listen(ctx, &server->options, strerror(errno));
    setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(server->fd, (struct sockaddr *)&address, bytes) < 0 ||
        listen(server->fd, BACKLOG) < 0 ||
        getsockname(server->fd, (struct sockaddr *)&address, &bytes) < 0)
        return cannot_listen(ctx, &server->options, strerror(errno));
    /* the port is at the same place in both forms */
    server->port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    return 0;
}

static void server_free(struct tls_server *server)
{
    if (server->fd >= 0)
        close(server->fd);
    SSL_CTX_free(server->tls);
    free(server->client_ca);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->gone);
    free(server);
}

int tls_server_start(struct ctx *ctx, const struct tls_server_options *options,
                     const struct tls_terms *terms, struct tls_server **ret)
{
    struct tls_server *server = calloc(1, sizeof *server);
    if (!server)
        abort();
    server->options = *options;
    if (server->options.stranger_ms <= 0)
        server->options.stranger_ms = TLS_STRANGER_MS;
    if (server->options.stall_ms <= 0)
        server->options.stall_ms = TLS_STALL_MS;
    server->fd = -1;
    pthread_mutex_init(&server->lock, NULL);
    clock_cond_init(&server->gone);
    int rc = tls_server_renew(ctx, server, terms);
    if (rc == 0)
        rc = listen_at(ctx, server);
    if (rc < 0) {
        server_free(server);
        return rc;
    }
    if (pthread_create(&server->acceptor, NULL, acceptor_main, server) != 0)
        abort(); /* no threads at start-up: nothing to go on with */
    *ret = server;
    return 0;
}

/* With the lock held: whoever was believed by the authorities before goes. */
static bool see_them_off(struct tls_server *server)
{
    const struct timespec until = clock_until(TLS_RENEW_MS);
    tls_places_look(server);
    while (tls_places_have_older(server))
        if (pthread_cond_timedwait(&server->gone, &server->lock, &until) == ETIMEDOUT)
            return !tls_places_have_older(server);
    return true;
}

int tls_server_renew(struct ctx *ctx, struct tls_server *server, const struct tls_terms *terms)
{
    const char *authorities = terms->client_ca ? terms->client_ca : "";
    SSL_CTX *tls = NULL;
    TRY(tls_context_make(ctx, terms, &tls));
    char *copy = strdup(authorities);
    if (!copy)
        abort();
    pthread_mutex_lock(&server->lock);
    SSL_CTX *before = server->tls;
    bool others = !str_equal(server->client_ca, authorities);
    server->tls = tls;
    free(server->client_ca);
    server->client_ca = copy;
    if (others)
        atomic_fetch_add(&server->trust, 1);
    bool gone = see_them_off(server);
    pthread_mutex_unlock(&server->lock);
    SSL_CTX_free(before); /* connections hold it as long as they need it */
    return gone ? 0
                : err_set(ctx, ERR_UNAVAILABLE, "TlsClientsLinger",
                          "connections that other authorities certified have not ended in 5 s");
}

int tls_server_port(const struct tls_server *server)
{
    return server->port;
}

void tls_server_stop(struct tls_server *server)
{
    if (!server)
        return;
    atomic_store(&server->stopping, true);
    pthread_join(server->acceptor, NULL);
    pthread_mutex_lock(&server->lock);
    tls_places_look(server);
    while (server->connections > 0)
        pthread_cond_wait(&server->gone, &server->lock);
    pthread_mutex_unlock(&server->lock);
    server_free(server);
}
