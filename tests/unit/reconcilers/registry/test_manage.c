/* The rules by which the operator judges what it finds inside a Harbor. */
#include "tests/unit/test.h"

#include "reconcilers/engine/conditions.h"
#include "reconcilers/registry/scope.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

#define NOW_MS INT64_C(1800000000000) /* 2027-01-15T08:00:00Z */
#define JUST_NOW "2027-01-15T07:59:00Z"
#define TWO_HOURS_AGO "2027-01-15T06:00:00Z"
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

static void limit__is_the_specs_or_the_sizes(void **state)
{
    struct ctx *ctx = *state;
    json_t *size = arena_json(ctx->arena, json_pack("{s:i}", "storageGiB", 3));
    const struct registry_spec own = {.storage_bytes = 5 * MIB}, none = {.storage_bytes = -1};
    assert_int_equal(manage_limit_bytes(&own, size), 5 * MIB);
    assert_int_equal(manage_limit_bytes(&none, size), 3 * GIB);
}

static void collections__come_as_the_size_or_the_option_says(void **state)
{
    struct ctx *ctx = *state;
    json_t *size = arena_json(ctx->arena, json_pack("{s:i}", "collectHours", 2));
    assert_int_equal(manage_collect_ms(0, size), 7200000);
    assert_int_equal(manage_collect_ms(5, size), 5);
    assert_int_equal(manage_collect_ms(0, NULL), 0);
}

static void usage__is_told_in_steps(void **state)
{
    static const struct {
        int64_t told, told_limit;
        const char *at;
        int64_t used, limit;
        bool anew;
    } rows[] = {
        {-1, 0, NULL, 0, 10 * GIB, true},
        {GIB, 10 * GIB, JUST_NOW, GIB, 10 * GIB, false},
        {GIB, 10 * GIB, TWO_HOURS_AGO, GIB, 10 * GIB, false}, /* for ever, while nothing changes */
        {GIB, 10 * GIB, JUST_NOW, GIB + 1, 10 * GIB, false},
        {GIB, 10 * GIB, TWO_HOURS_AGO, GIB + 1, 10 * GIB, true},
        {GIB, 10 * GIB, NULL, GIB + 1, 10 * GIB, true},
        {GIB, 10 * GIB, JUST_NOW, GIB + 10 * GIB / 100, 10 * GIB, true},
        {GIB, 10 * GIB, JUST_NOW, GIB - 10 * GIB / 100, 10 * GIB, true},
        {GIB, 10 * GIB, JUST_NOW, GIB, 20 * GIB, true},
        {10 * GIB - 2 * MIB, 10 * GIB, JUST_NOW, 10 * GIB, 10 * GIB, true}, /* full */
        {10 * GIB, 10 * GIB, JUST_NOW, 10 * GIB - 2 * MIB, 10 * GIB, true},
        {0, 10 * MIB, JUST_NOW, MIB - 1, 10 * MIB, false}, /* a step has at least 1 MiB */
        {0, 10 * MIB, JUST_NOW, MIB, 10 * MIB, true},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        json_t *before =
            rows[at].told < 0
                ? NULL
                : arena_json(ctx->arena,
                             json_pack("{s:I, s:I, s:s*}", "storageBytes",
                                       (json_int_t)rows[at].told, "limitBytes",
                                       (json_int_t)rows[at].told_limit, "observedAt", rows[at].at));
        const json_t *found = manage_usage(ctx, before, rows[at].used, rows[at].limit, NOW_MS);
        if (json_equal(found, before) == rows[at].anew)
            fail_msg("row %zu", at);
        if (!rows[at].anew)
            continue;
        assert_int_equal(json_int_or(found, "storageBytes", -1), rows[at].used);
        assert_int_equal(json_int_or(found, "limitBytes", -1), rows[at].limit);
        assert_string_equal(json_str(found, "observedAt"), "2027-01-15T08:00:00Z");
    }
}

/* The administrator's login: let in; refused so often in a row. */
#define PROVED                                                                                     \
    {                                                                                              \
        .robot = HARBOR_TAKEN, .proved = true                                                      \
    }
#define REFUSED(times)                                                                             \
    {                                                                                              \
        .robot = HARBOR_TAKEN, .admin = HARBOR_REFUSED, .refusals = (times), .proved = true        \
    }

static void quota__by_rows(void **state)
{
    static const struct {
        int64_t used, limit;
        struct manage_logins logins;
        const char *status, *reason, *words;
        bool tight;
        int lifted;
    } rows[] = {
        {0, 10 * GIB, PROVED, "True", "Held", "beyond 10 GiB", false, 0},
        {9 * GIB, 10 * GIB, PROVED, "True", "Held", "beyond 10 GiB", false, 0},
        {9 * GIB + 1, 10 * GIB, PROVED, "True", "Held", "beyond 10 GiB", true, 0},
        {10 * GIB - MIB, 10 * GIB, PROVED, "True", "Held", "beyond 10 GiB", true, 0},
        {10 * GIB - MIB + 1, 10 * GIB, PROVED, "False", "Reached", "all of 10 GiB", true, 0},
        {30 * GIB, 10 * MIB, PROVED, "False", "Reached", "all of 10 MiB", true, 0},
        {0, 10 * GIB, REFUSED(3), "False", "AdminRefused", "becomes of 10 GiB", false, 0},
        {11 * GIB, 10 * GIB, REFUSED(9), "False", "AdminRefused", "storage is taken", true, 0},
        {0, 10 * GIB, REFUSED(3), "False", "LimitsLifted", "left of 10 GiB", false, 1},
        {11 * GIB, 10 * GIB, REFUSED(3), "False", "LimitsLifted", "storage is taken", true, 7},
        {0, 10 * GIB, REFUSED(2), "Unknown", "LoginUnproved", "10 GiB", false, 7},
        /* One refusal is none, though it was let in before. */
        {0, 10 * GIB, REFUSED(1), "Unknown", "LoginUnproved", "of its administrator", false, 0},
        {11 * GIB, 10 * GIB, REFUSED(2), "Unknown", "LoginUnproved", "storage is taken", true, 0},
        /* Nobody has tried since the operator was started. */
        {0, 10 * GIB, {.robot = HARBOR_TAKEN}, "Unknown", "LoginUnproved", "10 GiB", false, 0},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const struct harbor_quota quota = {.usage = {.used_bytes = rows[at].used},
                                           .lifted = rows[at].lifted};
        const struct registry_probe verdict =
            manage_quota_verdict(ctx, &quota, rows[at].limit, &rows[at].logins);
        assert_string_equal(verdict.status, rows[at].status);
        assert_string_equal(verdict.reason, rows[at].reason);
        if (!strstr(verdict.message, rows[at].words))
            fail_msg("row %zu: %s", at, verdict.message);
        assert_int_equal(manage_is_tight(rows[at].used, rows[at].limit), rows[at].tight);
    }
}

static void account__by_rows(void **state)
{
    static const struct {
        int rc;
        const char *status, *reason; /* NULL = no news */
    } rows[] = {
        {0, "True", "AccountReady"},
        {-ERR_TAKEN, "False", "RobotTaken"},
        {-ERR_REFUSED, "False", "AccountFailed"},
        {-ERR_PROTOCOL, "False", "AccountFailed"},
        {-ERR_UNAVAILABLE, NULL, NULL},
        {-ERR_TIMEOUT, NULL, NULL},
        {-ERR_LEASE_LOST, NULL, NULL},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        err_set(ctx, ERR_REFUSED, NULL, "row %zu", at);
        const struct registry_probe verdict =
            manage_account_verdict(ctx, rows[at].rc, &(struct manage_logins)PROVED);
        err_clear(ctx);
        assert_true(str_equal(verdict.status, rows[at].status));
        assert_true(str_equal(verdict.reason, rows[at].reason));
        if (str_equal(verdict.reason, "RobotTaken") || str_equal(verdict.reason, "AccountFailed"))
            assert_non_null(strstr(verdict.message, "row"));
    }
}

/* Whose login was refused, and whether that is believed. */
static void denied__by_rows(void **state)
{
    static const struct {
        struct manage_logins logins;
        const char *status, *reason, *words;
    } rows[] = {
        {{HARBOR_REFUSED, HARBOR_REFUSED, 1, true},
         "Unknown",
         "LoginUnproved",
         "refuses the login of the operator's robot, and Harbor did not take the login of its "
         "administrator"},
        {{HARBOR_REFUSED, HARBOR_UNTRIED, 2, false},
         "Unknown",
         "LoginUnproved",
         "it is tried again"},
        {{HARBOR_REFUSED, HARBOR_UNTRIED, 0, false}, "Unknown", "LoginUnproved", "administrator"},
        {{HARBOR_REFUSED, HARBOR_REFUSED, 3, true},
         "False",
         "AccountRefused",
         "refuses the login of the operator's robot, and Harbor does not take the kept password"},
        {{HARBOR_UNTRIED, HARBOR_UNTRIED, 4, false},
         "False",
         "AccountRefused",
         "not known to be there, and Harbor does not take"},
        {{HARBOR_TAKEN, HARBOR_REFUSED, 3, false}, "False", "AccountRefused", "robot lacks a"},
        {{HARBOR_REFUSED, HARBOR_TAKEN, 0, true}, "False", "AccountFailed", "row 6"},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        err_set(ctx, ERR_DENIED, NULL, "row %zu", at);
        const struct registry_probe verdict =
            manage_account_verdict(ctx, -ERR_DENIED, &rows[at].logins);
        err_clear(ctx);
        assert_string_equal(verdict.status, rows[at].status);
        assert_string_equal(verdict.reason, rows[at].reason);
        if (!strstr(verdict.message, rows[at].words))
            fail_msg("row %zu: %s", at, verdict.message);
    }
}

static void failure__is_told_when_it_is_no_accident(void **state)
{
    enum { ALL = (1u << MANAGE_PARTS) - 1 };
    static const struct {
        struct manage_memory memory;
        enum manage_part part;
        bool told;
    } rows[] = {
        {{.known = ALL}, MANAGE_ACCOUNT, false},
        {{.known = ALL, .failures = 1}, MANAGE_ACCOUNT, true},
        {{.known = ALL, .failures = 1}, MANAGE_COLLECTION, true},
        {{.known = 1u << MANAGE_ACCOUNT}, MANAGE_ACCOUNT, false},
        {{.known = 1u << MANAGE_ACCOUNT}, MANAGE_STORAGE, true},
        {{.known = 0}, MANAGE_ACCOUNT, true},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const struct registry_probe verdict =
            manage_failed_verdict(ctx, &rows[at].memory, rows[at].part, "storage: HarborFailed");
        if ((verdict.status != NULL) != rows[at].told)
            fail_msg("row %zu", at);
        if (!rows[at].told)
            continue;
        assert_string_equal(verdict.status, "Unknown");
        assert_string_equal(verdict.reason, "LookFailed");
        assert_non_null(strstr(verdict.message, "storage: HarborFailed"));
    }
}

static void gate__of_those_that_failed_is_another(void **state)
{
    const struct manage_memory well = {.failures = 0}, once = {.failures = 1},
                               often = {.failures = 9};
    (void)state;
    assert_string_not_equal(manage_gate(&once), manage_gate(&well));
    assert_string_equal(manage_gate(&once), manage_gate(&often));
}

static void administrator__is_tried_less_and_less_often(void **state)
{
    static const int64_t waits_ms[] = {0, 2000, 8000, 32000, 128000, 512000};
    (void)state;
    for (size_t at = 0; at < ARRAY_SIZE(waits_ms); at++)
        assert_int_equal(manage_admin_wait_ms((int)at), waits_ms[at]);
    assert_int_equal(manage_admin_wait_ms(9), 86400000);
    assert_int_equal(manage_admin_wait_ms(INT32_MAX), 86400000);
}

static void look__is_due(void **state)
{
    static const struct {
        const char *what;
        struct manage_wish wish;
        struct manage_memory memory; /* at_ms: how long ago */
        int64_t wait_ms;             /* 0 = due */
    } rows[] = {
        {"the first", {.told = true}, {0}, 0},
        {"too soon", {.told = true}, {.at_ms = 1000}, 299000},
        {"it is time", {.told = true}, {.at_ms = 300000}, 0},
        {"another wish", {.generation = 2, .told = true}, {.at_ms = 1000}, 0},
        {"nothing is told", {.told = false}, {.at_ms = 1000}, 0},
        {"the bucket fails", {.guards = true, .told = true}, {.at_ms = 1000}, 0},
        {"a password", {.told = true, .news = true}, {.at_ms = 1000}, 0},
        /* The wait after a failure holds, whoever wakes the registry. */
        {"failed, nothing told", {.told = false}, {.at_ms = 1000, .failures = 1}, 4000},
        {"failed, another wish",
         {.generation = 2, .told = true},
         {.at_ms = 1000, .failures = 2},
         9000},
        {"failed, it is time", {.told = false}, {.at_ms = 5000, .failures = 1}, 0},
        {"failed, the bucket too", {.guards = true}, {.at_ms = 1000, .failures = 1}, 0},
        {"failed, a password", {.news = true}, {.at_ms = 1000, .failures = 1}, 0},
        {"refused once", {.told = true}, {.at_ms = 1000, .refusals = 1}, 1000},
    };
    (void)state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        struct manage_memory memory = rows[at].memory;
        int64_t wait_ms = -1;
        memory.at_ms = memory.at_ms ? NOW_MS - memory.at_ms : 0;
        bool due = manage_is_due(&rows[at].wish, &memory, 300000, NOW_MS, &wait_ms);
        if (due != (rows[at].wait_ms == 0) || (!due && wait_ms != rows[at].wait_ms))
            fail_msg("%s: %d, %lld ms", rows[at].what, due, (long long)wait_ms);
    }
}

static void run__by_rows(void **state)
{
    static const struct {
        struct harbor_gc_run run;
        const char *status, *reason;
    } rows[] = {
        {{.id = 0, .status = ""}, "Unknown", "NotYet"},
        {{.id = 4, .status = "Running", .running = true}, NULL, NULL},
        {{.id = 4, .status = "Error", .failed = true}, "False", "RunFailed"},
        {{.id = 4, .status = "Success", .blobs = 3, .manifests = 1}, "True", "Collected"},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const struct registry_probe verdict = manage_run_verdict(ctx, &rows[at].run);
        assert_true(str_equal(verdict.status, rows[at].status));
        assert_true(str_equal(verdict.reason, rows[at].reason));
    }
    assert_string_equal(manage_run_verdict(ctx, &rows[3].run).message,
                        "run 4 of Harbor's removed 3 blobs and 1 manifests");
}

static void collection__comes_an_interval_after_the_last(void **state)
{
    static const struct {
        struct harbor_gc_run last;
        const char *made;
        int64_t interval_ms;
        bool due;
    } rows[] = {
        {{0}, JUST_NOW, 3600000, false},
        {{0}, TWO_HOURS_AGO, 3600000, true},
        {{0}, TWO_HOURS_AGO, 0, false}, /* none is wanted */
        {{.id = 1, .updated = JUST_NOW}, TWO_HOURS_AGO, 3600000, false},
        {{.id = 1, .updated = TWO_HOURS_AGO}, TWO_HOURS_AGO, 3600000, true},
        {{.id = 1, .updated = TWO_HOURS_AGO, .running = true}, TWO_HOURS_AGO, 3600000, false},
        {{.id = 1, .updated = TWO_HOURS_AGO, .busy = true}, TWO_HOURS_AGO, 3600000, false},
        {{.id = 1, .updated = TWO_HOURS_AGO, .failed = true}, TWO_HOURS_AGO, 3600000, true},
        {{.id = 1, .updated = "soon"}, JUST_NOW, 3600000, true},
        {{.id = 1, .updated = NULL}, JUST_NOW, 3600000, true},
        {{.id = 1, .updated = "2099-01-01T00:00:00Z"}, JUST_NOW, 3600000, false},
    };
    (void)state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++)
        if (manage_collect_due(&rows[at].last, rows[at].made, rows[at].interval_ms, NOW_MS) !=
            rows[at].due)
            fail_msg("row %zu", at);
}

static void wait__is_bounded(void **state)
{
    static const struct {
        int64_t interval_ms;
        struct manage_memory memory;
        int64_t wait_ms;
    } rows[] = {
        {300000, {0}, 300000},
        {300000, {.tight = true}, 30000},
        {300000, {.failures = 1}, 5000},
        {300000, {.failures = 2}, 10000},
        {300000, {.failures = 7}, 300000},
        {86400000, {.failures = 1000000}, 640000},
        {300000, {.failures = 7, .tight = true}, 30000},
        {300000, {.unfinished = true}, 5000},
        {300000, {.unfinished = true, .tight = true}, 5000},
        {300000, {.refusals = 1}, 2000},
        {300000, {.refusals = 2, .failures = 1}, 5000},
        {300000, {.refusals = 8}, 300000},
        {100, {.tight = true}, 100},
    };
    (void)state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++)
        assert_int_equal(manage_wait_ms(rows[at].interval_ms, &rows[at].memory), rows[at].wait_ms);
}

static const char *reason_of(const json_t *status, const char *type)
{
    return json_str(condition_get(status, type), "reason");
}

/* What a look did not find stays; what nobody asks for any more goes; what a stranger's Harbor says
 * is bounded. */
static void status__tells_only_news(void **state)
{
    struct ctx *ctx = *state;
    json_t *status = arena_json(ctx->arena, json_object());
    struct registry_scope scope = {
        .probing = true,
        .manage = {.part = {[MANAGE_ACCOUNT] = {"True", "AccountReady", "x"},
                            [MANAGE_COLLECTION] = {"Unknown", "NotYet", "x"}},
                   .robot = "robot$a",
                   .usage_known = true,
                   .used_bytes = 5,
                   .limit_bytes = GIB,
                   .run = {.id = 7, .status = "Success", .freed_bytes = -3, .updated = "<html>"}}};
    registry_manage_status(ctx, &scope, status);
    assert_string_equal(reason_of(status, "Managed"), "AccountReady");
    assert_null(reason_of(status, "StorageQuota"));
    assert_string_equal(json_str(status, "harbor.robot"), "robot$a");
    assert_int_equal(json_int_or(status, "harbor.collection.freedBytes", -1), 0);
    assert_null(json_str(status, "harbor.collection.endedAt"));
    assert_int_equal(json_int_or(status, "usage.storageBytes", -1), 5);

    json_t *before = arena_json(ctx->arena, json_deep_copy(status));
    scope.manage = (struct registry_manage){0};
    registry_manage_status(ctx, &scope, status);
    assert_true(json_equal(status, before));

    scope.spec.lifecycle = REGISTRY_CLOSED;
    registry_manage_status(ctx, &scope, status);
    assert_null(reason_of(status, "Managed"));
    assert_null(reason_of(status, "Collecting"));
    assert_int_equal(json_int_or(status, "usage.storageBytes", -1), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(limit__is_the_specs_or_the_sizes),
        TEST(collections__come_as_the_size_or_the_option_says),
        TEST(usage__is_told_in_steps),
        TEST(quota__by_rows),
        TEST(account__by_rows),
        TEST(denied__by_rows),
        TEST(failure__is_told_when_it_is_no_accident),
        TEST(gate__of_those_that_failed_is_another),
        TEST(administrator__is_tried_less_and_less_often),
        TEST(look__is_due),
        TEST(run__by_rows),
        TEST(collection__comes_an_interval_after_the_last),
        TEST(wait__is_bounded),
        TEST(status__tells_only_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
