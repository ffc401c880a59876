/* What tenants may use, lend and borrow, and whose turn it is. */
#include "tests/unit/reconcilers/pipeline/placement/one_class.h"

static void quota(struct ctx *ctx, struct placement *placement, uint32_t tenant, int64_t nominal,
                  int64_t borrow)
{
    struct place_quota given = {nominal, borrow};
    assert_int_equal(placement_quota_set(ctx, placement, tenant, CLASS, &given), 0);
}

/* Tenants 1 and 2 have half of the class each; 1 may borrow the rest. */
static void test_quotas__what_is_borrowed_is_given_back(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    quota(*state, placement, 1, 30, 40);
    quota(*state, placement, 2, 30, 0);
    admit(*state, placement, 0, 30, 0, 1, 0);
    admit(*state, placement, 1, 15, 9, 1, 0);
    admit(*state, placement, 2, 10, 9, 1, 0);
    for (uint32_t id = 0; id < 3; id++)
        assert_int_equal(placement_look(placement, id).phase, PLACE_PLACED);
    admit(*state, placement, 3, 6, 9, 1, 0); /* 5 are unused */
    assert_int_equal(placement_look(placement, 3).reason, PLACE_OVER_QUOTA);
    admit(*state, placement, 4, 20, 0, 2, 0); /* of those who have borrowed 0 is least important */
    assert_int_equal(placement_look(placement, 4).reason, PLACE_WAITS_FOR_DRAIN);
    assert_int_equal(placement_look(placement, 0).reason, PLACE_PREEMPTED);
    drain_all(*state, placement);
    assert_int_equal(placement_look(placement, 4).phase, PLACE_PLACED);
    placement_tick(placement, 0); /* 15 are unused */
    assert_int_equal(placement_look(placement, 0).reason, PLACE_OVER_QUOTA);
    assert_int_equal(placement_look(placement, 3).phase, PLACE_PLACED);
    placement_free(placement);
}

/* Not from who has no more than is its own; and who would borrow takes nothing from anybody. */
static void test_quotas__who_borrows_displaces_nobody(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    quota(*state, placement, 1, 30, 30);
    quota(*state, placement, 2, 45, 0);
    admit(*state, placement, 0, 30, 5, 1, 0);
    admit(*state, placement, 1, 30, 0, 3, 0); /* without a quota: it neither lends nor borrows */
    admit(*state, placement, 2, 15, 9, 1, 0);
    assert_int_equal(placement_look(placement, 2).reason, PLACE_NO_CAPACITY);
    assert_int_equal(placement_look(placement, 1).phase, PLACE_PLACED);
    admit(*state, placement, 3, 15, 0, 2, 0);
    assert_int_equal(placement_look(placement, 3).reason, PLACE_NO_CAPACITY);
    assert_int_equal(placement_look(placement, 0).phase, PLACE_PLACED);
    placement_free(placement);
}

/* From 30 to the 20 that are its own: one of 15 may go, and that does not suffice. */
static void test_quotas__what_is_its_own_is_left_to_a_borrower(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    quota(*state, placement, 1, 20, 30);
    quota(*state, placement, 2, 50, 0);
    admit(*state, placement, 0, 15, 0, 1, 0);
    admit(*state, placement, 1, 15, 0, 1, 0);
    admit(*state, placement, 2, 50, 0, 2, 0);
    assert_int_equal(placement_look(placement, 2).reason, PLACE_NO_CAPACITY);
    for (uint32_t id = 0; id < 2; id++)
        assert_int_equal(placement_look(placement, id).phase, PLACE_PLACED);
    admit(*state, placement, 3, 45, 0, 2, 0);
    assert_int_equal(placement_look(placement, 3).reason, PLACE_WAITS_FOR_DRAIN);
    assert_int_equal(placement_look(placement, 0).phase, PLACE_PLACED);
    assert_int_equal(placement_look(placement, 1).reason, PLACE_PREEMPTED);
    placement_free(placement);
}

static void test_quotas__bind(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    quota(*state, placement, 1, 20, 0);
    admit(*state, placement, 0, 15, 0, 1, 0);
    admit(*state, placement, 1, 6, 0, 1, 0);
    admit(*state, placement, 2, 21, 0, 1, 0);
    assert_int_equal(placement_look(placement, 1).reason, PLACE_OVER_QUOTA);
    assert_int_equal(placement_look(placement, 2).phase, PLACE_REJECTED);
    quota(*state, placement, 1, 21, 0);
    placement_tick(placement, 0);
    assert_int_equal(placement_look(placement, 1).phase, PLACE_PLACED);
    placement_free(placement);
}

/* Who has less comes first, though it is younger; of two tenants that have as much the older. */
static void test_quotas__fair_order(void **state)
{
    static const struct {
        int64_t of_one, of_two;
        uint32_t first;
    } rows[] = {{15, 30, 4}, {30, 15, 3}, {20, 20, 3}};
    for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
        struct placement *placement = with(*state, plain, PODS);
        admit(*state, placement, 0, 60 - rows[row].of_one - rows[row].of_two, 0, 3, 0);
        admit(*state, placement, 1, rows[row].of_one, 0, 1, 0);
        admit(*state, placement, 2, rows[row].of_two, 0, 2, 0);
        admit(*state, placement, 3, 15, 0, 2, 0);
        admit(*state, placement, 4, 15, 0, 1, 0);
        assert_int_equal(placement_remove(*state, placement, 0), 0);
        drain_all(*state, placement);
        placement_tick(placement, 0);
        assert_int_equal(placement_look(placement, rows[row].first).phase, PLACE_PLACED);
        assert_int_equal(placement_look(placement, 7 - rows[row].first).phase, PLACE_WAITING);
        placement_free(placement);
    }
}

/* Tenant 1 has a third of its class, 2 a quarter of another, which becomes another size. */
static void test_quotas__fair_order_follows_the_size_of_a_class(void **state)
{
    enum { OTHER = CLASS + 1 };
    static const struct {
        int64_t capacity;
        uint32_t pods_max;
        int32_t timeout_s;
        uint32_t first;
    } rows[] = {{15, 4, 30, 4}, {15, 4, 99, 4}, {15, 2, 30, 3}, {8, 4, 30, 3}};
    for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
        struct placement *placement = with(*state, plain, PODS);
        struct place_class other = plain;
        const struct place_pod pod = {OTHER, 0, POD_READY, 0, 15};
        struct place_stage stage = {OTHER, 15};
        const struct place_pipeline of_two = {2, 2, 0, 2, 1, &stage};
        assert_int_equal(placement_class_set(*state, placement, OTHER, &other), 0);
        assert_int_equal(placement_pod_set(*state, placement, &pod, 0), 0);
        admit(*state, placement, 0, 40, 0, 3, 0);
        admit(*state, placement, 1, 20, 0, 1, 0);
        assert_int_equal(placement_admit(*state, placement, &of_two, 0), 0);
        admit(*state, placement, 3, 40, 0, 1, 0);
        admit(*state, placement, 4, 40, 0, 2, 0);
        assert_int_equal(placement_class_set(*state, placement, CLASS, &plain), 0);
        placement_tick(placement, 0); /* there might be room: whose turn it is was found out */
        other.capacity = rows[row].capacity;
        other.pods_max = rows[row].pods_max;
        other.timeout_s = rows[row].timeout_s;
        assert_int_equal(placement_class_set(*state, placement, OTHER, &other), 0);
        assert_int_equal(placement_remove(*state, placement, 0), 0);
        drain_all(*state, placement);
        placement_tick(placement, 0);
        assert_int_equal(placement_look(placement, rows[row].first).phase, PLACE_PLACED);
        assert_int_equal(placement_look(placement, 7 - rows[row].first).phase, PLACE_WAITING);
        placement_free(placement);
    }
}

static void test_quotas__limits_are_refused(void **state)
{
    struct placement *placement = with(*state, plain, 1);
    static const struct place_quota wrong[] = {
        {-1, 0}, {PLACE_MILLI_MAX + 1, 0}, {0, -1}, {0, PLACE_MILLI_MAX + 1}};
    for (size_t at = 0; at < ARRAY_SIZE(wrong); at++)
        assert_int_equal(placement_quota_set(*state, placement, 1, CLASS, &wrong[at]),
                         -ERR_INVALID);
    assert_int_equal(placement_quota_set(*state, placement, PLACE_TENANTS_MAX, CLASS, &wrong[0]),
                     -ERR_INVALID);
    placement_free(placement);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_quotas__bind),
        TEST(test_quotas__what_is_borrowed_is_given_back),
        TEST(test_quotas__who_borrows_displaces_nobody),
        TEST(test_quotas__what_is_its_own_is_left_to_a_borrower),
        TEST(test_quotas__fair_order),
        TEST(test_quotas__fair_order_follows_the_size_of_a_class),
        TEST(test_quotas__limits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
