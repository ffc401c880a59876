/* A child process with real programs: what goes in and out, how it ends, and where its secret is.
 */
#include "tests/unit/test.h"

#include "server/adapters/child.h"
#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/str.h"

#include <signal.h>
#include <string.h>

enum { MUCH = 300000 }; /* more than a pipe holds */

static int shell(struct ctx *ctx, const char *script, const char *secret, bool fed,
                 struct child **ret)
{
    const char *const arguments[] = {"-c", script, NULL};
    const struct child_options options = {"sh", arguments, secret, fed};
    return child_start(ctx, &options, ret);
}

static void output__is_read_whole_and_in_pieces(void **state)
{
    struct ctx *ctx = *state;
    struct child *child = NULL;
    char *piece = arena_alloc(ctx->arena, MUCH);
    size_t bytes;
    assert_int_equal(shell(ctx, "head -c 400000 /dev/zero; echo much >&2", NULL, false, &child), 0);
    assert_int_equal(child_read(ctx, child, piece, MUCH, &bytes), 0);
    assert_int_equal(bytes, MUCH);
    assert_int_equal(child_read(ctx, child, piece, MUCH, &bytes), 0);
    assert_int_equal(bytes, 400000 - MUCH);
    assert_int_equal(child_finish(ctx, child), 0);
    child_end(child);
}

static void input__arrives_whole(void **state)
{
    struct ctx *ctx = *state;
    struct child *child = NULL;
    char *much = arena_alloc(ctx->arena, MUCH);
    memset(much, 'x', MUCH);
    assert_int_equal(shell(ctx, "test \"$(wc -c)\" -eq 300000", NULL, true, &child), 0);
    assert_int_equal(child_write(ctx, child, much, MUCH), 0);
    assert_int_equal(child_finish(ctx, child), 0);
    child_end(child);
}

static void failure__is_told_in_the_childs_words(void **state)
{
    struct ctx *ctx = *state;
    struct child *child = NULL;
    assert_int_equal(shell(ctx, "echo no such table >&2; exit 3", NULL, true, &child), 0);
    assert_int_equal(child_finish(ctx, child), -ERR_REFUSED);
    assert_string_equal(ctx->err.reason, "ChildFailed");
    assert_non_null(strstr(ctx->err.message, "sh failed: no such table"));
    child_end(child);
}

/* Also one that ends well: what it did not take was lost. */
static void writing__fails_where_the_child_is_gone(void **state)
{
    struct ctx *ctx = *state;
    static const char *const scripts[] = {"exit 0", "exit 1", "kill -KILL $$"};
    char *much = arena_alloc(ctx->arena, MUCH);
    for (size_t at = 0; at < ARRAY_SIZE(scripts); at++) {
        struct child *child = NULL;
        assert_int_equal(shell(ctx, scripts[at], NULL, true, &child), 0);
        assert_int_equal(child_write(ctx, child, much, MUCH), -ERR_REFUSED);
        child_end(child);
        err_clear(ctx);
    }
}

static void program_that_is_not_there__is_told(void **state)
{
    struct ctx *ctx = *state;
    static const char *const none[] = {NULL};
    const struct child_options options = {.program = "/nowhere/pg_dump", .arguments = none};
    struct child *child = NULL;
    assert_int_equal(child_start(ctx, &options, &child), -ERR_NOT_FOUND);
    assert_string_equal(ctx->err.reason, "ProgramMissing");
}

static void deadline__ends_the_wait_and_the_child(void **state)
{
    struct ctx *ctx = *state;
    struct child *child = NULL;
    char piece[8];
    size_t bytes;
    assert_int_equal(shell(ctx, "sleep 60", NULL, false, &child), 0);
    int64_t start_ms = clock_boottime_ms();
    ctx->deadline_ms = start_ms + 200;
    assert_int_equal(child_read(ctx, child, piece, sizeof piece, &bytes), -ERR_TIMEOUT);
    child_end(child);
    assert_true(clock_boottime_ms() - start_ms < 20000);
}

static int closed_gate(struct ctx *ctx, const struct gate *gate)
{
    (void)gate;
    return err_set(ctx, ERR_LEASE_LOST, NULL, "the lease is lost");
}

static void gate__is_asked_while_waiting(void **state)
{
    struct ctx *ctx = *state;
    const struct gate gate = {.check = closed_gate};
    struct child *child = NULL;
    char piece[8];
    size_t bytes;
    assert_int_equal(shell(ctx, "sleep 60", NULL, false, &child), 0);
    ctx->gate = &gate;
    assert_int_equal(child_read(ctx, child, piece, sizeof piece, &bytes), -ERR_LEASE_LOST);
    child_end(child);
}

/* In a file that nobody else may read, and nowhere else. */
static void secret__is_in_its_file_only(void **state)
{
    struct ctx *ctx = *state;
    struct child *child = NULL;
    char answer[8192];
    size_t bytes;
    assert_int_equal(shell(ctx,
                           "cat " CHILD_SECRET_PATH "; stat -L -c %a " CHILD_SECRET_PATH
                           "; env; tr '\\0' ' ' </proc/$$/cmdline",
                           "a-secret-of-its-own", false, &child),
                     0);
    assert_int_equal(child_read(ctx, child, answer, sizeof answer - 1, &bytes), 0);
    assert_int_equal(child_finish(ctx, child), 0);
    child_end(child);
    answer[bytes] = '\0';
    assert_true(str_starts(answer, "a-secret-of-its-own600\n"));
    assert_null(strstr(answer + 6, "a-secret-of-its-own"));
}

static void sum__over_pieces_is_that_over_all(void **state)
{
    (void)state;
    char whole[SHA256_HEX_BYTES], pieces[SHA256_HEX_BYTES];
    struct crypto_sum *sum = crypto_sum_new();
    crypto_sha256_hex("flotilla", 8, whole);
    crypto_sum_add(sum, "flo", 3);
    crypto_sum_hex(sum, pieces);
    assert_string_not_equal(pieces, whole);
    crypto_sum_add(sum, "tilla", 5);
    crypto_sum_hex(sum, pieces);
    assert_string_equal(pieces, whole);
    crypto_sum_free(sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(output__is_read_whole_and_in_pieces),  TEST(input__arrives_whole),
        TEST(failure__is_told_in_the_childs_words), TEST(writing__fails_where_the_child_is_gone),
        TEST(program_that_is_not_there__is_told),   TEST(deadline__ends_the_wait_and_the_child),
        TEST(gate__is_asked_while_waiting),         TEST(secret__is_in_its_file_only),
        TEST(sum__over_pieces_is_that_over_all),
    };
    signal(SIGPIPE, SIG_IGN); /* as each of our processes does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
