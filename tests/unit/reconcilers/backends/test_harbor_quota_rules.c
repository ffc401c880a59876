#include "tests/unit/test.h"

#include "reconcilers/backends/harbor.h"
#include "reconcilers/backends/harbor_quota_rules.h"

#include <string.h>

#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

static enum harbor_quota_move decide(int64_t used, int64_t hard, int64_t room, int64_t *ret)
{
    const struct harbor_project project = {.quota_id = 1, .used = used, .hard = hard};
    return harbor_quota_decide(&project, room, ret);
}

static void free__is_never_negative(void **state)
{
    (void)state;
    assert_int_equal(harbor_quota_free(10, 3), 7);
    assert_int_equal(harbor_quota_free(10, 10), 0);
    assert_int_equal(harbor_quota_free(10, 11), 0);
    assert_int_equal(harbor_quota_free(0, 0), 0);
    assert_int_equal(harbor_quota_free(INT64_MAX, 0), INT64_MAX);
}

static void cap__is_ours_and_never_too_much(void **state)
{
    (void)state;
    static const int64_t sizes[] = {0,       1,         1000,      MIB - 1,      MIB,
                                    MIB + 1, 7 * MIB,   GIB,       5000000000,   123456789012,
                                    GIB * 9, GIB * 999, INT64_MAX, INT64_MAX - 1};
    for (size_t used = 0; used < sizeof sizes / sizeof *sizes; used++) {
        for (size_t room = 0; room < sizeof sizes / sizeof *sizes; room++) {
            int64_t cap = harbor_quota_cap(sizes[used], sizes[room]);
            int64_t most =
                sizes[used] > INT64_MAX - sizes[room] ? INT64_MAX : sizes[used] + sizes[room];
            assert_true(harbor_quota_is_ours(cap));
            assert_true(cap <= most || cap == 1); /* Harbor has no limit of 0 */
            assert_true(cap > most - MIB);
        }
    }
}

/* What people set, in the UI's units or by hand, is theirs. */
static void cap__is_not_taken_for_a_customers(void **state)
{
    (void)state;
    static const int64_t theirs[] = {-1,         0,       MIB,     10 * MIB,    GIB,
                                     1024 * GIB, 500,     1000000, 5000000000,  1000000000000,
                                     999999,     MIB - 1, 2,       GIB / 2 + 1, 10737418240,
                                     INT64_MAX};
    for (size_t at = 0; at < sizeof theirs / sizeof *theirs; at++)
        assert_false(harbor_quota_is_ours(theirs[at]));
}

static void decide__by_rows(void **state)
{
    (void)state;
    const int64_t ours_ten = harbor_quota_cap(2 * GIB, 8 * GIB);
    const struct {
        const char *what;
        int64_t used, hard, room;
        enum harbor_quota_move move;
    } rows[] = {
        {"without a limit", 2 * GIB, -1, 8 * GIB, QUOTA_TIGHTEN},
        {"as wanted", 2 * GIB, ours_ten, 8 * GIB, QUOTA_KEEP},
        {"another project grew a little", 2 * GIB, ours_ten, 5 * GIB, QUOTA_KEEP},
        {"the room has halved", 2 * GIB, ours_ten, 3 * GIB, QUOTA_TIGHTEN},
        {"the project itself grew", 9 * GIB, ours_ten, GIB, QUOTA_KEEP},
        {"something was deleted", 2 * GIB, ours_ten, 15 * GIB, QUOTA_KEEP},
        {"much was deleted", 2 * GIB, ours_ten, 17 * GIB, QUOTA_LOOSEN},
        {"full", 2 * GIB, ours_ten, 0, QUOTA_TIGHTEN},
        {"full, and nothing stored", 0, ours_ten, 0, QUOTA_TIGHTEN},
        {"the customer's is lower", 2 * GIB, 3 * GIB, 100 * GIB, QUOTA_KEEP},
        {"the customer's is much higher", 2 * GIB, 300 * GIB, 100 * GIB, QUOTA_TIGHTEN},
        {"the customer's is below what is stored", 2 * GIB, GIB, 0, QUOTA_KEEP},
        {"no quota any more", 2 * GIB, ours_ten, HARBOR_UNLIMITED, QUOTA_LOOSEN},
        {"no quota any more, sealed", 0, 1, HARBOR_UNLIMITED, QUOTA_LOOSEN},
        {"no quota, the customer's", 2 * GIB, 3 * GIB, HARBOR_UNLIMITED, QUOTA_KEEP},
        {"no quota, no limit", 2 * GIB, -1, HARBOR_UNLIMITED, QUOTA_KEEP},
    };
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        int64_t hard;
        if (decide(rows[at].used, rows[at].hard, rows[at].room, &hard) != rows[at].move)
            fail_msg("%s", rows[at].what);
        assert_int_equal(hard != rows[at].hard, rows[at].move != QUOTA_KEEP);
    }
}

static void lifted__by_rows(void **state)
{
    (void)state;
    const int64_t ours_ten = harbor_quota_cap(2 * GIB, 8 * GIB);
    const struct {
        int64_t used, hard, room;
        bool lifted;
    } rows[] = {
        {2 * GIB, -1, 8 * GIB, true},
        {2 * GIB, ours_ten, 8 * GIB, false},
        {2 * GIB, ours_ten, GIB, false}, /* ours, and others grew */
        {2 * GIB, 300 * GIB, 8 * GIB, true},
        {2 * GIB, 18 * GIB, 8 * GIB, false}, /* twice the room */
        {2 * GIB, 18 * GIB + 1, 8 * GIB, true},
        {2 * GIB, 3 * GIB, 8 * GIB, false},
        {2 * GIB, 3 * GIB, 0, true},
        {2 * GIB, 1 * GIB, 0, false},
        {2 * GIB, -1, HARBOR_UNLIMITED, false},
    };
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        const struct harbor_project project = {1, rows[at].used, rows[at].hard};
        if (harbor_quota_is_lifted(&project, rows[at].room) != rows[at].lifted)
            fail_msg("row %zu", at);
    }
}

/* Whatever stood there: what was written is not written again, and lets grow by the room at most.
 */
static void decide__converges_at_once(void **state)
{
    (void)state;
    unsigned random = 1;
    for (int turn = 0; turn < 200000; turn++) {
        int64_t number[3];
        for (int at = 0; at < 3; at++) {
            random = random * 1103515245 + 12345;
            number[at] = (int64_t)(random >> 8) << (random % 36);
        }
        int64_t room = turn % 7 ? number[2] : 0, hard, again;
        int64_t before = turn % 3 ? number[1] : HARBOR_UNLIMITED;
        enum harbor_quota_move move = decide(number[0], before, room, &hard);
        assert_int_equal(decide(number[0], hard, room, &again), QUOTA_KEEP);
        if (move == QUOTA_KEEP)
            continue;
        assert_true(harbor_quota_is_ours(hard));
        assert_true(hard == 1 || hard <= number[0] + room);
        assert_int_equal(move, before == HARBOR_UNLIMITED || hard < before ? QUOTA_TIGHTEN
                                                                           : QUOTA_LOOSEN);
    }
}

/* From empty to full in small pushes: limits are written a few times, and the sum never passes. */
static void decide__holds_a_fill_with_few_writes(void **state)
{
    (void)state;
    enum { PROJECTS = 5 };
    const int64_t limit = 10 * GIB;
    struct harbor_project project[PROJECTS];
    int writes = 0, refused = 0;
    int64_t used = 0;
    for (int at = 0; at < PROJECTS; at++)
        project[at] = (struct harbor_project){.quota_id = at + 1, .hard = HARBOR_UNLIMITED};
    for (int push = 0; push < 3000; push++) {
        struct harbor_project *to = &project[push % PROJECTS];
        int64_t bytes = 5 * MIB, room = harbor_quota_free(limit, used), hard;
        for (int at = 0; at < PROJECTS; at++) {
            writes += harbor_quota_decide(&project[at], room, &hard) != QUOTA_KEEP;
            project[at].hard = hard;
        }
        bool fits = to->used + bytes <= to->hard;
        refused += !fits;
        to->used += fits ? bytes : 0;
        used += fits ? bytes : 0;
        assert_true(used <= limit + bytes);
    }
    assert_true(used > limit - PROJECTS * 6 * MIB); /* nearly all could be used */
    assert_true(refused > 0);
    assert_true(writes <= PROJECTS * 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(free__is_never_negative),
        TEST(cap__is_ours_and_never_too_much),
        TEST(cap__is_not_taken_for_a_customers),
        TEST(decide__by_rows),
        TEST(lifted__by_rows),
        TEST(decide__converges_at_once),
        TEST(decide__holds_a_fill_with_few_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
