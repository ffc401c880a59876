/* Who gets a place for a dump, who waits, and how a place comes back. */
#include "tests/unit/test.h"

#include "reconcilers/registry/hop_places.h"

#include "server/base/cleanup.h"

static const struct key a = {"ns", "a"}, b = {"ns", "b"}, c = {"ns", "c"};

static struct hop_places *one_place(void)
{
    return hop_places_new(0); /* a process of fewer than four workers has one all the same */
}

static void place__is_kept_until_it_is_left(void **state)
{
    (void)state;
    struct hop_places *places = one_place();
    struct key next = {{0}, {0}};
    assert_true(hop_places_take(places, &a, false, 0));
    assert_true(hop_places_take(places, &a, true, 1)); /* its own */
    assert_false(hop_places_take(places, &b, false, 2));
    assert_true(hop_places_leave(places, &a, 0, &next));
    assert_string_equal(next.name, "b");
    assert_true(hop_places_take(places, &b, false, 3));
    assert_false(hop_places_leave(places, &b, 0, &next)); /* nobody is left */
    hop_places_free(places);
}

/* Who serves nobody comes first, however long the others stood there. */
static void place__goes_to_the_stopped_first(void **state)
{
    (void)state;
    struct hop_places *places = one_place();
    struct key next = {{0}, {0}};
    assert_true(hop_places_take(places, &a, false, 0));
    assert_false(hop_places_take(places, &b, false, 1));
    assert_false(hop_places_take(places, &c, true, 2));
    assert_true(hop_places_leave(places, &a, 0, &next));
    assert_string_equal(next.name, "c");
    assert_false(hop_places_take(places, &b, false, 3));
    assert_true(hop_places_take(places, &c, true, 4));
    hop_places_free(places);
}

static void place__is_not_leaked_by_who_is_not_looked_at_any_more(void **state)
{
    (void)state;
    struct hop_places *places = one_place();
    assert_true(hop_places_take(places, &a, true, 0));
    assert_false(hop_places_take(places, &b, false, HOP_PLACE_MS));
    assert_true(hop_places_take(places, &b, false, HOP_PLACE_MS + 1));
    assert_false(hop_places_take(places, &a, true, HOP_PLACE_MS + 2));
    hop_places_free(places);
}

static void place__is_not_lost_at_work(void **state)
{
    (void)state;
    struct hop_places *places = one_place();
    assert_true(hop_places_take(places, &a, true, 0));
    hop_places_work(places, &a, true, 0);
    assert_false(hop_places_take(places, &b, false, 100 * HOP_PLACE_MS));
    hop_places_work(places, &a, false, 100 * HOP_PLACE_MS);
    assert_false(hop_places_take(places, &b, false, 101 * HOP_PLACE_MS));
    assert_true(hop_places_take(places, &b, false, 101 * HOP_PLACE_MS + 1));
    hop_places_free(places);
}

/* One that gave up waiting passes on what it was woken for. */
static void line__goes_on_when_one_gives_up(void **state)
{
    (void)state;
    struct hop_places *places = one_place();
    struct key next = {{0}, {0}};
    assert_true(hop_places_take(places, &a, false, 0));
    assert_false(hop_places_take(places, &b, false, 1));
    assert_false(hop_places_take(places, &c, false, 2));
    assert_true(hop_places_leave(places, &a, 0, &next));
    assert_string_equal(next.name, "b");
    assert_true(hop_places_leave(places, &b, 0, &next));
    assert_string_equal(next.name, "c");
    assert_false(hop_places_leave(places, &b, 0, &next)); /* it is in no line */
    hop_places_free(places);
}

/* Two places, and each goes to who came first, whoever asks first. */
static void places__are_given_in_turn(void **state)
{
    (void)state;
    static const struct key d = {"ns", "d"}, e = {"ns", "e"};
    struct hop_places *places = hop_places_new(2);
    struct key next = {{0}, {0}};
    assert_true(hop_places_take(places, &a, true, 0));
    assert_true(hop_places_take(places, &b, true, 0));
    assert_false(hop_places_take(places, &c, false, 1));
    assert_false(hop_places_take(places, &d, false, 2));
    assert_true(hop_places_leave(places, &a, 0, &next));
    assert_string_equal(next.name, "c");
    assert_false(hop_places_take(places, &e, false, 3));
    assert_false(hop_places_take(places, &d, false, 4));
    assert_true(hop_places_leave(places, &b, 0, &next));
    assert_string_equal(next.name, "d");
    assert_true(hop_places_take(places, &d, false, 5));
    assert_true(hop_places_take(places, &c, false, 6));
    assert_false(hop_places_take(places, &e, false, 7));
    hop_places_free(places);
}

/* Whose tries all fail may not keep others out for ever. */
static void who_comes_no_further__makes_way(void **state)
{
    (void)state;
    struct hop_places *places = one_place();
    struct key next = {{0}, {0}};
    assert_true(hop_places_take(places, &a, true, 0));
    assert_false(hop_places_yield(places, &a, 0, 1, &next)); /* nobody waits: it keeps its place */
    assert_true(hop_places_take(places, &a, true, 2));
    assert_false(hop_places_take(places, &b, true, 3));
    assert_false(hop_places_yield(places, &a, 10, 9, &next)); /* not for so long yet */
    assert_true(hop_places_yield(places, &a, 10, 10, &next));
    assert_string_equal(next.name, "b");
    assert_false(hop_places_take(places, &a, true, 11));
    assert_true(hop_places_take(places, &b, true, 12));
    assert_true(hop_places_leave(places, &b, 0, &next));
    assert_string_equal(next.name, "a");
    hop_places_free(places);
}

/* Two that are stopped and fail in turn let one after the other begin; who is stopped waits for one
 * of them at a time. */
static void who_fails_in_turn__keeps_nobody_waiting(void **state)
{
    (void)state;
    static const struct key d = {"ns", "d"};
    static const char *const order[] = {"c", "a", "d", "b", "a"};
    struct hop_places *places = one_place();
    struct key next = {{0}, {0}};
    assert_true(hop_places_take(places, &a, true, 0));
    assert_false(hop_places_take(places, &c, false, 1));
    assert_false(hop_places_take(places, &d, false, 2));
    assert_false(hop_places_take(places, &b, true, 3));
    assert_true(hop_places_yield(places, &a, 0, 4, &next));
    assert_string_equal(next.name, "b");
    for (size_t at = 0; at < ARRAY_SIZE(order); at++) {
        const struct key who = next;
        bool fails = who.name[0] < 'c';
        assert_true(hop_places_take(places, &who, fails, 5));
        assert_true(fails ? hop_places_yield(places, &who, 0, 6, &next)
                          : hop_places_leave(places, &who, 6, &next));
        assert_string_equal(next.name, order[at]);
    }
    hop_places_free(places);
}

/* What it gave up is another's at once, and not its own for asking first. */
static void who_makes_way__does_not_come_first(void **state)
{
    (void)state;
    struct hop_places *places = one_place();
    struct key next = {{0}, {0}};
    assert_true(hop_places_take(places, &a, true, 0));
    assert_false(hop_places_take(places, &b, false, 1));
    assert_true(hop_places_yield(places, &a, 0, 2, &next));
    assert_false(hop_places_take(places, &a, true, 3));
    assert_false(hop_places_yield(places, &a, 0, 4, &next)); /* it has none to give */
    assert_true(hop_places_take(places, &b, false, 5));
    hop_places_free(places);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(place__is_kept_until_it_is_left),
        TEST(place__goes_to_the_stopped_first),
        TEST(place__is_not_leaked_by_who_is_not_looked_at_any_more),
        TEST(place__is_not_lost_at_work),
        TEST(line__goes_on_when_one_gives_up),
        TEST(places__are_given_in_turn),
        TEST(who_comes_no_further__makes_way),
        TEST(who_fails_in_turn__keeps_nobody_waiting),
        TEST(who_makes_way__does_not_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
