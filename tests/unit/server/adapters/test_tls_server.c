/* TLS ends here: bytes go through unchanged, the last ones too; who is renewed, and who ends. */
#include "server/adapters/certificate.h"
#include "server/adapters/tls_server.h"
#include "server/adapters/transport.h"
#include "server/base/clock.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LIMIT_MS = 15000,
    PATIENCE_MS = 60000,
    SHORT_MS = 2000,
    PIECE = 50000,
    PIECES = 20,
    SPEECH = 700000,
    CROWD = 4 * TLS_STRANGERS_MAX,
};

static atomic_int at_work;
static atomic_bool certified;

static void *echo_main(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char piece[4096];
    ssize_t got;
    while ((got = read(fd, piece, sizeof piece)) > 0)
        for (ssize_t put = 0, more; put < got; put += more)
            if ((more = send(fd, piece + put, (size_t)(got - put), MSG_NOSIGNAL)) <= 0)
                break;
    close(fd);
    atomic_fetch_sub(&at_work, 1);
    return NULL;
}

/* Says much, and goes at once. */
static void *speak_main(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char *speech = calloc(1, SPEECH);
    assert_non_null(speech);
    for (ssize_t put = 0, more; put < SPEECH; put += more)
        if ((more = send(fd, speech + put, (size_t)(SPEECH - put), MSG_NOSIGNAL)) <= 0)
            break;
    free(speech);
    close(fd);
    atomic_fetch_sub(&at_work, 1);
    return NULL;
}

/* Says on and on, until nobody can hear it any more. */
static void *chatter_main(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char piece[4096] = {0};
    while (send(fd, piece, sizeof piece, MSG_NOSIGNAL) > 0)
        continue;
    close(fd);
    atomic_fetch_sub(&at_work, 1);
    return NULL;
}

static void take(void *arg, int fd, const struct sockaddr *from, socklen_t from_bytes,
                 const struct tls_client *client)
{
    pthread_t thread;
    void *(*work)(void *) = *(void *(**)(void *))arg;
    assert_true(from->sa_family == AF_INET && from_bytes > 0);
    atomic_store(&certified, client->certified);
    atomic_fetch_add(&at_work, 1);
    assert_int_equal(pthread_create(&thread, NULL, work, (void *)(intptr_t)fd), 0);
    pthread_detach(thread);
}

struct scene {
    struct tls_server *server;
    struct tls_terms terms;
    void *(*work)(void *);
};

static void begin(struct ctx *ctx, struct scene *scene, void *(*work)(void *), int stranger_ms)
{
    *scene = (struct scene){.work = work};
    certificate_loopback(ctx->arena, "test", &scene->terms.certificate, &scene->terms.key);
    const struct tls_server_options options = {.address = "127.0.0.1",
                                               .stranger_ms = stranger_ms,
                                               .stall_ms = SHORT_MS,
                                               .take = take,
                                               .arg = &scene->work};
    assert_int_equal(tls_server_start(ctx, &options, &scene->terms, &scene->server), 0);
}

static struct transport *dial(struct ctx *ctx, const struct scene *scene)
{
    struct transport *transport = NULL;
    const struct transport_target target = {.host = "127.0.0.1",
                                            .port = tls_server_port(scene->server),
                                            .ssl_mode = "verify-full",
                                            .ca_pem = scene->terms.certificate};
    assert_int_equal(transport_open(ctx, &target, clock_boottime_ms() + LIMIT_MS, &transport), 0);
    return transport;
}

static void end(struct scene *scene)
{
    tls_server_stop(scene->server);
    while (atomic_load(&at_work) > 0)
        clock_sleep_ms(5);
}

/* Bytes until the end of the stream, or `count` of them. */
static size_t hear(struct ctx *ctx, struct transport *transport, char *out, size_t count)
{
    size_t used = 0, got;
    while (used < count && transport_receive(ctx, transport, out + used, count - used,
                                             clock_boottime_ms() + LIMIT_MS, &got) == 0)
        used += got;
    return used;
}

static void test_bytes_go_through(void **state)
{
    struct ctx *ctx = *state;
    struct scene scene;
    static char said[PIECE], heard[PIECE];
    begin(ctx, &scene, echo_main, PATIENCE_MS);
    struct transport *transport = dial(ctx, &scene);
    for (int piece = 0; piece < PIECES; piece++) {
        for (int at = 0; at < PIECE; at++)
            said[at] = (char)(at * 7 + piece);
        assert_int_equal(
            transport_send(ctx, transport, said, PIECE, clock_boottime_ms() + LIMIT_MS), 0);
        assert_int_equal(hear(ctx, transport, heard, PIECE), PIECE);
        assert_memory_equal(said, heard, PIECE);
    }
    assert_false(atomic_load(&certified)); /* there are no authorities of clients */
    transport_close(transport);
    end(&scene);
}

static void test_the_last_words_are_heard(void **state)
{
    struct ctx *ctx = *state;
    struct scene scene;
    static char heard[SPEECH + 1];
    begin(ctx, &scene, speak_main, PATIENCE_MS);
    struct transport *transport = dial(ctx, &scene);
    clock_sleep_ms(200); /* whoever spoke is gone */
    assert_int_equal(hear(ctx, transport, heard, sizeof heard), SPEECH);
    transport_close(transport);
    end(&scene);
}

static bool echoes(struct ctx *ctx, struct transport *transport)
{
    char byte = 0;
    return transport_send(ctx, transport, "x", 1, clock_boottime_ms() + LIMIT_MS) == 0 &&
           hear(ctx, transport, &byte, 1) == 1 && byte == 'x';
}

static void test_who_ends_when_terms_change(void **state)
{
    struct ctx *ctx = *state;
    struct scene scene;
    begin(ctx, &scene, echo_main, PATIENCE_MS);
    struct transport *transport = dial(ctx, &scene);
    assert_true(echoes(ctx, transport));
    struct tls_terms other = {0}, mixed;
    certificate_loopback(ctx->arena, "other", &other.certificate, &other.key);
    mixed = (struct tls_terms){.certificate = other.certificate, .key = scene.terms.key};
    assert_int_equal(tls_server_renew(ctx, scene.server, &mixed), -ERR_CONFIG);
    assert_string_equal(ctx->err.reason, "TlsTermsInvalid");
    mixed = (struct tls_terms){
        .certificate = other.certificate, .key = other.key, .client_ca = "nothing"};
    assert_int_equal(tls_server_renew(ctx, scene.server, &mixed), -ERR_CONFIG);
    assert_true(echoes(ctx, transport));

    assert_int_equal(tls_server_renew(ctx, scene.server, &other), 0);
    assert_true(echoes(ctx, transport)); /* only its certificate is old */
    scene.terms = other;
    struct transport *second = dial(ctx, &scene);
    assert_true(echoes(ctx, second));

    other.client_ca = other.certificate;
    assert_int_equal(tls_server_renew(ctx, scene.server, &other), 0);
    assert_false(echoes(ctx, transport) || echoes(ctx, second));
    transport_close(transport);
    transport_close(second);
    end(&scene);
}

static void test_a_stranger_has_his_time(void **state)
{
    struct ctx *ctx = *state;
    struct scene scene;
    char byte;
    begin(ctx, &scene, echo_main, SHORT_MS);
    struct transport *transport = dial(ctx, &scene);
    assert_int_equal(hear(ctx, transport, &byte, 1), 0);
    assert_int_equal(ctx->err.code, ERR_UNAVAILABLE); /* it was ended: nobody waited in vain */
    transport_close(transport);
    end(&scene);
}

/* ---- who must leave his place ---- */

/* A connection that says nothing, from 127.0.0.`from`. */
static int silent(const struct scene *scene, int from)
{
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(0x7f000000u + (unsigned)from)};
    struct sockaddr_in its = {.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)tls_server_port(scene->server)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&its, sizeof its), 0);
    return fd;
}

static bool was_ended(int fd, int within_ms)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, within_ms) == 1;
}

static int count_ended(const int *fds, int count, int within_ms)
{
    int ended = 0;
    clock_sleep_ms(within_ms);
    for (int at = 0; at < count; at++)
        ended += was_ended(fds[at], 0);
    return ended;
}

static void close_all(const int *fds, int count)
{
    for (int at = 0; at < count; at++)
        close(fds[at]);
}

static void test_the_silent_keep_nobody_out(void **state)
{
    struct ctx *ctx = *state;
    struct scene scene;
    int fds[CROWD];
    begin(ctx, &scene, echo_main, PATIENCE_MS);
    int64_t began_ms = clock_boottime_ms();
    for (int at = 0; at < CROWD; at++)
        fds[at] = silent(&scene, 2 + at % 40); /* more addresses than there are places */
    struct transport *transport = dial(ctx, &scene);
    assert_true(echoes(ctx, transport));
    /* no place became free by itself in that time */
    assert_true(clock_boottime_ms() - began_ms < TLS_HANDSHAKE_MS);
    assert_int_equal(count_ended(fds, CROWD, 200), CROWD - TLS_STRANGERS_MAX + 1);
    assert_int_equal(count_ended(fds, CROWD, TLS_HANDSHAKE_MS + 500), CROWD);
    assert_true(echoes(ctx, transport));
    transport_close(transport);
    close_all(fds, CROWD);
    end(&scene);
}

static void test_one_address_has_not_all_places(void **state)
{
    struct ctx *ctx = *state;
    struct scene scene;
    enum { MANY = TLS_ADDRESS_STRANGERS_MAX, OTHERS = TLS_STRANGERS_MAX - MANY };
    int many[MANY + 1], others[OTHERS], last;
    begin(ctx, &scene, echo_main, PATIENCE_MS);
    others[0] = silent(&scene, 3);
    for (int at = 0; at < MANY; at++)
        many[at] = silent(&scene, 2);
    assert_int_equal(count_ended(many, MANY, 50), 0);
    many[MANY] = silent(&scene, 2); /* one too many: its own oldest goes */
    assert_true(was_ended(many[0], 1000));
    for (int at = 1; at < OTHERS; at++)
        others[at] = silent(&scene, 3 + at);
    assert_false(was_ended(many[1], 50) || was_ended(others[0], 0));
    last = silent(&scene, 100); /* all places are taken: of the most, the oldest, and not of all */
    assert_true(was_ended(many[1], 1000));
    assert_int_equal(count_ended(many + 2, MANY - 1, 0) + count_ended(others, OTHERS, 0), 0);
    assert_false(was_ended(last, 0));
    close_all(many, MANY + 1);
    close_all(others, OTHERS);
    close(last);
    end(&scene);
}

static void test_who_takes_nothing_is_ended(void **state)
{
    struct ctx *ctx = *state;
    struct scene scene;
    begin(ctx, &scene, chatter_main, PATIENCE_MS);
    struct transport *transport = dial(ctx, &scene);
    int64_t began_ms = clock_boottime_ms();
    while (!atomic_load(&at_work))
        clock_sleep_ms(5);
    while (atomic_load(&at_work) && clock_boottime_ms() - began_ms < LIMIT_MS)
        clock_sleep_ms(20);
    int64_t took_ms = clock_boottime_ms() - began_ms;
    assert_in_range(took_ms, SHORT_MS, LIMIT_MS - 1);
    transport_close(transport);
    end(&scene);
}

static void test_no_place_to_listen(void **state)
{
    struct ctx *ctx = *state;
    struct scene scene;
    begin(ctx, &scene, echo_main, PATIENCE_MS);
    struct tls_server *second = NULL;
    struct tls_server_options options = {
        .address = "127.0.0.1", .port = tls_server_port(scene.server), .take = take};
    assert_int_equal(tls_server_start(ctx, &options, &scene.terms, &second), -ERR_CONFIG);
    assert_string_equal(ctx->err.reason, "CannotListen");
    options.address = "here";
    assert_int_equal(tls_server_start(ctx, &options, &scene.terms, &second), -ERR_CONFIG);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_go_through),           TEST(test_the_last_words_are_heard),
        TEST(test_who_ends_when_terms_change), TEST(test_a_stranger_has_his_time),
        TEST(test_the_silent_keep_nobody_out), TEST(test_one_address_has_not_all_places),
        TEST(test_who_takes_nothing_is_ended), TEST(test_no_place_to_listen),
    };
    signal(SIGPIPE, SIG_IGN); /* as each of our processes does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
