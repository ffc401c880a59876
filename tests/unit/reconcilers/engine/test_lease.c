/* Leases: the decision as a table over a clock of our own, rendezvous hashing, and the gate. */
#include "reconcilers/engine/lease.h"

#include "reconcilers/engine/engine.h"
#include "reconcilers/engine/shards_internal.h"
#include "server/base/cleanup.h"
#include "server/base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- decision ---- */

enum { DURATION = 15000, RENEW = 5000 };

static const struct {
    const char *name;
    const char *holder; /* NULL = there is no such Lease */
    bool lives;         /* the other holder */
    bool held, wanted, busy;
    enum lease_action expected;
} decisions[] = {
    {"missing and wanted", NULL, false, false, true, false, LEASE_CREATE},
    {"missing and not wanted", NULL, false, false, false, false, LEASE_NOTHING},
    {"free and wanted", "", false, false, true, false, LEASE_TAKE},
    {"free and not wanted", "", false, false, false, false, LEASE_NOTHING},
    {"another's, alive", "b", true, false, true, false, LEASE_NOTHING},
    {"another's, dead", "b", false, false, true, false, LEASE_TAKE},
    {"another's, dead, not wanted", "b", false, false, false, false, LEASE_NOTHING},
    {"ours", "a", true, true, true, false, LEASE_NOTHING},
    {"ours, a pass inside", "a", true, true, true, true, LEASE_NOTHING},
    {"ours by the record only: our answer was lost", "a", true, false, true, false, LEASE_TAKE},
    {"ours, not wanted, a pass inside", "a", true, true, false, true, LEASE_NOTHING},
    {"ours, not wanted", "a", true, true, false, false, LEASE_RELEASE},
};

static void test_decisions(void **state)
{
    (void)state;
    for (size_t at = 0; at < ARRAY_SIZE(decisions); at++) {
        struct lease_record record = {.exists = decisions[at].holder != NULL};
        snprintf(record.holder, sizeof record.holder, "%s",
                 decisions[at].holder ? decisions[at].holder : "");
        struct lease_hold hold = {.held = decisions[at].held};
        struct lease_view view = {.record = &record,
                                  .hold = &hold,
                                  .identity = "a",
                                  .wanted = decisions[at].wanted,
                                  .busy = decisions[at].busy,
                                  .holder_lives = decisions[at].lives};
        if (lease_decide(&view) != decisions[at].expected)
            fail_msg("%s: got %d", decisions[at].name, (int)lease_decide(&view));
    }
}

static void test_expiry_is_by_our_own_clock(void **state)
{
    (void)state;
    struct lease_record record = {.exists = true, .duration_ms = DURATION, .changed_ms = 1000};
    assert_false(lease_expired(&record, 1000 + DURATION));
    assert_true(lease_expired(&record, 1001 + DURATION));
}

/* ---- rendezvous ---- */

enum { MANY = 3300 };

static void count_wins(const char *const *members, int count, int wins[])
{
    char resource[16];
    for (int at = 0; at < MANY; at++) {
        snprintf(resource, sizeof resource, "%d", at);
        wins[lease_winner(members, count, resource)]++;
    }
}

static void test_rendezvous_is_even(void **state)
{
    (void)state;
    static const char *const members[] = {"operate-0", "operate-1", "operate-2"};
    int wins[3] = {0};
    count_wins(members, 3, wins);
    for (int at = 0; at < 3; at++)
        assert_in_range(wins[at], MANY / 3 - 120, MANY / 3 + 120);
    assert_int_equal(lease_winner(members, 0, "x"), -1);
}

static void test_rendezvous_moves_only_what_it_must(void **state)
{
    (void)state;
    static const char *const members[] = {"operate-0", "operate-1", "operate-2"};
    static const char *const swapped[] = {"operate-2", "operate-0", "operate-1"};
    char resource[16];
    for (int at = 0; at < MANY; at++) {
        snprintf(resource, sizeof resource, "%d", at);
        int before = lease_winner(members, 2, resource);
        int after = lease_winner(members, 3, resource);
        assert_true(after == before || after == 2); /* the new one only takes */
        assert_string_equal(members[after], swapped[lease_winner(swapped, 3, resource)]);
    }
}

/* ---- shards of labels ---- */

static void test_roots_spread_over_shards(void **state)
{
    (void)state;
    struct ctx ctx = ctx_make(arena_new(), "test");
    int count[SHARD_ROOTS] = {0};
    for (int at = 0; at < 3200; at++) {
        char *name = arena_printf(ctx.arena, "registry-%d", at);
        char *label = shard_root_label(&ctx, KIND_REGISTRY, "ns", name);
        assert_int_equal(strlen(label), 16);
        count[shard_of_label(label)]++;
    }
    for (int shard = 0; shard < SHARD_ROOTS; shard++)
        assert_in_range(count[shard], 60, 140);
    const char *one = shard_root_label(&ctx, KIND_REGISTRY, "a", "b");
    assert_string_equal(one, shard_root_label(&ctx, KIND_REGISTRY, "a", "b"));
    assert_string_not_equal(one, shard_root_label(&ctx, KIND_OVH_NGINX, "a", "b"));
    assert_string_not_equal(one, shard_root_label(&ctx, KIND_REGISTRY, "b", "a"));
    assert_int_equal(shard_of_label("a"), 0);
    assert_int_equal(shard_of_label("z"), 25);
    assert_int_equal(shard_of_label("7"), 31);
    arena_free(ctx.arena);
}

/* ---- gate: the holds are set as the lease thread would ---- */

static struct shards *make_shards(bool gate)
{
    return shards_new(&(struct shards_options){.identity = "a",
                                               .namespace = "n",
                                               .duration_ms = DURATION,
                                               .renew_ms = RENEW,
                                               .deadline_ms = 10000,
                                               .gate = gate});
}

static void hold(struct shards *shards, int shard, int64_t sent_ago_ms, uint64_t epoch)
{
    shards->hold[shard] = (struct lease_hold){
        .held = true, .sent_ms = clock_boottime_ms() - sent_ago_ms, .epoch = epoch};
}

static void test_gate_closes_with_the_deadline(void **state)
{
    (void)state;
    struct shards *shards = make_shards(true);
    struct ctx ctx = ctx_make(arena_new(), "test");
    struct shard_visit visit;
    assert_false(shards_enter(shards, 3, &visit)); /* never held */
    hold(shards, 3, 9000, 1);
    assert_true(shards_enter(shards, 3, &visit));
    ctx.gate = &visit.gate;
    assert_int_equal(ctx_may_write(&ctx), 0);
    hold(shards, 3, 10001, 1);
    assert_int_equal(ctx_may_write(&ctx), -ERR_LEASE_LOST);
    assert_string_equal(ctx.err.reason, "LeaseLost");
    hold(shards, 3, 0, 2); /* ours again, but perhaps not in between */
    assert_int_equal(ctx_may_write(&ctx), -ERR_LEASE_LOST);
    shards_leave(&visit);
    assert_true(shards_enter(shards, 3, &visit));
    assert_int_equal(ctx_may_write(&ctx), 0);
    shards->hold[3].held = false; /* taken from us */
    assert_int_equal(ctx_may_write(&ctx), -ERR_LEASE_LOST);
    shards_leave(&visit);
    arena_free(ctx.arena);
    shards_stop(shards);
}

static void test_what_a_late_answer_refused_is_looked_at(void **state)
{
    (void)state;
    struct shards *shards = make_shards(true);
    struct shard_visit visit;
    int64_t now = clock_boottime_ms();
    assert_true(shards_note_held(shards, 3, now - 19000));
    assert_false(shards_note_held(shards, 3, now - 10500)); /* renewed in time, nobody refused */
    assert_false(shards_enter(shards, 3, &visit));
    uint64_t epoch = shards->hold[3].epoch;
    assert_true(shards_note_held(shards, 3, now - 1000)); /* sent in time, answered too late */
    assert_int_equal(shards->hold[3].epoch, epoch);       /* it stayed ours all the while */
    assert_false(shards_note_held(shards, 3, now));
    assert_true(shards_enter(shards, 3, &visit));
    shards_leave(&visit);
    shards_stop(shards);
}

static void test_one_renewal_is_for_all_that_is_held(void **state)
{
    (void)state;
    struct shards *shards = make_shards(true);
    int64_t now = clock_boottime_ms();
    hold(shards, 3, 9000, 1);
    hold(shards, 5, 12000, 1);
    assert_int_equal(shards_note_renewed(shards, now), 1 << 5); /* its gate was closed meanwhile */
    assert_int_equal(shards->hold[3].sent_ms, now);
    assert_int_equal(shards->hold[3].epoch, 1);
    assert_int_equal(shards->hold[5].epoch, 2);
    assert_false(shards->hold[4].held);
    shards_drop_all(shards);
    assert_int_equal(shards_note_renewed(shards, now + 1), 0);
    shards_stop(shards);
}

static void test_draining_lets_out_but_not_in(void **state)
{
    (void)state;
    struct shards *shards = make_shards(true);
    struct ctx ctx = ctx_make(arena_new(), "test");
    struct shard_visit inside, late;
    hold(shards, 0, 0, 1);
    assert_true(shards_enter(shards, 0, &inside));
    shards->hold[0].draining = true;
    assert_false(shards_enter(shards, 0, &late));
    ctx.gate = &inside.gate;
    assert_int_equal(ctx_may_write(&ctx), 0);
    shards_leave(&inside);
    arena_free(ctx.arena);
    shards_stop(shards);
}

static void test_without_gate_all_is_open(void **state)
{
    (void)state;
    struct shards *shards = make_shards(false);
    struct ctx ctx = ctx_make(arena_new(), "test");
    struct shard_visit visit;
    assert_true(shards_enter(shards, SHARD_OF_CLUSTER, &visit));
    ctx.gate = &visit.gate;
    assert_int_equal(ctx_may_write(&ctx), 0);
    shards_leave(&visit);
    arena_free(ctx.arena);
    shards_stop(shards);
}

static void test_times_must_rise(void **state)
{
    (void)state;
    struct ctx ctx = ctx_make(arena_new(), "test");
    struct shards *shards = make_shards(true);
    shards->options.deadline_ms = 13000; /* not before the watchdog's 13/15 */
    assert_int_equal(shards_start(&ctx, shards), -ERR_CONFIG);
    shards->options.deadline_ms = 10000;
    shards->options.identity = "Upper_Case";
    assert_int_equal(shards_start(&ctx, shards), -ERR_CONFIG);
    shards_stop(shards);
    arena_free(ctx.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_expiry_is_by_our_own_clock),
        cmocka_unit_test(test_one_renewal_is_for_all_that_is_held),
        cmocka_unit_test(test_rendezvous_is_even),
        cmocka_unit_test(test_rendezvous_moves_only_what_it_must),
        cmocka_unit_test(test_roots_spread_over_shards),
        cmocka_unit_test(test_gate_closes_with_the_deadline),
        cmocka_unit_test(test_what_a_late_answer_refused_is_looked_at),
        cmocka_unit_test(test_draining_lets_out_but_not_in),
        cmocka_unit_test(test_without_gate_all_is_open),
        cmocka_unit_test(test_times_must_rise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
