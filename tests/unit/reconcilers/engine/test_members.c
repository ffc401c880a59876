/* What the watch of member Leases tells, and when the next round of the lease thread is. */
#include "tests/unit/test.h"

#include "reconcilers/engine/shards_internal.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"

#include <stdio.h>
#include <string.h>

enum { DURATION = 15000, ROUND = 1000, NOW = 100000, FOR_EVER = 3600000 };

static struct shards *make_shards(void)
{
    return shards_new(&(struct shards_options){.identity = "own",
                                               .namespace = "n",
                                               .duration_ms = DURATION,
                                               .renew_ms = 5000,
                                               .deadline_ms = 10000,
                                               .gate = true});
}

/* As a list would have told, at that time. */
static struct lease_record *listed(struct ctx *ctx, struct shards *shards, const char *name,
                                   const char *version, int64_t at_ms)
{
    struct lease_record *record = NULL;
    assert_int_equal(shard_members_note(ctx, shards, name, &record), 0);
    *record = (struct lease_record){.exists = true, .duration_ms = DURATION, .changed_ms = at_ms};
    snprintf(record->version, sizeof record->version, "%s", version);
    return record;
}

static void tell(struct shards *shards, const char *name, const char *version,
                 enum kube_change change)
{
    json_t *lease = json_pack("{s:{s:s, s:s}, s:{s:i}}", "metadata", "name", name,
                              "resourceVersion", version, "spec", "leaseDurationSeconds", 15);
    assert_non_null(lease);
    shards_on_lease(shards, KIND_LEASE, lease, change);
    json_decref(lease);
}

/* ---- the next round ---- */

static const struct {
    const char *name, *member;
    int64_t silent_ms; /* since the member was last heard of */
    int64_t expected;
} waits[] = {
    {"heard of just now", "a", 0, ROUND},
    {"runs out after the next round", "a", DURATION - ROUND, ROUND},
    {"runs out before it", "a", DURATION - 300, 301},
    {"is at its end", "a", DURATION, 1},
    {"was not removed when it ran out: no more often", "a", DURATION + 1, ROUND},
    {"long since", "a", NOW, ROUND},
    {"our own is not waited for", "own", DURATION - 300, ROUND},
};

static void test_a_round_begins_when_a_lease_runs_out(void **state)
{
    for (size_t at = 0; at < ARRAY_SIZE(waits); at++) {
        struct shards *shards = make_shards();
        listed(*state, shards, "b", "1", NOW); /* another, who is well */
        listed(*state, shards, waits[at].member, "1", NOW - waits[at].silent_ms);
        int64_t wait_ms = shard_members_wait_ms(shards, NOW, ROUND);
        if (wait_ms != waits[at].expected)
            fail_msg("%s: waits %d ms", waits[at].name, (int)wait_ms);
        shards_stop(shards);
    }
}

static void test_who_was_fenced_is_not_waited_for(void **state)
{
    struct shards *shards = make_shards();
    listed(*state, shards, "a", "1", NOW - DURATION + 300)->exists = false;
    assert_int_equal(shard_members_wait_ms(shards, NOW, ROUND), ROUND);
    shards_stop(shards);
}

/* ---- the watch ---- */

static void test_a_renewal_counts_from_when_it_was_told(void **state)
{
    struct shards *shards = make_shards();
    int64_t began_ms = clock_boottime_ms();
    struct lease_record *record = listed(*state, shards, "a", "9", began_ms - DURATION);
    tell(shards, MEMBER_PREFIX "a", "10", KUBE_CHANGED);
    int64_t told_ms = clock_boottime_ms();
    clock_sleep_ms(20);
    shards_take_heard(shards);
    assert_string_equal(record->version, "10");
    assert_int_equal(record->duration_ms, DURATION);
    assert_true(record->changed_ms >= began_ms && record->changed_ms <= told_ms);
    assert_false(shards->look_now);
    shards_stop(shards);
}

static const struct {
    const char *name, *lease, *version;
} not_taken[] = {
    {"older than what was listed", MEMBER_PREFIX "a", "9"},
    {"the same: its time does not move", MEMBER_PREFIX "a", "10"},
    {"our own: what a renewal was answered is newer", MEMBER_PREFIX "own", "11"},
    {"fenced: what came before that is late", MEMBER_PREFIX "fenced", "11"},
    {"never listed: what it holds is not known", MEMBER_PREFIX "new", "11"},
    {"no member's", SHARD_PREFIX "a", "11"},
};

static void test_a_watch_never_sets_back_nor_adds(void **state)
{
    for (size_t at = 0; at < ARRAY_SIZE(not_taken); at++) {
        struct shards *shards = make_shards();
        listed(*state, shards, "a", "10", NOW);
        listed(*state, shards, "own", "10", NOW);
        listed(*state, shards, "fenced", "10", NOW)->exists = false;
        tell(shards, not_taken[at].lease, not_taken[at].version, KUBE_CHANGED);
        shards_take_heard(shards);
        assert_int_equal(shards->member_count, 3);
        for (int member = 0; member < 3; member++) {
            const struct lease_record *record = &shards->members[member].record;
            if (record->changed_ms != NOW || strcmp(record->version, "10") != 0)
                fail_msg("%s", not_taken[at].name);
        }
        assert_false(shards->members[2].record.exists);
        shards_stop(shards);
    }
}

static void test_the_last_that_was_told_counts(void **state)
{
    struct shards *shards = make_shards();
    struct lease_record *record = listed(*state, shards, "a", "1", NOW);
    char version[16];
    for (int told = 2; told <= 3 * SHARD_MEMBERS_MAX; told++) {
        snprintf(version, sizeof version, "%d", told);
        tell(shards, MEMBER_PREFIX "a", version, KUBE_CHANGED);
    }
    shards_take_heard(shards);
    assert_string_equal(record->version, version);
    shards_stop(shards);
}

static void test_more_members_than_there_can_be_are_left_to_the_list(void **state)
{
    struct shards *shards = make_shards();
    struct lease_record *record = listed(*state, shards, "last", "1", NOW);
    char name[64];
    for (int number = 0; number < SHARD_MEMBERS_MAX; number++) {
        snprintf(name, sizeof name, MEMBER_PREFIX "%d", number);
        tell(shards, name, "2", KUBE_CHANGED);
    }
    tell(shards, MEMBER_PREFIX "last", "2", KUBE_CHANGED);
    shards_take_heard(shards);
    assert_string_equal(record->version, "1");
    tell(shards, MEMBER_PREFIX "last", "2", KUBE_CHANGED); /* what was taken left room */
    shards_take_heard(shards);
    assert_string_equal(record->version, "2");
    shards_stop(shards);
}

/* Else this test lasts an hour. */
static void test_who_leaves_ends_the_wait_and_is_looked_at(void **state)
{
    struct shards *shards = make_shards();
    const struct lease_record *record = listed(*state, shards, "a", "1", NOW);
    tell(shards, MEMBER_PREFIX "a", "2", KUBE_DELETED);
    assert_false(shards_wait_round(shards, FOR_EVER));
    assert_false(shards_wait_stop(shards, 1)); /* the watchdog's wait is another matter */
    shards_take_heard(shards);
    assert_true(shards->look_now);
    assert_true(record->exists); /* the list says what is there */
    shards->look_now = false;
    shards_wait_round(shards, 1);
    shards_take_heard(shards);
    assert_false(shards->look_now); /* once is enough */
    shards_stop(shards);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_round_begins_when_a_lease_runs_out),
        TEST(test_who_was_fenced_is_not_waited_for),
        TEST(test_a_renewal_counts_from_when_it_was_told),
        TEST(test_a_watch_never_sets_back_nor_adds),
        TEST(test_the_last_that_was_told_counts),
        TEST(test_more_members_than_there_can_be_are_left_to_the_list),
        TEST(test_who_leaves_ends_the_wait_and_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
