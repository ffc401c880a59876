/* What a server may do to us; a real one: tests/backends. */
#include "tests/unit/test.h"

#include "server/adapters/redis_link.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/str.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Accepts one connection, says `text`, then `filler` again and again, and listens to the end. */
struct fake {
    int fd, port;
    pthread_t thread;
    const char *text, *filler;
};

static void *serve(void *arg)
{
    const struct fake *fake = arg;
    char heard[4096];
    int fd = accept(fake->fd, NULL, NULL);
    ssize_t sent = send(fd, fake->text, strlen(fake->text), MSG_NOSIGNAL);
    while (fake->filler && sent > 0)
        sent = send(fd, fake->filler, strlen(fake->filler), MSG_NOSIGNAL);
    while (read(fd, heard, sizeof heard) > 0)
        ;
    close(fd);
    return NULL;
}

static void fake_start(struct fake *fake)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    fake->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fake->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fake->fd, 8), 0);
    assert_int_equal(getsockname(fake->fd, (struct sockaddr *)&address, &length), 0);
    fake->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&fake->thread, NULL, serve, fake), 0);
}

static void fake_stop(struct fake *fake)
{
    pthread_join(fake->thread, NULL);
    close(fake->fd);
}

static int open_link(struct ctx *ctx, int port, struct redis_link **ret)
{
    const struct transport_target target = {"127.0.0.1", port, "disable", NULL};
    return redis_link_open(ctx, &target, "user", "canary", ret);
}

/* Logs in to a server that has these replies ready, asks once; what the second reply came to. */
static int ask(struct ctx *ctx, const char *replies, const char *filler,
               const struct redis_reply **ret)
{
    struct fake fake = {.text = replies, .filler = filler};
    struct redis_link *link = NULL;
    fake_start(&fake);
    int rc = open_link(ctx, fake.port, &link);
    if (rc == 0)
        rc = redis_link_call(ctx, link, &REDIS_COMMAND("PING"), ret);
    redis_link_close(link);
    fake_stop(&fake);
    return rc;
}

static void replies__become_a_tree(void **state)
{
    struct ctx *ctx = *state;
    const struct redis_reply *reply = NULL;
    assert_int_equal(
        ask(ctx, "+OK\r\n*4\r\n$3\r\nabc\r\n:-7\r\n$-1\r\n*2\r\n+x\r\n-ERR y\r\n", NULL, &reply),
        0);
    assert_int_equal(reply->type, REDIS_ARRAY);
    assert_int_equal(reply->count, 4);
    assert_string_equal(reply->element[0]->text, "abc");
    assert_int_equal(reply->element[0]->bytes, 3);
    assert_int_equal(reply->element[1]->integer, -7);
    assert_int_equal(reply->element[2]->type, REDIS_NIL);
    assert_string_equal(reply->element[3]->element[0]->text, "x");
    assert_int_equal(redis_reply_check(ctx, reply->element[3]->element[1]), -ERR_REFUSED);
    assert_string_equal(ctx->err.message, "redis: ERR y");
}

static void errors__are_mapped_by_their_word(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *reply;
        int rc;
        const char *reason;
    } rows[] = {
        {"-WRONGPASS x", -ERR_DENIED, "RedisLoginDenied"},
        {"-NOAUTH x", -ERR_DENIED, "RedisLoginDenied"},
        {"-NOPERM x", -ERR_DENIED, "RedisNoPermission"},
        {"-LOADING x", -ERR_UNAVAILABLE, "Unavailable"},
        {"-READONLY x", -ERR_UNAVAILABLE, "Unavailable"},
        {"-ERR max number of clients reached", -ERR_UNAVAILABLE, "Unavailable"},
        {"-ERR other", -ERR_REFUSED, "Refused"},
        {"-", -ERR_REFUSED, "Refused"},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const struct redis_reply reply = {REDIS_ERROR, .text = rows[at].reply + 1};
        assert_int_equal(redis_reply_check(ctx, &reply), rows[at].rc);
        assert_string_equal(ctx->err.reason, rows[at].reason);
    }
}

/* A proxy, or a server whose AUTH was renamed, quotes the arguments. */
static void login__tells_one_word_only(void **state)
{
    struct ctx *ctx = *state;
    static const char *const quoting[] = {
        "-ERR unknown command 'AUTH', with args beginning with: 'user' 'canary'\r\n",
        "-WRONGPASS canary\r\n",
    };
    for (size_t at = 0; at < ARRAY_SIZE(quoting); at++) {
        assert_true(ask(ctx, quoting[at], NULL, NULL) < 0);
        assert_null(strstr(ctx->err.message, "canary"));
    }
}

static void replies__are_bounded(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *replies, *filler;
        int rc;
    } rows[] = {
        {"+OK\r\n*2147483647\r\n", NULL, -ERR_TOO_LARGE},
        {"+OK\r\n*200000\r\n", ":1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n", -ERR_TOO_LARGE},
        {"+OK\r\n$2000000000\r\n",
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xx",
         -ERR_TOO_LARGE},
        {"+OK\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", NULL,
         -ERR_PROTOCOL},
        {"+OK\r\nHTTP/1.1 400 Bad Request\r\n", NULL, -ERR_PROTOCOL},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++)
        assert_int_equal(ask(ctx, rows[at].replies, rows[at].filler, NULL), rows[at].rc);
}

static void silence__ends_at_the_deadline(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *replies;
        int rc;
    } rows[] = {{"", -ERR_UNAVAILABLE}, {"+OK\r\n", -ERR_TIMEOUT}, {"+OK\r\n*1\r\n", -ERR_TIMEOUT}};
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        int64_t start_ms = clock_boottime_ms();
        ctx->deadline_ms = start_ms + 200;
        assert_int_equal(ask(ctx, rows[at].replies, NULL, NULL), rows[at].rc);
        assert_in_range(clock_boottime_ms() - start_ms, 190, 2000);
    }
}

static void broken_link__answers_nothing_more(void **state)
{
    struct ctx *ctx = *state;
    struct fake fake = {.text = "+OK\r\n"};
    struct redis_link *link = NULL;
    const struct redis_reply *reply = NULL;
    fake_start(&fake);
    assert_int_equal(open_link(ctx, fake.port, &link), 0);
    ctx->deadline_ms = clock_boottime_ms() + 100;
    const struct redis_command ping = REDIS_COMMAND("PING");
    assert_int_equal(redis_link_transaction(ctx, link, 1, &ping, &reply), -ERR_TIMEOUT);
    ctx->deadline_ms = 0;
    assert_int_equal(redis_link_call(ctx, link, &ping, NULL), -ERR_UNAVAILABLE);
    redis_link_close(link);
    fake_stop(&fake);
    assert_int_equal(open_link(ctx, fake.port, &link), -ERR_UNAVAILABLE); /* nobody listens */
}

static int refuse(struct ctx *ctx, const struct gate *gate)
{
    (void)gate;
    return err_set(ctx, ERR_LEASE_LOST, NULL, "gone");
}

static void gate__is_asked_first(void **state)
{
    struct ctx *ctx = *state;
    const struct gate gate = {.check = refuse};
    struct redis_link *link = NULL;
    ctx->gate = &gate;
    assert_int_equal(open_link(ctx, 1, &link), -ERR_LEASE_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replies__become_a_tree),        TEST(errors__are_mapped_by_their_word),
        TEST(login__tells_one_word_only),    TEST(replies__are_bounded),
        TEST(silence__ends_at_the_deadline), TEST(broken_link__answers_nothing_more),
        TEST(gate__is_asked_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
