/* Limits of projects and garbage collection, against tests/backends/harbor_replay.py. */
#include "tests/backends/harbor_test.h"

#include "reconcilers/backends/s3.h"

#include <malloc.h>

#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

static int quota(struct ctx *ctx, const struct harbor_server *server, int64_t limit,
                 struct harbor_quota *ret, int *ret_changes)
{
    _cleanup_harbor_ struct harbor *harbor = NULL;
    int64_t cursor = 0;
    TRY(harbor_open(ctx, server, &harbor));
    int rc = harbor_quota_set(ctx, harbor, limit, false, &cursor, ret);
    if (ret_changes)
        *ret_changes = harbor_changes(harbor);
    return rc;
}

/* Whether the quotas let a project take these MiB. */
static bool pushes(struct ctx *ctx, int project, int mib)
{
    const char *change =
        arena_printf(ctx->arena, "{\"push\": [%d, %lld]}", project, (long long)mib * MIB);
    return json_bool_or(control(ctx, change), "done", false);
}

static void projects(struct ctx *ctx, int count, int64_t used, int64_t hard)
{
    struct str text;
    str_init(&text, 1 << 20);
    for (int at = 0; at < count; at++)
        str_printf(&text, "%s[%lld, %lld]", at ? "," : "", (long long)used, (long long)hard);
    control(ctx, arena_printf(ctx->arena, "{\"projects\": [%s]}", str_text(&text)));
    str_done(&text);
}

static void use_is_summed_over_pages(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = with_robot(ctx);
    _cleanup_harbor_ struct harbor *harbor = NULL;
    struct harbor_quota found;
    SUCCEEDS(ctx, harbor_open(ctx, &server, &harbor));
    static const int counts[] = {0, 1, 99, 100, 101, 250};
    for (size_t at = 0; at < ARRAY_SIZE(counts); at++) {
        projects(ctx, counts[at], 3, -1);
        SUCCEEDS(ctx, harbor_quota_read(ctx, harbor, HARBOR_UNLIMITED, &found));
        assert_int_equal(found.usage.projects, counts[at]);
        assert_int_equal(found.usage.used_bytes, 3 * counts[at]);
    }
    assert_int_equal(seen(ctx, "admin GET /api/v2.0/quotas"), 0);
    /* A project that is made while we read shifts the pages: one comes twice, and counts once. */
    projects(ctx, 150, 3, -1);
    control(ctx, "{\"set\": {\"grows\": 1}}");
    SUCCEEDS(ctx, harbor_quota_read(ctx, harbor, HARBOR_UNLIMITED, &found));
    assert_int_equal(found.usage.projects, 150);
    assert_int_equal(found.usage.used_bytes, 450);
}

static void a_quota_refuses_pushes_and_nothing_else(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = with_robot(ctx);
    struct harbor_quota found;
    int changes = -1;
    projects(ctx, 3, 10 * MIB, -1);
    SUCCEEDS(ctx, quota(ctx, &server, 100 * MIB, &found, &changes));
    assert_int_equal(found.usage.used_bytes, 30 * MIB);
    assert_int_equal(found.free_bytes, 70 * MIB);
    assert_int_equal(found.left, 0);
    assert_int_equal(changes, 4); /* three projects, and those to come */
    SUCCEEDS(ctx, quota(ctx, &server, 100 * MIB, &found, &changes));
    assert_int_equal(changes, 0);
    /* A small push is no reason to write. */
    assert_true(pushes(ctx, 1, 5));
    SUCCEEDS(ctx, quota(ctx, &server, 100 * MIB, &found, &changes));
    assert_int_equal(changes, 0);
    /* One project may take all that is left, and not more. */
    assert_false(pushes(ctx, 1, 71));
    assert_true(pushes(ctx, 1, 64));
    for (int at = 0; at < 6; at++)
        SUCCEEDS(ctx, quota(ctx, &server, 100 * MIB, &found, &changes));
    assert_int_equal(found.free_bytes, MIB);
    assert_true(pushes(ctx, 1, 0));
    projects(ctx, 2, 50 * MIB, -1);
    SUCCEEDS(ctx, quota(ctx, &server, 100 * MIB, &found, &changes));
    assert_int_equal(found.free_bytes, 0);
    assert_false(pushes(ctx, 1, 1));
    assert_false(pushes(ctx, 2, 1));
    /* A deletion helps, at the next look. */
    assert_true(pushes(ctx, 1, -20));
    SUCCEEDS(ctx, quota(ctx, &server, 100 * MIB, &found, &changes));
    assert_true(pushes(ctx, 2, 15));
    /* No quota any more. */
    SUCCEEDS(ctx, quota(ctx, &server, HARBOR_UNLIMITED, &found, &changes));
    assert_true(pushes(ctx, 2, 5000));
    const json_t *told = control(ctx, NULL);
    assert_int_equal(json_int_or(told, "quotas.p1.hard.storage", 0), -1);
    assert_int_equal(json_int_or(told, "config.storage_per_project", 0), -1);
}

static void a_customers_lower_limit_is_kept(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = with_robot(ctx);
    struct harbor_quota found;
    int changes = -1;
    projects(ctx, 1, 10 * MIB, 20 * MIB);
    control(ctx, "{\"config\": {\"storage_per_project\": 7340032}}");
    SUCCEEDS(ctx, quota(ctx, &server, 100 * MIB, &found, &changes));
    assert_int_equal(changes, 0);
    SUCCEEDS(ctx, quota(ctx, &server, HARBOR_UNLIMITED, &found, &changes));
    assert_int_equal(changes, 0);
}

/* Harbor counts only while quotas are on. */
static void quotas_are_switched_on(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = with_robot(ctx);
    struct harbor_quota found;
    _cleanup_harbor_ struct harbor *harbor = NULL;
    projects(ctx, 1, 10 * MIB, 20 * MIB);
    control(ctx, "{\"config\": {\"quota_per_project_enable\": false}}");
    SUCCEEDS(ctx, harbor_open(ctx, &server, &harbor));
    SUCCEEDS(ctx, harbor_quota_set(ctx, harbor, 100 * MIB, true, &(int64_t){0}, &found));
    const json_t *told = control(ctx, NULL);
    assert_true(json_bool_or(told, "config.quota_per_project_enable", false));
    assert_int_equal(harbor_changes(harbor), 1);
    SUCCEEDS(ctx, harbor_quota_set(ctx, harbor, 100 * MIB, true, &(int64_t){0}, &found));
    assert_int_equal(harbor_changes(harbor), 1);
}

static void many_limits_take_several_calls(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = with_robot(ctx);
    struct harbor_quota found = {.left = 1};
    int changes = -1, calls = 0;
    projects(ctx, 120, MIB, -1);
    for (; found.left > 0; calls++)
        SUCCEEDS(ctx, quota(ctx, &server, 1000 * MIB, &found, &changes));
    assert_int_equal(calls, 3);
    SUCCEEDS(ctx, quota(ctx, &server, 1000 * MIB, &found, &changes));
    assert_int_equal(changes, 0);
}

/* Who has changed the administrator's password can lift limits: the robot sees it. */
static void a_lifted_limit_is_seen(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_server server = with_robot(ctx);
    struct harbor_quota found;
    projects(ctx, 3, 10 * MIB, -1);
    SUCCEEDS(ctx, quota(ctx, &server, 100 * MIB, &found, NULL));
    server.admin.password = NULL;
    _cleanup_harbor_ struct harbor *harbor = NULL;
    SUCCEEDS(ctx, harbor_open(ctx, &server, &harbor));
    int by_admin = seen(ctx, "admin");
    SUCCEEDS(ctx, harbor_quota_read(ctx, harbor, 100 * MIB, &found));
    assert_int_equal(found.free_bytes, 70 * MIB);
    assert_int_equal(found.left + found.lifted, 0);
    /* The room shrank: limits of ours are too high, and nobody lifted them. */
    SUCCEEDS(ctx, harbor_quota_read(ctx, harbor, 50 * MIB, &found));
    assert_int_equal(found.left, 3);
    assert_int_equal(found.lifted, 0);
    control(ctx,
            "{\"projects\": [[10485760, -1], [10485760, 1099511627776], [10485760, 11534336]]}");
    SUCCEEDS(ctx, harbor_quota_read(ctx, harbor, 50 * MIB, &found));
    assert_int_equal(found.lifted, 2);
    assert_int_equal(found.usage.used_bytes, 30 * MIB);
    SUCCEEDS(ctx, harbor_quota_read(ctx, harbor, HARBOR_UNLIMITED, &found));
    assert_int_equal(found.left + found.lifted, 0);
    assert_int_equal(seen(ctx, "admin"), by_admin);
    assert_int_equal(harbor_changes(harbor), 0);
}

static int turn_of(struct ctx *ctx, const struct harbor_server *server, int64_t *cursor,
                   struct harbor_quota *ret)
{
    _cleanup_harbor_ struct harbor *harbor = NULL;
    TRY(harbor_open(ctx, server, &harbor));
    return harbor_quota_set(ctx, harbor, 1000 * MIB, false, cursor, ret);
}

/* Of how many projects the limit was set, be it once or often. */
static int limits_set(struct ctx *ctx)
{
    enum { IDS = 128 };
    static const char start[] = "admin PUT /api/v2.0/quotas/";
    bool set[IDS] = {false};
    int count = 0;
    const json_t *told = control(ctx, NULL);
    size_t at;
    json_t *line;
    json_array_foreach(json_at(told, "seen"), at, line) {
        const char *text = json_string_value(line);
        int64_t id;
        if (!str_starts(text, start) || !str_to_int(text + strlen(start), 1, IDS - 1, &id))
            continue;
        count += !set[id];
        set[id] = true;
    }
    return count;
}

/* However often all of them are to be set anew, and whichever cannot be: each has its turn. */
static void no_limit_waits_for_ever(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = with_robot(ctx);
    struct harbor_quota found = {0};
    int64_t cursor = 0;
    for (int turn = 0; turn < 3; turn++) {
        projects(ctx, 120, MIB, -1);
        SUCCEEDS(ctx, turn_of(ctx, &server, &cursor, &found));
        assert_int_equal(found.left, 120 - HARBOR_QUOTA_WRITES_MAX);
    }
    assert_int_equal(limits_set(ctx), 120);
    projects(ctx, 3, MIB, -1);
    control(ctx, "{\"set\": {\"raw\": {\"/api/v2.0/quotas/1\": [500, \"\"]}}}");
    cursor = 0;
    FAILS(ctx, turn_of(ctx, &server, &cursor, &found), ERR_UNAVAILABLE, "HarborFailed");
    FAILS(ctx, turn_of(ctx, &server, &cursor, &found), ERR_UNAVAILABLE, "HarborFailed");
    const json_t *told = control(ctx, NULL);
    assert_true(json_int_or(told, "quotas.p2.hard.storage", 0) > 0);
    assert_true(json_int_or(told, "quotas.p3.hard.storage", 0) > 0);
}

/* A slow Harbor gets fewer in a call, and the call still ends well. */
static void limits_end_in_time(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = with_robot(ctx);
    struct harbor_quota found = {0};
    int64_t cursor = 0;
    projects(ctx, 40, MIB, -1);
    control(ctx, "{\"set\": {\"admin_s\": 0.2}}");
    ctx->deadline_ms = clock_boottime_ms() + 4000;
    SUCCEEDS(ctx, turn_of(ctx, &server, &cursor, &found));
    ctx->deadline_ms = 0;
    assert_in_range(found.left, 25, 39);
    assert_int_equal(cursor, 40 - found.left);
}

/* ---- a Harbor that tells too much ---- */

static size_t live_bytes, most_bytes;

/* Of jansson's; blocks stay malloc()'s own, for some are freed by free(). */
static void *counted_malloc(size_t bytes)
{
    void *block = malloc(bytes);
    live_bytes += block ? malloc_usable_size(block) : 0;
    if (live_bytes > most_bytes)
        most_bytes = live_bytes;
    return block;
}

static void counted_free(void *block)
{
    live_bytes -= block ? malloc_usable_size(block) : 0;
    free(block);
}

/* Pages without end, each of so many elements, which carry `filler` so many times. */
static void flood(struct ctx *ctx, int elements, const char *filler, int times)
{
    struct str text;
    str_init(&text, 4 << 20);
    for (int at = 0; at < elements; at++) {
        str_printf(&text,
                   "%s{\"id\":%d,\"used\":{\"storage\":1},\"hard\":{\"storage\":-1},\"x\":[1",
                   at ? "," : "", at + 1);
        for (int copy = 0; copy < times; copy++)
            str_printf(&text, ",%s", filler);
        str_printf(&text, "]}");
    }
    json_t *change =
        arena_json(ctx->arena, json_pack("{s:{s:{s:[i,o]}}}", "set", "raw", "/api/v2.0/quotas", 200,
                                         json_sprintf("[%s]", str_text(&text))));
    str_done(&text);
    control(ctx, json_text(ctx->arena, change));
}

static void a_list_without_end_costs_bounded_memory(void **state)
{
    static const struct {
        int elements;
        const char *filler;
        int times;
        const char *words;
        int pages; /* that were asked for */
    } rows[] = {
        {100, "{}", 1500, "over 65536 values", 1},
        {101, "1", 1, "over 100 elements", 1},
        {100, "{\"a\":{}}", 200, "answers are over 8 MiB together", 46},
        {100, "1", 1, "over 10000 elements", 100},
    };
    struct ctx *ctx = *state;
    const struct harbor_server server = with_robot(ctx);
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        _cleanup_harbor_ struct harbor *harbor = NULL;
        struct harbor_quota found;
        flood(ctx, rows[at].elements, rows[at].filler, rows[at].times);
        int before = seen(ctx, "robot GET /api/v2.0/quotas");
        SUCCEEDS(ctx, harbor_open(ctx, &server, &harbor));
        size_t kept = arena_used(ctx->arena), live = live_bytes;
        most_bytes = live_bytes;
        assert_int_equal(harbor_quota_read(ctx, harbor, GIB, &found), -ERR_TOO_LARGE);
        if (!strstr(ctx->err.message, rows[at].words))
            fail_msg("row %zu: %s", at, ctx->err.message);
        err_clear(ctx);
        assert_in_range(arena_used(ctx->arena) - kept, 0, 1 << 20);
        assert_int_equal(live_bytes, live);
        assert_in_range(most_bytes - live, 0, 24 << 20);
        assert_int_equal(seen(ctx, "robot GET /api/v2.0/quotas") - before, rows[at].pages);
    }
    control(ctx, "{\"reset\": 1}");
}

/* ---- garbage collection ---- */

static struct s3_proof fresh(void)
{
    struct s3_proof proof = {.bucket = "t-aaaaaaaaaaaaaaaa", .at_ms = clock_boottime_ms()};
    return proof;
}

static struct harbor *with_bucket(struct ctx *ctx, struct harbor_server *ret_server)
{
    struct harbor *harbor = NULL;
    *ret_server = with_robot(ctx);
    ret_server->bucket = "t-aaaaaaaaaaaaaaaa";
    SUCCEEDS(ctx, harbor_open(ctx, ret_server, &harbor));
    return harbor;
}

static void collection_wants_a_proof(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_server server;
    _cleanup_harbor_ struct harbor *harbor = with_bucket(ctx, &server);
    const struct harbor_gc_schedule nightly = {.cron = "0 0 3 * * *"};
    struct s3_proof other = fresh(), old = fresh(), none = {0};
    int64_t id = 0;
    snprintf(other.bucket, sizeof other.bucket, "t-bbbbbbbbbbbbbbbb");
    old.at_ms -= HARBOR_GC_PROOF_MS + 1;
    const struct s3_proof *const bad[] = {NULL, &none, &old, &other};
    for (size_t at = 0; at < ARRAY_SIZE(bad); at++) {
        FAILS(ctx, harbor_gc_start(ctx, harbor, true, bad[at], &id), ERR_REFUSED, "BucketUnproved");
        FAILS(ctx, harbor_gc_schedule_set(ctx, harbor, &nightly, bad[at]), ERR_REFUSED,
              "BucketUnproved");
    }
    assert_int_equal(harbor_changes(harbor), 0);
    assert_int_equal(json_int_or(control(ctx, NULL), "runs", -1), 0);
    const struct s3_proof good = fresh();
    SUCCEEDS(ctx, harbor_gc_start(ctx, harbor, true, &good, &id));
    assert_int_equal(json_int_or(control(ctx, NULL), "runs", -1), 1);
}

static void collection_is_run_and_told(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_server server;
    _cleanup_harbor_ struct harbor *harbor = with_bucket(ctx, &server);
    const struct s3_proof proof = fresh();
    struct harbor_gc_run last;
    int64_t id = 0, again = 0;
    SUCCEEDS(ctx, harbor_gc_last(ctx, harbor, &last));
    assert_int_equal(last.id, 0);
    SUCCEEDS(ctx, harbor_gc_start(ctx, harbor, true, &proof, &id));
    SUCCEEDS(ctx, harbor_gc_last(ctx, harbor, &last));
    assert_int_equal(last.id, id);
    assert_string_equal(last.status, "Success");
    assert_false(last.running || last.failed);
    assert_int_equal(last.freed_bytes, 7);
    assert_int_equal(last.blobs, 3);
    assert_int_equal(last.manifests, 1);
    /* One that runs is not started again. */
    control(ctx, "{\"run\": {\"job_status\": \"Running\"}}");
    SUCCEEDS(ctx, harbor_gc_start(ctx, harbor, true, &proof, &again));
    assert_int_equal(again, id);
    assert_int_equal(json_int_or(control(ctx, NULL), "runs", -1), 1);
    control(ctx, "{\"run\": {\"job_status\": \"Error\"}}");
    SUCCEEDS(ctx, harbor_gc_last(ctx, harbor, &last));
    assert_true(last.failed);
    control(ctx, "{\"set\": {\"jobservice\": false}}");
    FAILS(ctx, harbor_gc_start(ctx, harbor, true, &proof, &again), ERR_UNAVAILABLE, "HarborFailed");
}

/* What only counts is no collection: neither the last one, nor one that is on. */
static void a_dry_run_is_no_collection(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_server server;
    _cleanup_harbor_ struct harbor *harbor = with_bucket(ctx, &server);
    const struct s3_proof proof = fresh();
    struct harbor_gc_run last;
    int64_t id = 0;
    control(ctx, "{\"dry\": 3}");
    SUCCEEDS(ctx, harbor_gc_last(ctx, harbor, &last));
    assert_int_equal(last.id, 0);
    assert_false(last.busy);
    SUCCEEDS(ctx, harbor_gc_start(ctx, harbor, true, &proof, &id));
    int reads = seen(ctx, "robot GET /api/v2.0/system/gc");
    SUCCEEDS(ctx, harbor_gc_last(ctx, harbor, &last));
    assert_int_equal(seen(ctx, "robot GET /api/v2.0/system/gc"), reads + 1);
    control(ctx, "{\"dry\": 12, \"run\": {\"job_status\": \"Running\"}}");
    SUCCEEDS(ctx, harbor_gc_last(ctx, harbor, &last));
    assert_int_equal(last.id, id);
    assert_string_equal(last.status, "Success");
    assert_true(last.busy && !last.running);
}

static void a_run_is_told_to_stop(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_server server;
    _cleanup_harbor_ struct harbor *harbor = with_bucket(ctx, &server);
    const struct s3_proof proof = fresh();
    struct harbor_gc_run last;
    int64_t id = 0;
    SUCCEEDS(ctx, harbor_gc_start(ctx, harbor, true, &proof, &id));
    SUCCEEDS(ctx, harbor_gc_stop(ctx, harbor, id)); /* one that has ended stays as it is */
    SUCCEEDS(ctx, harbor_gc_last(ctx, harbor, &last));
    assert_string_equal(last.status, "Success");
    control(ctx, "{\"run\": {\"job_status\": \"Running\"}}");
    SUCCEEDS(ctx, harbor_gc_stop(ctx, harbor, id));
    SUCCEEDS(ctx, harbor_gc_last(ctx, harbor, &last));
    assert_string_equal(last.status, "Stopped");
    assert_true(last.failed && !last.running);
    control(ctx, "{\"robot\": {\"1\": {\"rights\": [[\"garbage-collection\", \"list\"]]}}}");
    FAILS(ctx, harbor_gc_stop(ctx, harbor, id), ERR_DENIED, "HarborForbidden");
}

static void a_schedule_is_set_once(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_server server = with_robot(ctx);
    server.bucket = "t-aaaaaaaaaaaaaaaa";
    const struct s3_proof proof = fresh();
    static const struct harbor_gc_schedule wanted[] = {
        {"0 0 3 * * *", false}, {"0 0 3 * * *", true}, {"0 30 4 * * 1-5", true}, {NULL, false}};
    struct harbor_gc_schedule found;
    _cleanup_harbor_ struct harbor *harbor = NULL;
    SUCCEEDS(ctx, harbor_open(ctx, &server, &harbor));
    for (size_t at = 0; at < ARRAY_SIZE(wanted); at++) {
        for (int turn = 0; turn < 2; turn++)
            SUCCEEDS(ctx, harbor_gc_schedule_set(ctx, harbor, &wanted[at],
                                                 wanted[at].cron ? &proof : NULL));
        assert_int_equal(harbor_changes(harbor), at + 1);
        SUCCEEDS(ctx, harbor_gc_schedule_get(ctx, harbor, &found));
        assert_true(str_equal(found.cron, wanted[at].cron));
        assert_int_equal(found.delete_untagged, wanted[at].delete_untagged);
    }
    static const struct harbor_gc_schedule bad = {"* * * *", false};
    FAILS(ctx, harbor_gc_schedule_set(ctx, harbor, &bad, &proof), ERR_INVALID, "Invalid");
}

/* ---- both ---- */

static void nothing_is_changed_without_a_lease(void **state)
{
    struct ctx *ctx = *state;
    const struct gate gate = {.check = closed_gate};
    struct harbor_server server;
    _cleanup_harbor_ struct harbor *harbor = with_bucket(ctx, &server);
    const struct harbor_gc_schedule nightly = {.cron = "0 0 3 * * *"};
    const struct s3_proof proof = fresh();
    struct harbor_quota found;
    int64_t id = 0;
    projects(ctx, 3, 10 * MIB, -1);
    ctx->gate = &gate;
    FAILS(ctx, quota(ctx, &server, 100 * MIB, &found, NULL), ERR_LEASE_LOST, "LeaseLost");
    FAILS(ctx, harbor_gc_start(ctx, harbor, true, &proof, &id), ERR_LEASE_LOST, "LeaseLost");
    FAILS(ctx, harbor_gc_schedule_set(ctx, harbor, &nightly, &proof), ERR_LEASE_LOST, "LeaseLost");
    FAILS(ctx, harbor_gc_stop(ctx, harbor, 1), ERR_LEASE_LOST, "LeaseLost");
    ctx->gate = NULL;
    const json_t *told = control(ctx, NULL);
    assert_int_equal(json_int_or(told, "quotas.p1.hard.storage", 0), -1);
    assert_int_equal(json_int_or(told, "runs", -1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(use_is_summed_over_pages),
        TEST(a_quota_refuses_pushes_and_nothing_else),
        TEST(a_customers_lower_limit_is_kept),
        TEST(quotas_are_switched_on),
        TEST(many_limits_take_several_calls),
        TEST(collection_wants_a_proof),
        TEST(collection_is_run_and_told),
        TEST(a_schedule_is_set_once),
        TEST(a_lifted_limit_is_seen),
        TEST(no_limit_waits_for_ever),
        TEST(limits_end_in_time),
        TEST(a_dry_run_is_no_collection),
        TEST(a_run_is_told_to_stop),
        TEST(nothing_is_changed_without_a_lease),
        TEST(a_list_without_end_costs_bounded_memory),
    };
    json_set_alloc_funcs(counted_malloc, counted_free);
    return cmocka_run_group_tests(tests, start_replay, stop_replay);
}
