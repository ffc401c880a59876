/* TLS ends here: bytes go through unchanged, the last ones too; who is renewed, and who ends. */
#include "server/adapters/certificate.h"
#include "server/adapters/tls_server.h"
#include "server/adapters/transport.h"
#include "server/base/clock.h"
#include "tests/unit/test.h"

#include <pthread.h>
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
    SPEECH = 700000
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
    const struct tls_server_options options = {
        .address = "127.0.0.1", .stranger_ms = stranger_ms, .take = take, .arg = &scene->work};
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
        TEST(test_no_place_to_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
