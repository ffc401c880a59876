/* What a probe of a Harbor means, when the next one comes, and what is remembered between them. */
#include "tests/unit/test.h"

#include "reconcilers/registry/scope.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"

#include <stdio.h>
#include <string.h>

static void verdict__by_rows(void **state)
{
    static const struct {
        int rc;
        struct harbor_serving found;
        const char *status, *reason, *message;
    } rows[] = {
        {0, {true, true, 7, "", NULL, NULL}, "True", "Serves", "7 components"},
        {0,
         {false, true, 7, "jobservice, redis", NULL, NULL},
         "False",
         "Unhealthy",
         "jobservice, redis"},
        {0, {false, true, 7, "", NULL, NULL}, "False", "Unhealthy", "not healthy"},
        {0,
         {true, false, 7, "", "core answers 500", NULL},
         "False",
         "TokenRefused",
         "core answers 500"},
        {0, {false, false, 7, "core", "x", NULL}, "False", "Unhealthy", "core"},
        {-ERR_UNAVAILABLE, {0}, "False", "Unreachable", "a-core.ns.svc:80"},
        {-ERR_TIMEOUT, {0}, "False", "Unreachable", "a-core.ns.svc:80"},
        {-ERR_PROTOCOL, {0}, "False", "NotHarbor", "a-core.ns.svc:80"},
        {-ERR_NOT_FOUND, {0}, "False", "NotHarbor", "a-core.ns.svc:80"},
        {-ERR_TOO_LARGE, {0}, "False", "NotHarbor", "a-core.ns.svc:80"},
        {-ERR_REFUSED, {0}, "False", "NotHarbor", "a-core.ns.svc:80"},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const struct registry_probe verdict =
            registry_probe_verdict(ctx, rows[at].rc, "a-core.ns.svc:80", &rows[at].found);
        assert_string_equal(verdict.status, rows[at].status);
        assert_string_equal(verdict.reason, rows[at].reason);
        assert_non_null(strstr(verdict.message, rows[at].message));
    }
}

/* Soon while it does not serve, then less and less, and never slower than one that serves. */
static void wait__is_bounded(void **state)
{
    (void)state;
    static const struct {
        int64_t interval_ms;
        int failures;
        int64_t wait_ms;
    } rows[] = {
        {30000, 0, 30000},       {30000, 1, 1000},  {30000, 2, 2000},
        {30000, 5, 16000},       {30000, 6, 30000}, {30000, 7, 30000},
        {30000, 1000000, 30000}, {100, 1, 100},     {86400000, 1000000, 32000},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++)
        assert_int_equal(registry_probe_wait_ms(rows[at].interval_ms, rows[at].failures),
                         rows[at].wait_ms);
}

static void memory__is_bounded(void **state)
{
    (void)state;
    struct probe_table *table = probes_new();
    const struct probe_memory kept = {
        .at_ms = 5, .generation = 2, .failures = 3, .cookie = {"abc"}};
    char uid[32];
    assert_int_equal(probes_get(table, "uid-0").at_ms, 0);
    for (int at = 0; at < PROBE_ENTRIES_MAX + 10; at++) {
        snprintf(uid, sizeof uid, "uid-%d", at);
        probes_put(table, uid, &kept);
        probes_put(table, uid, &kept); /* in place */
    }
    assert_int_equal(probes_get(table, "uid-0").at_ms, 0);
    const struct probe_memory found = probes_get(table, uid);
    assert_int_equal(found.failures, 3);
    assert_int_equal(found.generation, 2);
    assert_string_equal(found.cookie.sid, "abc");
    probes_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(verdict__by_rows),
        TEST(wait__is_bounded),
        TEST(memory__is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
