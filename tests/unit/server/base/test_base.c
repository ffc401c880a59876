/* The small modules of base: arena, str, clock, err, failpoint. */
#include "tests/unit/test.h"

#include "server/base/clock.h"
#include "server/base/failpoint.h"
#include "server/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void count_call(void *ptr)
{
    ++*(int *)ptr;
}

static void arena__runs_deferred_calls_and_zeroes(void **state)
{
    struct ctx *ctx = *state;
    int calls = 0;
    arena_defer(ctx->arena, count_call, &calls);
    for (int round = 0; round < 1000; round++) {
        char *bytes = arena_alloc(ctx->arena, 100);
        for (int at = 0; at < 100; at++)
            assert_int_equal(bytes[at], 0);
        memset(bytes, 'x', 100);
    }
    assert_string_equal(arena_printf(ctx->arena, "%s-%d", "a", 7), "a-7");
    assert_true(strlen(memset(arena_alloc(ctx->arena, 100001), 'y', 100000)) == 100000);
    arena_reset(ctx->arena);
    assert_int_equal(calls, 1);
    assert_int_equal(arena_used(ctx->arena), 0);
}

static void str__stops_at_its_cap(void **state)
{
    (void)state;
    _cleanup_str_ struct str str;
    str_init(&str, 10);
    str_add(&str, "12345");
    str_printf(&str, "%s", "67890");
    assert_false(str.overflow);
    str_add(&str, "x");
    assert_true(str.overflow);
    assert_string_equal(str_text(&str), "1234567890");
}

static void str_fit__keeps_characters_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t max, fits;
    } rows[] = {
        {"", 0, 0},          {"abc", 5, 3},       {"abc", 3, 3},          {"abc", 2, 2},
        {"a\xc3\xa9", 3, 3}, {"a\xc3\xa9", 2, 1}, {"\xe2\x82\xac", 2, 0}, {"\xe2\x82\xac", 1, 0},
        {"\xa9", 1, 1}, /* what is broken already is not searched */
    };
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++)
        assert_int_equal(str_fit(rows[at].text, rows[at].max), rows[at].fits);
}

static void clock_until__is_that_far_away(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {0, 1, 999, 1000, 1001, 30000};
    for (size_t at = 0; at < sizeof waits_ms / sizeof *waits_ms; at++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        const struct timespec until = clock_until(waits_ms[at]);
        int64_t away_ms =
            (until.tv_sec - now.tv_sec) * 1000 + (until.tv_nsec - now.tv_nsec) / 1000000;
        assert_true(until.tv_nsec >= 0 && until.tv_nsec < 1000000000);
        assert_in_range(away_ms, waits_ms[at], waits_ms[at] + 5000);
    }
}

static void str_has_word__takes_whole_words_only(void **state)
{
    (void)state;
    assert_true(str_has_word("limit cursor", "limit"));
    assert_true(str_has_word("limit cursor", "cursor"));
    assert_false(str_has_word("limit cursor", "curs"));
    assert_false(str_has_word("limit cursor", "limits"));
    assert_false(str_has_word("limit cursor", ""));
    assert_false(str_has_word("", "limit"));
}

static void str_to_int__takes_whole_numbers_only(void **state)
{
    (void)state;
    static const char *const bad[] = {"",   " 1", "1 ", "+1", "0x10", "1e3", "9223372036854775808",
                                      "11", "-1", "1.0"};
    int64_t value;
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++)
        assert_false(str_to_int(bad[at], 0, 10, &value));
    assert_true(str_to_int("10", 0, 10, &value));
    assert_int_equal(value, 10);
}

static void clock__reads_and_writes_rfc3339(void **state)
{
    (void)state;
    char text[CLOCK_RFC3339_BYTES];
    int64_t ms;
    assert_int_equal(clock_parse_rfc3339("2026-11-21T08:30:00Z", &ms), 0);
    assert_string_equal(clock_rfc3339(text, ms, 0), "2026-11-21T08:30:00Z");
    assert_int_equal(clock_parse_rfc3339("2026-11-21T09:30:00.250+01:00", &ms), 0);
    assert_string_equal(clock_rfc3339(text, ms, 6), "2026-11-21T08:30:00.250000Z");
    assert_int_equal(clock_parse_rfc3339("2024-02-29T23:59:60Z", &ms), 0);
    assert_string_equal(clock_rfc3339(text, ms, 0), "2024-03-01T00:00:00Z");
    assert_int_equal(clock_parse_rfc3339("1969-12-31T23:59:59.750Z", &ms), 0);
    assert_string_equal(clock_rfc3339(text, ms, 6), "1969-12-31T23:59:59.750000Z");
    static const char *const bad[] = {"",
                                      "2026-11-21",
                                      "2026-11-21T08:30:00",
                                      "x",
                                      "2026-11-21T08:30:00ZZ",
                                      "2026-11-21T08:30:00+1",
                                      "2026-11-21T08:30:00+-1:00",
                                      "2026-11-21T08:30:00+24:00",
                                      "2026-11-21T08:30:00.Z",
                                      "2026-02-29T08:30:00Z",
                                      "2026-13-01T08:30:00Z",
                                      "2026-11-21T24:00:00Z",
                                      " 2026-11-21T08:30:00Z",
                                      "226-11-21T08:30:00Z"};
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++)
        assert_int_equal(clock_parse_rfc3339(bad[at], &ms), -1);
    assert_int_equal(clock_parse_rfc3339(NULL, &ms), -1);
}

static void err__keeps_reason_and_takes_a_prefix(void **state)
{
    struct ctx *ctx = *state;
    int rc = err_set(ctx, ERR_CONFLICT, "QuotaExceeded", "namespace '%s' is full", "x");
    assert_int_equal(rc, -ERR_CONFLICT);
    assert_int_equal(err_wrap(ctx, rc, "apply"), rc);
    assert_string_equal(ctx->err.message, "apply: namespace 'x' is full");
    assert_string_equal(ctx->err.reason, "QuotaExceeded");
    assert_int_equal(err_row(rc)->http, 409);
    err_set(ctx, ERR_NOT_FOUND, NULL, "x");
    assert_string_equal(ctx->err.reason, "NotFound");
    assert_string_equal(err_row(-9999)->name, "INTERNAL");
}

static void failpoint__fires_once_and_leaves_marks(void **state)
{
    struct ctx *ctx = *state;
    char dir[] = "/tmp/flotilla-failpoint-XXXXXX";
    assert_non_null(mkdtemp(dir));
    setenv("FLOTILLA_FAILPOINT_DIR", dir, 1);
    setenv("FLOTILLA_FAILPOINTS", "kube.status.write.after=error;pg.connect.before=hang(1)", 1);
    assert_int_equal(failpoint_init(), 0);
    assert_int_equal(FAILPOINT_BEFORE(ctx, CALL_KUBE_STATUS_WRITE), 0);
    assert_int_equal(FAILPOINT_AFTER(ctx, CALL_KUBE_STATUS_WRITE), -ERR_UNAVAILABLE);
    assert_int_equal(FAILPOINT_AFTER(ctx, CALL_KUBE_STATUS_WRITE), 0);
    assert_int_equal(FAILPOINT_BEFORE(ctx, CALL_PG_CONNECT), 0);
    static const char *const marks[] = {
        "hit.kube.status.write.before", "hit.kube.status.write.after",
        "fired.kube.status.write.after", "hit.pg.connect.before", "fired.pg.connect.before"};
    for (size_t at = 0; at < sizeof marks / sizeof *marks; at++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", dir, marks[at]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
    static const char *const bad[] = {"nothing.before=kill", "pg.connect=kill",
                                      "pg.connect.before=maim", "pg.connect.before=hang(x)"};
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        setenv("FLOTILLA_FAILPOINTS", bad[at], 1);
        assert_int_equal(failpoint_init(), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(arena__runs_deferred_calls_and_zeroes),  TEST(str__stops_at_its_cap),
        TEST(str_has_word__takes_whole_words_only),   TEST(str_fit__keeps_characters_whole),
        TEST(clock_until__is_that_far_away),          TEST(str_to_int__takes_whole_numbers_only),
        TEST(clock__reads_and_writes_rfc3339),        TEST(err__keeps_reason_and_takes_a_prefix),
        TEST(failpoint__fires_once_and_leaves_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
