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

enum { BACKLOG = 64, STACK_BYTES = 256 << 10, LOOK_MS = 250, FULL_MS = 20 };

/* ---- one connection ---- */

static void never_block(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* From now on it counts as one that is known. */
static void let_know(struct tls_connection *connection)
{
    struct tls_server *server = connection->server;
    pthread_mutex_lock(&server->lock);
    server->strangers--;
    pthread_mutex_unlock(&server->lock);
    connection->stranger = false;
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
    if (client.certified)
        let_know(connection);
    never_block(pair[0]);
    options->take(options->arg, pair[1], (struct sockaddr *)&connection->from,
                  connection->from_bytes, &client);
    tls_relay(connection, pair[0]);
    close(pair[0]);
}

static void end(struct tls_connection *connection)
{
    struct tls_server *server = connection->server;
    SSL_free(connection->ssl);
    close(connection->fd);
    pthread_mutex_lock(&server->lock);
    server->connections--;
    server->strangers -= connection->stranger;
    server->of_trust[connection->trust & 1]--;
    pthread_cond_broadcast(&server->gone);
    pthread_mutex_unlock(&server->lock);
    free(connection);
}

static void *connection_main(void *arg)
{
    struct tls_connection *connection = arg;
    serve(connection);
    end(connection);
    return NULL;
}

/* ---- accepting ---- */

static bool has_room(struct tls_server *server)
{
    pthread_mutex_lock(&server->lock);
    bool room = server->connections < TLS_CONNECTIONS_MAX && server->strangers < TLS_STRANGERS_MAX;
    pthread_mutex_unlock(&server->lock);
    return room;
}

/* Counted before its thread begins, so that a stop waits for it. */
static struct tls_connection *count_in(struct tls_server *server, int fd)
{
    struct tls_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        abort();
    *connection = (struct tls_connection){.server = server,
                                          .fd = fd,
                                          .stranger = true,
                                          .stranger_until_ms =
                                              clock_boottime_ms() + server->options.stranger_ms};
    pthread_mutex_lock(&server->lock);
    server->connections++;
    server->strangers++;
    connection->trust = atomic_load(&server->trust);
    server->of_trust[connection->trust & 1]++;
    connection->ssl = SSL_new(server->tls);
    pthread_mutex_unlock(&server->lock);
    if (!connection->ssl || SSL_set_fd(connection->ssl, fd) != 1)
        abort();
    return connection;
}

static void begin(struct tls_server *server, int fd, const struct sockaddr_storage *from,
                  socklen_t from_bytes)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct tls_connection *connection = count_in(server, fd);
    connection->from = *from;
    connection->from_bytes = from_bytes;
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&thread, &attributes, connection_main, connection) != 0)
        end(connection);
    pthread_attr_destroy(&attributes);
}

static void *acceptor_main(void *arg)
{
    struct tls_server *server = arg;
    while (!atomic_load(&server->stopping)) {
        struct pollfd entry = {.fd = server->fd, .events = POLLIN};
        if (!has_room(server)) { /* who comes waits in the backlog */
            clock_sleep_ms(FULL_MS);
            continue;
        }
        if (poll(&entry, 1, LOOK_MS) <= 0)
            continue;
        struct sockaddr_storage from;
        socklen_t bytes = sizeof from;
        int fd =
            accept4(server->fd, (struct sockaddr *)&from, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            begin(server, fd, &from, bytes);
        else if (errno != EAGAIN && errno != ECONNABORTED)
            clock_sleep_ms(FULL_MS); /* no descriptor is left */
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
    server->fd = -1;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->gone, NULL);
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
static void change_trust(struct tls_server *server)
{
    int before = atomic_fetch_add(&server->trust, 1);
    while (server->of_trust[before & 1] > 0)
        pthread_cond_wait(&server->gone, &server->lock);
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
        change_trust(server);
    pthread_mutex_unlock(&server->lock);
    SSL_CTX_free(before); /* connections hold it as long as they need it */
    return 0;
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
    while (server->connections > 0)
        pthread_cond_wait(&server->gone, &server->lock);
    pthread_mutex_unlock(&server->lock);
    server_free(server);
}
