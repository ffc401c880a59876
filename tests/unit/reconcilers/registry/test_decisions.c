/* The pure halves of the registry operator: what deleting does, and what the status says. */
#include "tests/unit/test.h"

#include "reconcilers/engine/conditions.h"
#include "reconcilers/registry/scope.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"

#include <stdio.h>
#include <string.h>

#define NOW_MS INT64_C(1800000000000) /* 2027-01-15T08:00:00Z */
#define PAST "2026-01-01T00:00:00Z"
#define FUTURE "2030-01-01T00:00:00Z"

static void teardown__purges_only_when_said_twice(void **state)
{
    static const struct {
        enum registry_lifecycle lifecycle;
        const char *purge_after;
        enum registry_deletion deletion;
        bool fleet;
        enum teardown want;
    } rows[] = {
        {REGISTRY_ACTIVE, NULL, REGISTRY_RETAIN, false, TEARDOWN_RETAIN},
        {REGISTRY_ACTIVE, PAST, REGISTRY_RETAIN, false, TEARDOWN_RETAIN},
        {REGISTRY_CLOSED, NULL, REGISTRY_RETAIN, false, TEARDOWN_RETAIN},
        {REGISTRY_CLOSED, FUTURE, REGISTRY_RETAIN, true, TEARDOWN_RETAIN},
        {REGISTRY_CLOSED, "garbage", REGISTRY_RETAIN, true, TEARDOWN_RETAIN},
        {REGISTRY_CLOSED, PAST, REGISTRY_RETAIN, true, TEARDOWN_PURGE},
        {REGISTRY_CLOSED, PAST, REGISTRY_RETAIN, false, TEARDOWN_PURGE},
        {REGISTRY_ACTIVE, NULL, REGISTRY_DELETE, false, TEARDOWN_PURGE},
        {REGISTRY_ACTIVE, NULL, REGISTRY_DELETE, true, TEARDOWN_RETAIN},
        {REGISTRY_CLOSED, FUTURE, REGISTRY_DELETE, true, TEARDOWN_RETAIN},
    };
    (void)state;
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        const struct registry_scope scope = {
            .spec = {.lifecycle = rows[at].lifecycle,
                     .purge_after = rows[at].purge_after,
                     .deletion = rows[at].deletion},
            .fleet = rows[at].fleet,
        };
        assert_int_equal(registry_teardown_decide(&scope, NOW_MS), rows[at].want);
    }
}

static void pods__hold_up_a_close_only_while_they_may_run(void **state)
{
#define OWNED "metadata: {ownerReferences: [{kind: ReplicaSet, controller: true}]"
    static const struct {
        const char *pod;
        bool runs;
    } rows[] = {
        {"{" OWNED "}, status: {phase: Running}}", true},
        {"{" OWNED "}, status: {phase: Pending}}", true},
        {"{" OWNED "}}", true},
        {"{" OWNED "}, status: {phase: Succeeded}}", false},
        {"{" OWNED "}, status: {phase: Failed}}", false},
        {"{metadata: {name: stranger}, status: {phase: Running}}", false},
        {"{" OWNED ", deletionTimestamp: '2027-01-15T07:59:00Z'}}", true},
        {"{" OWNED ", deletionTimestamp: '2027-01-15T07:54:00Z'}}", false},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        json_t *pod = NULL;
        assert_int_equal(yaml_parse(ctx, rows[at].pod, strlen(rows[at].pod), &pod), 0);
        if (registry_pod_runs(pod, NOW_MS) != rows[at].runs)
            fail_msg("%s", rows[at].pod);
    }
}

/* Pods that somebody makes again and again end the wait for them some time. */
static void pods__are_not_waited_for_without_end(void **state)
{
    static const struct {
        const char *since, *reason; /* of StackReady */
        const char *deleted;        /* deletionTimestamp of the Registry */
        bool waited;
    } rows[] = {
        {"2027-01-15T07:44:00Z", "PodsRemaining", NULL, true},
        {"2027-01-15T07:46:00Z", "PodsRemaining", NULL, false},
        {"2027-01-15T07:44:00Z", "Progressing", NULL, false},
        {"2027-01-15T07:44:00Z", "PodsRemaining", "2027-01-15T07:46:00Z", false},
        {NULL, NULL, "2027-01-15T07:44:00Z", true},
        {NULL, NULL, NULL, false},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        json_t *root = arena_json(
            ctx->arena, json_pack("{s:{s:s*}}", "metadata", "deletionTimestamp", rows[at].deleted));
        json_t *status = arena_json(
            ctx->arena, json_pack("{s:[{s:s, s:s*, s:s*}]}", "conditions", "type", "StackReady",
                                  "reason", rows[at].reason, "lastTransitionTime", rows[at].since));
        struct registry_scope scope = {.deleting = rows[at].deleted != NULL, .pods_left = 1};
        const struct pass pass = {.root = root, .status = status, .scope = &scope};
        if (registry_waited_for_pods(&pass, NOW_MS) != rows[at].waited)
            fail_msg("row %zu", at);
    }
}

static void retained__data_is_not_kept_for_ever(void **state)
{
    struct ctx *ctx = *state;
    struct registry_scope scope = {.spec = {.lifecycle = REGISTRY_CLOSED}};
    assert_null(registry_kept_until(ctx, &scope, NOW_MS));
    scope.spec.purge_after = "2027-02-01T00:00:00Z";
    assert_string_equal(registry_kept_until(ctx, &scope, NOW_MS), "2027-02-01T00:00:00Z");
    scope.spec.purge_after = "9999-12-31T00:00:00Z";
    assert_string_equal(registry_kept_until(ctx, &scope, NOW_MS), "2027-04-15T08:00:00Z");
    scope.spec.lifecycle = REGISTRY_ACTIVE;
    assert_null(registry_kept_until(ctx, &scope, NOW_MS));
}

/* One row: what a pass went through, and what it must say. */
struct say {
    const char *failed_phase; /* NULL = the pass succeeded */
    int rc;
    const char *reason;
    bool closed, deleting, stack_ready, stack_failed;
    int pods_ready, pods_left;
    enum external_state external; /* of all backends but one */
    enum backend_type odd;        /* that one; its own: */
    enum external_state odd_external;
    const char *odd_error;
    bool probing;
    struct registry_probe probe;
    const char *left_out;
    const char *cramped;     /* another size waits */
    const char *was_serving; /* "Status/Reason" of Serving before this pass */
    const char *want;        /* "Type=Status/Reason", comma-separated */
};

static const struct say says[] = {
    {.external = EXTERNAL_OPEN,
     .stack_ready = true,
     .pods_ready = 1,
     .want = "Ready=True/ReadyUnprobed,BackendsReady=True/LoggedIn,StackReady=True/Current,"
             "Available=True/StackAvailable,Serving=Unknown/ProbeDisabled"},
    {.external = EXTERNAL_OPEN,
     .stack_ready = true,
     .pods_ready = 1,
     .left_out = "core exporter",
     .want = "Ready=True/ReadyInPart,StackReady=True/Current,Available=True/StackAvailable"},
    {.external = EXTERNAL_OPEN,
     .stack_ready = true,
     .pods_ready = 1,
     .left_out = "exporter",
     .probing = true,
     .probe = {"True", "Serves", "all is well"},
     .want = "Ready=True/ReadyInPart,Serving=True/Serves"},
    {.external = EXTERNAL_OPEN,
     .stack_ready = true,
     .pods_ready = 1,
     .left_out = "exporter",
     .probing = true,
     .probe = {"False", "TokenRefused", "no token"},
     .was_serving = "True/Serves",
     .want = "Ready=False/NotServing"},
    {.external = EXTERNAL_OPEN,
     .stack_ready = true,
     .pods_ready = 1,
     .cramped = "no room",
     .want = "Ready=False/PoolConnections,BackendsReady=True/LoggedIn,StackReady=True/Current,"
             "Available=True/StackAvailable"},
    {.failed_phase = "claim",
     .rc = -ERR_WAITING,
     .reason = "PoolConnections",
     .want = "Ready=False/Progressing,BackendsReady=False/PoolConnections"},
    {.external = EXTERNAL_OPEN,
     .want = "Ready=False/Progressing,StackReady=False/Progressing,"
             "Available=False/StackUnavailable"},
    {.external = EXTERNAL_OPEN,
     .pods_ready = 1,
     .want = "Ready=False/Progressing,Available=True/StackAvailable"},
    {.external = EXTERNAL_OPEN, .stack_failed = true, .want = "StackReady=False/Failed"},
    {.external = EXTERNAL_OPEN,
     .stack_ready = true,
     .pods_ready = 1,
     .probing = true,
     .probe = {"True", "Serves", "all is well"},
     .want = "Ready=True/ReadyServing,Serving=True/Serves,Available=True/StackAvailable"},
    {.external = EXTERNAL_OPEN,
     .stack_ready = true,
     .pods_ready = 1,
     .probing = true,
     .probe = {"False", "TokenRefused", "no token"},
     .was_serving = "True/Serves",
     .want = "Ready=False/NotServing,Serving=False/TokenRefused,Available=False/NotServing"},
    {.external = EXTERNAL_OPEN,
     .stack_ready = true,
     .pods_ready = 1,
     .probing = true,
     .was_serving = "True/Serves",
     .want = "Ready=True/ReadyServing,Serving=True/Serves,Available=True/StackAvailable"},
    {.external = EXTERNAL_OPEN,
     .stack_ready = true,
     .pods_ready = 1,
     .probing = true,
     .was_serving = "Unknown/ProbeDisabled",
     .want = "Ready=False/NotServing,Serving=Unknown/Waiting,Available=True/StackAvailable"},
    {.external = EXTERNAL_OPEN,
     .stack_ready = true,
     .pods_ready = 1,
     .was_serving = "True/Serves",
     .want = "Ready=True/ReadyUnprobed,Serving=Unknown/ProbeDisabled"},
    {.failed_phase = "claim",
     .rc = -ERR_WAITING,
     .reason = "PoolFull",
     .probing = true,
     .was_serving = "False/Closed",
     .want = "Ready=False/Progressing,Serving=Unknown/Waiting"},
    {.closed = true,
     .external = EXTERNAL_CLOSED,
     .stack_ready = true,
     .probing = true,
     .was_serving = "True/Serves",
     .want = "Ready=False/Closed,Serving=False/Closed,Available=False/Closed"},
    {.failed_phase = "backend",
     .rc = -ERR_UNAVAILABLE,
     .reason = "BreakerOpen",
     .odd_error = "why",
     .want = "Ready=False/Progressing,BackendsReady=False/DatabaseFailed"},
    {.failed_phase = "backend",
     .rc = -ERR_UNAVAILABLE,
     .reason = "BreakerOpen",
     .external = EXTERNAL_OPEN,
     .odd = BACKEND_REDIS,
     .odd_error = "why",
     .want = "Ready=False/Progressing,BackendsReady=False/RedisFailed"},
    {.failed_phase = "backend",
     .rc = -ERR_REFUSED,
     .reason = "ReadBack",
     .external = EXTERNAL_CLOSED,
     .odd = BACKEND_S3,
     .odd_error = "why",
     .closed = true,
     .want = "Ready=False/Closing,BackendsReady=False/BucketFailed"},
    {.failed_phase = "backend",
     .rc = -ERR_TAKEN,
     .reason = "BucketLost",
     .external = EXTERNAL_OPEN,
     .odd = BACKEND_S3,
     .odd_external = EXTERNAL_LOST,
     .odd_error = "why",
     .want = "Ready=False/BucketLost,BackendsReady=False/BucketLost,Stalled=True/BucketLost"},
    {.failed_phase = "secrets",
     .rc = -ERR_TAKEN,
     .reason = "SecretLost",
     .want = "Ready=False/SecretLost,Stalled=True/SecretLost"},
    {.failed_phase = "backend",
     .rc = -ERR_TAKEN,
     .reason = "DatabaseLost",
     .odd_external = EXTERNAL_LOST,
     .odd_error = "why",
     .want = "Ready=False/DatabaseLost,BackendsReady=False/DatabaseLost,"
             "Stalled=True/DatabaseLost"},
    {.failed_phase = "claim",
     .rc = -ERR_WAITING,
     .reason = "PoolFull",
     .want = "Ready=False/Progressing,BackendsReady=False/PoolFull"},
    {.failed_phase = "identity",
     .rc = -ERR_TAKEN,
     .reason = "IdentityTaken",
     .want = "Ready=False/IdentityTaken,Stalled=True/IdentityTaken,"
             "BackendsReady=Unknown/Provisioning"},
    {.failed_phase = "drain",
     .rc = -ERR_WAITING,
     .reason = "PodsRemaining",
     .closed = true,
     .pods_left = 1,
     .stack_ready = true,
     .want = "Ready=False/Closing,BackendsReady=False/Closing,StackReady=False/PodsRemaining,"
             "Available=False/Closed"},
    {.closed = true,
     .external = EXTERNAL_CLOSED,
     .stack_ready = true,
     .want = "Ready=False/Closed,BackendsReady=False/Closed,StackReady=False/ScaledDown,"
             "Available=False/Closed"},
    {.failed_phase = "teardown",
     .rc = -ERR_WAITING,
     .reason = "Purging",
     .deleting = true,
     .want = "Ready=False/Deleting"},
};

static void expect(struct ctx *ctx, const json_t *status, const char *want)
{
    char *text = arena_strdup(ctx->arena, want), *rest = NULL;
    for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        char *type = arena_strndup(ctx->arena, one, strcspn(one, "="));
        const json_t *condition = condition_get(status, type);
        assert_string_equal(one, arena_printf(ctx->arena, "%s=%s/%s", type,
                                              json_str_or(condition, "status", "-"),
                                              json_str_or(condition, "reason", "-")));
    }
}

static void conditions__say_what_happened(void **state)
{
    struct ctx *ctx = *state;
    json_t *claim = arena_json(ctx->arena, json_pack("{s:{s:s}}", "spec", "pool", "pg-1"));
    for (size_t at = 0; at < sizeof says / sizeof *says; at++) {
        const struct say *say = &says[at];
        struct registry_scope scope = {
            .spec = {.identity = "abcdefghijklmnop",
                     .revision = 4,
                     .lifecycle = say->closed ? REGISTRY_CLOSED : REGISTRY_ACTIVE},
            .generation = 7,
            .deleting = say->deleting,
            .stack = {.ready = say->stack_ready, .failed = say->stack_failed, .message = "why"},
            .stack_seen = say->external == EXTERNAL_OPEN || say->closed,
            .pods_left = say->pods_left,
            .pods_ready = say->pods_ready,
            .probing = say->probing,
            .left_out = say->left_out,
            .probe = say->probe,
            .cramped = say->cramped,
        };
        for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
            scope.backends[type] =
                (struct registry_backend){.claim = claim, .external = say->external};
        if (say->odd_error) {
            scope.backends[say->odd].external = say->odd_external;
            scope.backends[say->odd].error = say->odd_error;
        }
        const struct phase phase = {.name = say->failed_phase};
        struct err failure = {.code = -say->rc};
        snprintf(failure.reason, sizeof failure.reason, "%s", say->reason ? say->reason : "");
        const struct pass pass = {.rc = say->rc, .failure = &failure, .failed_phase = &phase};
        json_t *status = arena_json(ctx->arena, json_object());
        if (say->was_serving)
            condition_set(
                ctx, status, "Serving",
                arena_strndup(ctx->arena, say->was_serving, strcspn(say->was_serving, "/")),
                strchr(say->was_serving, '/') + 1, 6, "as it was");
        registry_conditions(ctx, &pass, &scope, status);
        expect(ctx, status, say->want);
        if (say->left_out && str_has_word(say->want, "Ready=True/ReadyInPart"))
            assert_non_null(
                strstr(json_str(condition_get(status, "Ready"), "message"), say->left_out));
        assert_int_equal(json_int_or(status, "observedGeneration", 0), 7);
        assert_int_equal(json_int_or(status, "observedRevision", 0), 4);
        assert_int_equal(json_array_size(json_at(status, "externals")), BACKEND_TYPES);
        /* S12: the same pass once more changes no byte. */
        uint64_t before = json_hash(status);
        registry_conditions(ctx, &pass, &scope, status);
        assert_int_equal(json_hash(status), before);
    }
}

/* Each (type, reason) that the table above names is a row of conditions.def. */
static void conditions__have_rows(void **state)
{
    static const struct {
        const char *type, *reason;
    } rows[] = {
#define CONDITION(type, reason, doc) {type, reason},
#include "api/conditions.def"
#undef CONDITION
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < sizeof says / sizeof *says; at++) {
        char *text = arena_strdup(ctx->arena, says[at].want), *rest = NULL;
        for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
            const char *type = arena_strndup(ctx->arena, one, strcspn(one, "="));
            bool found = false;
            for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
                found |= str_equal(rows[row].type, type) &&
                         str_equal(rows[row].reason, strchr(one, '/') + 1);
            if (!found)
                print_error("no row for %s\n", one);
            /* Ready repeats the reason of Stalled. */
            assert_true(found || str_equal(type, "Ready"));
        }
    }
}

static void verify__forgets_another_wish(void **state)
{
    (void)state;
    struct verify_table *table = verify_new();
    assert_int_equal(verify_age_ms(table, "uid", 1), -1);
    verify_done(table, "uid", 1);
    assert_true(verify_age_ms(table, "uid", 1) >= 0);
    assert_int_equal(verify_age_ms(table, "uid", 2), -1);
    verify_forget(table, "uid");
    assert_int_equal(verify_age_ms(table, "uid", 1), -1);
    char uid[32];
    for (int at = 0; at < VERIFY_ENTRIES_MAX + 10; at++) {
        snprintf(uid, sizeof uid, "uid-%d", at);
        verify_done(table, uid, 1);
    }
    assert_int_equal(verify_age_ms(table, "uid-0", 1), -1); /* bounded */
    assert_true(verify_age_ms(table, uid, 1) >= 0);
    verify_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(teardown__purges_only_when_said_twice),
        TEST(pods__hold_up_a_close_only_while_they_may_run),
        TEST(pods__are_not_waited_for_without_end),
        TEST(retained__data_is_not_kept_for_ever),
        TEST(conditions__say_what_happened),
        TEST(conditions__have_rows),
        TEST(verify__forgets_another_wish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
