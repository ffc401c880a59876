/* Who has a place, who must leave it to others, and whose end has come. */
#include "server/adapters/tls_private.h"

#include "server/base/clock.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FULL_MS = 20 };

bool tls_ends(const struct tls_connection *connection)
{
    const struct tls_server *server = connection->server;
    return atomic_load(&server->stopping) || atomic_load(&connection->sent_away) ||
           atomic_load(&server->trust) != connection->trust ||
           (connection->stranger && clock_boottime_ms() >= connection->stranger_until_ms);
}

/* ---- with the lock held ---- */

/* Its thread sees the end of the stream, wherever it waits. The descriptor is still this one's: it
 * is closed under the lock, after the place was left. */
static void send_away(struct tls_connection *connection)
{
    atomic_store(&connection->sent_away, true);
    shutdown(connection->fd, SHUT_RDWR);
}

struct crowd {
    struct tls_connection *strangers[TLS_CONNECTIONS_MAX];
    int count;
    bool some_go; /* somebody leaves his place already */
};

static struct crowd look_around(const struct tls_server *server)
{
    struct crowd crowd = {.count = 0};
    for (int at = 0; at < TLS_CONNECTIONS_MAX; at++) {
        struct tls_connection *one = server->places[at];
        if (one && atomic_load(&one->sent_away))
            crowd.some_go = true;
        else if (one && one->stranger)
            crowd.strangers[crowd.count++] = one;
    }
    return crowd;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return memcmp(&((const struct sockaddr_in *)a)->sin_addr,
                      &((const struct sockaddr_in *)b)->sin_addr, sizeof(struct in_addr)) == 0;
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

/* The oldest of an address, and how many there are. */
static struct tls_connection *oldest_of(const struct crowd *crowd,
                                        const struct sockaddr_storage *from, int *ret_count)
{
    struct tls_connection *oldest = NULL;
    *ret_count = 0;
    for (int at = 0; at < crowd->count; at++) {
        struct tls_connection *one = crowd->strangers[at];
        if (!same_address(&one->from, from))
            continue;
        ++*ret_count;
        if (!oldest || one->number < oldest->number)
            oldest = one;
    }
    return oldest;
}

/* Of the address that has the most, so that one place cannot push out who comes from elsewhere; of
 * several such, the one that had the longest time to shake hands. NULL = there is no stranger. */
static struct tls_connection *who_goes(const struct crowd *crowd)
{
    struct tls_connection *goes = NULL;
    int most = 0;
    for (int at = 0; at < crowd->count; at++) {
        int count;
        struct tls_connection *oldest = oldest_of(crowd, &crowd->strangers[at]->from, &count);
        if (!goes || count > most || (count == most && oldest->number < goes->number)) {
            goes = oldest;
            most = count;
        }
    }
    return goes;
}

void tls_places_look(struct tls_server *server)
{
    for (int at = 0; at < TLS_CONNECTIONS_MAX; at++)
        if (server->places[at] && tls_ends(server->places[at]))
            send_away(server->places[at]);
}

bool tls_places_have_older(const struct tls_server *server)
{
    for (int at = 0; at < TLS_CONNECTIONS_MAX; at++)
        if (server->places[at] && server->places[at]->trust != atomic_load(&server->trust))
            return true;
    return false;
}

/* ---- taking the lock ---- */

bool tls_places_free(struct tls_server *server)
{
    const struct timespec until = clock_until(FULL_MS);
    pthread_mutex_lock(&server->lock);
    if (server->connections == TLS_CONNECTIONS_MAX) {
        struct crowd crowd = look_around(server);
        struct tls_connection *goes = crowd.some_go ? NULL : who_goes(&crowd);
        if (goes)
            send_away(goes);
        pthread_cond_timedwait(&server->gone, &server->lock, &until);
    }
    bool is_free = server->connections < TLS_CONNECTIONS_MAX;
    pthread_mutex_unlock(&server->lock);
    return is_free;
}

static void take_place(struct tls_server *server, struct tls_connection *connection)
{
    struct crowd crowd = look_around(server);
    int its, at = 0;
    struct tls_connection *oldest = oldest_of(&crowd, &connection->from, &its);
    if (its >= TLS_ADDRESS_STRANGERS_MAX)
        send_away(oldest);
    else if (crowd.count >= TLS_STRANGERS_MAX)
        send_away(who_goes(&crowd));
    while (server->places[at])
        at++;
    server->places[at] = connection;
    connection->place = at;
    connection->number = server->came++;
    server->connections++;
}

struct tls_connection *tls_place_take(struct tls_server *server, int fd,
                                      const struct sockaddr_storage *from, socklen_t from_bytes)
{
    struct tls_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        abort();
    connection->server = server;
    connection->fd = fd;
    connection->from = *from;
    connection->from_bytes = from_bytes;
    connection->stranger = true;
    connection->came_ms = clock_boottime_ms();
    connection->stranger_until_ms = connection->came_ms + TLS_HANDSHAKE_MS;
    pthread_mutex_lock(&server->lock);
    take_place(server, connection);
    connection->trust = atomic_load(&server->trust);
    connection->ssl = SSL_new(server->tls);
    pthread_mutex_unlock(&server->lock);
    if (!connection->ssl || SSL_set_fd(connection->ssl, fd) != 1)
        abort();
    return connection;
}

void tls_place_greet(struct tls_connection *connection, bool known)
{
    struct tls_server *server = connection->server;
    pthread_mutex_lock(&server->lock);
    connection->stranger = !known;
    connection->stranger_until_ms = connection->came_ms + server->options.stranger_ms;
    pthread_mutex_unlock(&server->lock);
}

void tls_place_leave(struct tls_connection *connection)
{
    struct tls_server *server = connection->server;
    SSL_free(connection->ssl);
    pthread_mutex_lock(&server->lock);
    server->places[connection->place] = NULL;
    server->connections--;
    close(connection->fd);
    pthread_cond_broadcast(&server->gone);
    pthread_mutex_unlock(&server->lock);
    free(connection);
}
