/*
 * Threads of the listener: MHD's two epoll threads parse and send, W workers run handlers, and a
 * janitor ends connections that take too long. MHD's own timeout counts inactivity only; a peer
 * that sends a byte every few seconds is ended by the janitor.
 */
#include "server/net/http_private.h"

#include "server/base/clock.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EPOLL_THREADS = 2,
    JANITOR_PERIOD_MS = 250,
    INACTIVITY_TIMEOUT_S = 60,
    STOP_PATIENCE_MS = 10000,
    DEFAULT_WORKERS = 8,
    DEFAULT_REQUEST_TIMEOUT_MS = 75000,
    DEFAULT_RECEIVE_TIMEOUT_MS = 20000,
};

/* ---- peers and their deadlines ---- */

void http_peer_deadline(struct http_server *server, struct peer *peer, int64_t ms_from_now)
{
    pthread_mutex_lock(&server->peers_lock);
    peer->deadline_ms = ms_from_now ? clock_boottime_ms() + ms_from_now : 0;
    pthread_mutex_unlock(&server->peers_lock);
}

static struct peer *peer_new(int fd, const char *client)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer || (client && !(peer->client = strdup(client))))
        abort();
    peer->fd = fd;
    return peer;
}

static void peer_free(struct peer *peer)
{
    free(peer->client);
    free(peer);
}

/* With the lock held. The newest of that number: an older one was refused, and is going. */
static struct peer *find_taken(struct http_server *server, int fd)
{
    struct peer *peer;
    LIST_FOREACH(peer, &server->taken, entry)
    if (peer->fd == fd) {
        LIST_REMOVE(peer, entry);
        return peer;
    }
    return NULL;
}

static struct peer *peer_begins(struct http_server *server, int fd)
{
    pthread_mutex_lock(&server->peers_lock);
    struct peer *peer = find_taken(server, fd);
    if (!peer)
        peer = peer_new(fd, NULL);
    peer->deadline_ms = clock_boottime_ms() + server->options.receive_timeout_ms;
    LIST_INSERT_HEAD(&server->peers, peer, entry);
    pthread_mutex_unlock(&server->peers_lock);
    return peer;
}

static void peer_event(void *arg, struct MHD_Connection *connection, void **context,
                       enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = arg;
    struct peer *peer = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = peer_begins(
            server,
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
        return;
    }
    pthread_mutex_lock(&server->peers_lock);
    LIST_REMOVE(peer, entry);
    pthread_mutex_unlock(&server->peers_lock);
    peer_free(peer);
}

void http_server_take(struct http_server *server, int fd, const struct sockaddr *from,
                      unsigned from_bytes, const char *client)
{
    struct peer *peer = peer_new(fd, client);
    pthread_mutex_lock(&server->peers_lock);
    LIST_INSERT_HEAD(&server->taken, peer, entry);
    pthread_mutex_unlock(&server->peers_lock);
    if (MHD_add_connection(server->daemon, fd, from, from_bytes) == MHD_YES)
        return; /* it may have begun, and even be over */
    pthread_mutex_lock(&server->peers_lock);
    LIST_REMOVE(peer, entry);
    pthread_mutex_unlock(&server->peers_lock);
    peer_free(peer);
}

/* The descriptor is open as long as the peer is in the list: MHD tells before it closes. */
static void end_late_peers(struct http_server *server)
{
    int64_t now_ms = clock_boottime_ms();
    struct peer *peer;
    pthread_mutex_lock(&server->peers_lock);
    LIST_FOREACH(peer, &server->peers, entry)
    if (peer->deadline_ms && peer->deadline_ms <= now_ms)
        shutdown(peer->fd, SHUT_RDWR);
    pthread_mutex_unlock(&server->peers_lock);
}

static void *janitor_main(void *arg)
{
    struct http_server *server = arg;
    for (;;) {
        pthread_mutex_lock(&server->lock);
        bool stopping = server->stopping;
        pthread_mutex_unlock(&server->lock);
        if (stopping)
            return NULL;
        end_late_peers(server);
        clock_sleep_ms(JANITOR_PERIOD_MS);
    }
}

/* ---- queue and workers ---- */

/* With the lock held. */
static void enqueue(struct http_server *server, struct exchange *exchange)
{
    exchange->state = EXCHANGE_QUEUED;
    STAILQ_INSERT_TAIL(&server->queue, exchange, entry);
    server->queued++;
    pthread_cond_signal(&server->work);
}

bool http_server_submit(struct exchange *exchange)
{
    struct http_server *server = exchange->server;
    pthread_mutex_lock(&server->lock);
    bool room = server->queued < HTTP_QUEUE_MAX && !server->stopping;
    if (room) {
        server->busy++;
        exchange->submitted = true;
        enqueue(server, exchange);
    }
    pthread_mutex_unlock(&server->lock);
    return room;
}

void http_server_release(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->busy--;
    pthread_cond_signal(&server->idle);
    pthread_mutex_unlock(&server->lock);
}

void http_server_requeue(const struct request *request)
{
    struct exchange *exchange = request->exchange_;
    struct http_server *server = exchange->server;
    pthread_mutex_lock(&server->lock);
    exchange->request.resumed = true;
    if (exchange->state == EXCHANGE_PARKED)
        enqueue(server, exchange);
    else
        exchange->woken = true;
    pthread_mutex_unlock(&server->lock);
}

/* NULL when the server stops. */
static struct exchange *next_exchange(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    while (STAILQ_EMPTY(&server->queue) && !server->stopping)
        pthread_cond_wait(&server->work, &server->lock);
    struct exchange *exchange = STAILQ_FIRST(&server->queue);
    if (exchange) {
        STAILQ_REMOVE_HEAD(&server->queue, entry);
        server->queued--;
        exchange->state = EXCHANGE_RUNNING;
    }
    pthread_mutex_unlock(&server->lock);
    return exchange;
}

static void put_back(struct http_server *server, struct exchange *exchange, bool answered)
{
    pthread_mutex_lock(&server->lock);
    if (answered) {
        exchange->state = EXCHANGE_ANSWERED;
    } else if (exchange->woken) {
        exchange->woken = false;
        enqueue(server, exchange);
    } else {
        exchange->state = EXCHANGE_PARKED;
    }
    pthread_mutex_unlock(&server->lock);
}

static void *worker_main(void *arg)
{
    struct http_server *server = arg;
    struct exchange *exchange;
    while ((exchange = next_exchange(server))) {
        bool answered = http_exchange_run(exchange);
        struct MHD_Connection *connection = exchange->connection;
        put_back(server, exchange,
                 answered); /* the exchange may be another thread's from here on */
        if (answered)
            MHD_resume_connection(connection);
    }
    return NULL;
}

/* ---- life ---- */

static struct http_server *server_new(const struct http_server_options *options)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        abort();
    server->options = *options;
    struct http_server_options *own = &server->options;
    own->workers = own->workers > 0 ? own->workers : DEFAULT_WORKERS;
    if (own->request_timeout_ms <= 0)
        own->request_timeout_ms = DEFAULT_REQUEST_TIMEOUT_MS;
    if (own->receive_timeout_ms <= 0)
        own->receive_timeout_ms = DEFAULT_RECEIVE_TIMEOUT_MS;
    server->worker = calloc((size_t)own->workers, sizeof *server->worker);
    if (!server->worker)
        abort();
    STAILQ_INIT(&server->queue);
    LIST_INIT(&server->peers);
    LIST_INIT(&server->taken);
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->peers_lock, NULL);
    pthread_cond_init(&server->work, NULL);
    clock_cond_init(&server->idle);
    return server;
}

static void server_free(struct http_server *server)
{
    struct peer *peer;
    while ((peer = LIST_FIRST(&server->taken))) { /* MHD closed it before it began */
        LIST_REMOVE(peer, entry);
        peer_free(peer);
    }
    pthread_cond_destroy(&server->work);
    pthread_cond_destroy(&server->idle);
    pthread_mutex_destroy(&server->lock);
    pthread_mutex_destroy(&server->peers_lock);
    free(server->worker);
    free(server);
}

static bool parse_address(const char *text, int port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return true;
    }
    return false;
}

/* Without a port there is one thread, which connections are handed to. */
static unsigned daemon_flags(const struct http_server *server, int family)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    if (!server->options.address)
        flags |= MHD_USE_NO_LISTEN_SOCKET;
    return family == AF_INET6 ? flags | MHD_USE_IPv6 : flags;
}

static int start_daemon(struct ctx *ctx, struct http_server *server)
{
    const struct http_server_options *own = &server->options;
    struct sockaddr_storage address = {0};
    bool listens = own->address != NULL;
    if (listens && !parse_address(own->address, own->port, &address))
        return err_set(ctx, ERR_CONFIG, NULL, "'%s' is not an address to listen on", own->address);
    struct MHD_OptionItem of_port[] = {
        {MHD_OPTION_SOCK_ADDR, 0, &address},
        {MHD_OPTION_THREAD_POOL_SIZE, EPOLL_THREADS, NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, own->connections_per_address, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    server->daemon = MHD_start_daemon(
        daemon_flags(server, address.ss_family), (uint16_t)own->port, NULL, NULL,
        http_exchange_step, server, MHD_OPTION_ARRAY, listens ? of_port : &of_port[3],
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)INACTIVITY_TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, http_exchange_open, server, MHD_OPTION_NOTIFY_COMPLETED,
        http_exchange_close, server, MHD_OPTION_NOTIFY_CONNECTION, peer_event, server,
        MHD_OPTION_END);
    if (!server->daemon)
        return err_set(ctx, ERR_CONFIG, "CannotListen", "cannot listen on %s port %d: %m",
                       listens ? own->address : "no", own->port);
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    server->port = info ? info->port : own->port;
    return 0;
}

int http_server_start(struct ctx *ctx, const struct http_server_options *options,
                      struct http_server **ret)
{
    struct http_server *server = server_new(options);
    int rc = start_daemon(ctx, server);
    if (rc < 0) {
        server_free(server);
        return rc;
    }
    bool started = pthread_create(&server->janitor, NULL, janitor_main, server) == 0;
    for (int at = 0; started && at < server->options.workers; at++)
        started = pthread_create(&server->worker[at], NULL, worker_main, server) == 0;
    if (!started)
        abort(); /* no threads at start-up: nothing to go on with */
    *ret = server;
    return 0;
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

static void wait_for_answers(struct http_server *server)
{
    const struct timespec until = clock_until(STOP_PATIENCE_MS);
    pthread_mutex_lock(&server->lock);
    while (server->busy > 0 && pthread_cond_timedwait(&server->idle, &server->lock, &until) == 0)
        continue;
    server->stopping = true;
    pthread_cond_broadcast(&server->work);
    pthread_mutex_unlock(&server->lock);
}

void http_server_stop(struct http_server *server)
{
    if (!server)
        return;
    MHD_socket listener = MHD_quiesce_daemon(server->daemon);
    wait_for_answers(server);
    for (int at = 0; at < server->options.workers; at++)
        pthread_join(server->worker[at], NULL); /* they empty the queue first */
    pthread_join(server->janitor, NULL);
    MHD_stop_daemon(server->daemon);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
    server_free(server);
}
