/* What can be seen without a server; with one: tests/http/test_database_down.py, tests/sql. */
#include "../../test.h"

#include "server/adapters/pg.h"
#include "server/base/clock.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A port on which connections are accepted by the kernel, and nobody ever answers. */
static int silent_server(int *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void test_a_malformed_string_is_not_repeated(void **state)
{
    struct ctx *ctx = *state;
    struct pg *pg = NULL;
    static const char *const rows[] = {"host=x password=hunter2 oops", "hunter2=x",
                                       "postgresql://u:hunter2@[x/db"};
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        assert_int_equal(pg_open(ctx, rows[row], &pg), -ERR_CONFIG);
        assert_null(strstr(ctx->err.message, "hunter2"));
    }
}

static void test_nobody_listens(void **state)
{
    struct ctx *ctx = *state;
    struct pg *pg = NULL;
    int port, fd = silent_server(&port);
    close(fd);
    assert_int_equal(pg_open(ctx, arena_printf(ctx->arena, "host=127.0.0.1 port=%d", port), &pg),
                     -ERR_UNAVAILABLE);
    assert_string_equal(ctx->err.reason, "DatabaseUnavailable");
}

static void test_a_silent_server_holds_nobody(void **state)
{
    struct ctx *ctx = *state;
    struct pg *pg = NULL;
    int port, fd = silent_server(&port);
    const char *conninfo = arena_printf(ctx->arena, "host=127.0.0.1 port=%d", port);
    int64_t started_ms = clock_boottime_ms();
    ctx->deadline_ms = started_ms + 300;
    assert_int_equal(pg_open(ctx, conninfo, &pg), -ERR_UNAVAILABLE);
    int64_t took_ms = clock_boottime_ms() - started_ms;
    assert_true(took_ms >= 290 && took_ms < 2000);

    struct pg_pool *pool = pg_pool_new(conninfo, 1, NULL);
    for (int at = 0; at < 3; at++) { /* the room for a session comes back each time */
        ctx->deadline_ms = clock_boottime_ms() + 50;
        assert_int_equal(pg_pool_take(ctx, pool, &pg), -ERR_UNAVAILABLE);
    }
    pg_pool_give(pool, NULL);
    pg_pool_free(pool);
    close(fd);
}

static int refuse(struct ctx *ctx, const struct gate *gate)
{
    (void)gate;
    return err_set(ctx, ERR_LEASE_LOST, NULL, "gone");
}

static void test_the_gate_is_asked_first(void **state)
{
    struct ctx *ctx = *state;
    const struct gate gate = {.check = refuse};
    struct pg *pg = NULL;
    ctx->gate = &gate;
    assert_int_equal(pg_open(ctx, "host=127.0.0.1 port=1", &pg), -ERR_LEASE_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_malformed_string_is_not_repeated),
        TEST(test_nobody_listens),
        TEST(test_a_silent_server_holds_nobody),
        TEST(test_the_gate_is_asked_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
