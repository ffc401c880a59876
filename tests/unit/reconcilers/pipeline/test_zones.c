/* Zones: each stage of a class that minds is laid on pods of several zones, and the ledger keeps
 * which pod is where. */
#include "server/base/cleanup.h"
#include "tests/unit/reconcilers/pipeline/talk.h"

static void put_zone(struct fixture *fixture, const char *pod, const char *zone)
{
    json_object_set_new(json_at(pod_of(fixture, pod), "metadata.labels"), LABEL_ZONE,
                        json_string(zone));
}

static void set_zones(struct fixture *fixture, int zones, int generation)
{
    json_t *blue = json_array_get(fixture->classes, 0);
    json_put(blue, "spec.mode", json_string("Equal"));
    json_put(blue, "spec.minZones", json_integer(zones));
    json_put(blue, "metadata.generation", json_integer(generation));
}

/* Blue pods 0 and 1 in one zone, 2 in another; one pod of each other class. */
static struct fixture zoned(struct ctx *ctx, int zones)
{
    struct fixture fixture = fixture_new(ctx);
    static const char *const of[] = {"east", "east", "west"};
    set_zones(&fixture, zones, 1);
    for (int pod = 0; pod < 3; pod++) {
        put_pod(&fixture, "blue", pod, true);
        put_zone(&fixture, arena_printf(ctx->arena, "blue-workers-%d", pod), of[pod]);
    }
    put_pod(&fixture, "green", 0, true);
    put_pod(&fixture, "yellow", 0, true);
    put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    return fixture;
}

static void test_a_stage_is_in_as_many_zones_as_asked(void **state)
{
    struct fixture fixture = zoned(*state, 2);
    assert_string_equal(shares_of(&fixture, "first", "blue"), "0:5000 2:5000");
    const json_t *blue = json_find(fixture.ledger, "classes", "name", "blue");
    assert_string_equal(json_str(blue, "podZones"), "001");
    assert_string_equal(json_str(blue, "zones.1"), "west");
    assert_null(json_at(json_find(fixture.ledger, "classes", "name", "green"), "podZones"));
    assert_false(decided(&fixture)->changed);
    const struct class_note *note = &fixture.decision.notes[0];
    assert_int_equal(note->zone_count, 2);
    assert_int_equal(note->zones[0].ready, 2);
    assert_int_equal(note->zones[1].used, 5000);
    assert_null(note->zoneless);
}

static void test_a_lost_part_comes_back_in_its_zone_only(void **state)
{
    struct fixture fixture = zoned(*state, 2);
    lose_pod(&fixture, "blue-workers-2");
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_SCALING);
    put_pod(&fixture, "blue", 3, false); /* it has no node yet, and so no zone */
    decided(&fixture);
    assert_true(str_starts(shares_of(&fixture, "first", "blue"), "0:5000 3:5000"));
    set_ready(&fixture, "blue-workers-3", true);
    put_zone(&fixture, "blue-workers-3", "west");
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_PLACED);
    assert_string_equal(shares_of(&fixture, "first", "blue"), "0:5000 3:5000");
}

/* A zone where it has nothing, and pods that serve, comes before pods that are to come: a whole
 * zone may be gone. So it is in each mode, and for who is new. */
static void test_the_part_of_a_lost_zone_goes_where_pods_serve(void **state)
{
    static const char *const modes[] = {"Equal", "Weighted"};
    for (size_t at = 0; at < ARRAY_SIZE(modes); at++) {
        struct fixture fixture = zoned(*state, 2);
        json_put(json_array_get(fixture.classes, 0), "spec.mode", json_string(modes[at]));
        put_pod(&fixture, "blue", 3, true);
        put_zone(&fixture, "blue-workers-3", "north");
        decided(&fixture);
        lose_pod(&fixture, "blue-workers-0");
        lose_pod(&fixture, "blue-workers-1");
        decided(&fixture);
        assert_string_equal(shares_of(&fixture, "first", "blue"), "2:5000 3:5000");
        put_pipeline(&fixture, "second", 4);
        decided(&fixture);
        assert_string_equal(shares_of(&fixture, "second", "blue"), "2:2000 3:2000");
        assert_int_equal(verdict_of(&fixture, "second")->view.phase, PLACE_PLACED);
    }
}

static void test_who_minds_from_now_on_moves_nothing_that_runs(void **state)
{
    struct fixture fixture = zoned(*state, 1);
    assert_string_equal(shares_of(&fixture, "first", "blue"), "0:10000");
    set_zones(&fixture, 2, 2);
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "first", "blue"), "0:10000");
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_PLACED);
    put_pipeline(&fixture, "second", 10);
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "second", "blue"), "0:5000 2:5000");
    set_zones(&fixture, 1, 3);
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "second", "blue"), "0:5000 2:5000");
    assert_false(decided(&fixture)->changed);
}

static void test_a_pod_without_a_zone_is_named(void **state)
{
    struct fixture fixture = zoned(*state, 2);
    put_pod(&fixture, "blue", 3, true);
    decided(&fixture);
    assert_string_equal(fixture.decision.notes[0].zoneless, "blue-workers-3");
    assert_int_equal(fixture.decision.notes[0].zone_count, 3);
}

static void test_what_cannot_be_in_so_many_zones_is_in_fewer(void **state)
{
    struct fixture fixture = zoned(*state, 1);
    json_t *blue = json_array_get(fixture.classes, 0);
    json_put(blue, "spec.minZones", json_integer(8));
    json_put(blue, "spec.maxSplit", json_integer(2));
    decided(&fixture);
    assert_int_equal(fixture.world.classes[0].class.spec.zones_min, 2);
    json_put(blue, "spec.mode", json_string("Whole"));
    decided(&fixture);
    assert_int_equal(fixture.world.classes[0].class.spec.zones_min, 1);
}

static void test_zones_that_cannot_be_are_refused(void **state)
{
    struct fixture fixture = zoned(*state, 2);
    json_t *blue = json_find(fixture.ledger, "classes", "name", "blue");
    json_object_set_new(blue, "podZones", json_string("0x1"));
    assert_int_equal(decide(fixture.ctx, &fixture.world, fixture.ledger, true, &fixture.decision),
                     -ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_stage_is_in_as_many_zones_as_asked),
        TEST(test_a_lost_part_comes_back_in_its_zone_only),
        TEST(test_the_part_of_a_lost_zone_goes_where_pods_serve),
        TEST(test_who_minds_from_now_on_moves_nothing_that_runs),
        TEST(test_a_pod_without_a_zone_is_named),
        TEST(test_what_cannot_be_in_so_many_zones_is_in_fewer),
        TEST(test_zones_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
