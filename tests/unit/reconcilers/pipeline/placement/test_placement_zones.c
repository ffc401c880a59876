/* Zones: a stage stays in even parts in so many zones, whatever becomes of it. */
#include "reconcilers/pipeline/placement/placement.h"

#include "server/base/cleanup.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

enum { PODS = 9, LOST = -1 };

/* What happens to the one stage, and where it is then: "0:5 1:4", a pod's zone is its number modulo
 * the zones there are. */
struct event {
    int64_t rate; /* of the first event: asked for; then: changed to; LOST: a pod is lost */
    uint32_t pod;
    const char *shares;
};

static const struct row {
    const char *what;
    enum place_mode mode;
    enum place_policy policy;
    uint32_t zones, zones_min, split, ready;
    int64_t small[PODS]; /* capacity of a pod, if not 15 */
    struct event events[4];
} rows[] = {
    {"a rate falls in each zone",
     PLACE_WEIGHTED,
     PLACE_PACK,
     2,
     2,
     8,
     4,
     {0},
     {{20, 0, "0:10 1:10"}, {11, 0, "0:6 1:5"}, {3, 0, "0:2 1:1"}}},
    {"a rate rises where it is, then beside",
     PLACE_WEIGHTED,
     PLACE_PACK,
     2,
     2,
     8,
     4,
     {0},
     {{20, 0, "0:10 1:10"}, {30, 0, "0:15 1:15"}, {34, 0, "0:15 1:15 2:2 3:2"}}},
    {"two lost, of each zone one: each zone gets its own",
     PLACE_WEIGHTED,
     PLACE_PACK,
     2,
     2,
     8,
     6,
     {0},
     {{40, 0, "0:15 1:15 2:5 3:5"},
      {LOST, 0, "1:15 2:15 3:5 4:5"},
      {LOST, 1, "2:15 3:15 4:5 5:5"}}},
    {"equal parts on as many pods in each zone",
     PLACE_EQUAL,
     PLACE_PACK,
     2,
     2,
     8,
     4,
     {15, 5, 15, 5},
     {{20, 0, "0:5 1:5 2:5 3:5"}, {16, 0, "0:4 1:4 2:4 3:4"}}},
    {"equal parts, one lost: as many in its zone again",
     PLACE_EQUAL,
     PLACE_PACK,
     2,
     2,
     8,
     5,
     {15, 5, 15, 5, 15},
     {{20, 0, "0:5 1:5 2:5 3:5"}, {LOST, 2, "0:5 1:5 3:5 4:5"}}},
    {"to spread, on as many as there are in each",
     PLACE_EQUAL,
     PLACE_SPREAD,
     2,
     2,
     8,
     5,
     {0},
     {{20, 0, "0:5 1:5 2:5 3:5"}}},
    {"a pod is asked for in the zone that lacks one",
     PLACE_WEIGHTED,
     PLACE_PACK,
     3,
     3,
     3,
     6,
     {15, 15, 1, 15, 15, 1},
     {{30, 0, "0:10 1:10 8:10"}}},
    {"no pod is waited for while others serve",
     PLACE_WEIGHTED,
     PLACE_PACK,
     3,
     2,
     8,
     3,
     {1, 15, 15},
     {{20, 0, "1:10 2:10"}}},
};

static const char *shares_of(struct ctx *ctx, const struct placement *placement)
{
    struct place_share found[PLACE_SPLIT_MAX];
    uint32_t count = placement_shares(placement, 0, 0, found);
    const char *text = "";
    for (uint32_t at = 0; at < count; at++)
        text = arena_printf(ctx->arena, "%s%s%u:%ld", text, at ? " " : "", found[at].ordinal,
                            (long)found[at].milli);
    return text;
}

static void pod_is(struct ctx *ctx, struct placement *placement, const struct row *row,
                   uint32_t ordinal, enum pod_state state)
{
    int64_t capacity = row->small[ordinal] ? row->small[ordinal] : 15;
    struct place_pod pod = {0, ordinal, state, ordinal % row->zones, capacity};
    assert_int_equal(placement_pod_set(ctx, placement, &pod, 0), 0);
}

static void apply(struct ctx *ctx, struct placement *placement, const struct row *row,
                  const struct event *event)
{
    struct place_stage stage = {0, event->rate};
    struct place_pipeline spec = {.stage_count = 1, .stages = &stage};
    struct place_view refusal;
    bool done = true;
    if (event == row->events)
        assert_int_equal(placement_admit(ctx, placement, &spec, 0), 0);
    else if (event->rate == LOST)
        pod_is(ctx, placement, row, event->pod, POD_ABSENT);
    else
        assert_int_equal(placement_rates_set(ctx, placement, 0, &event->rate, 0, &refusal, &done),
                         0);
    assert_true(done);
}

static void test_placement_zones__stay_even(void **state)
{
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const struct row *row = &rows[at];
        struct placement *placement = placement_new();
        struct place_class spec = {15, PODS,      row->split, row->zones_min,
                                   30, row->mode, row->policy};
        assert_int_equal(placement_class_set(*state, placement, 0, &spec), 0);
        for (uint32_t pod = 0; pod < row->ready; pod++)
            pod_is(*state, placement, row, pod, POD_READY);
        for (const struct event *event = row->events; event->shares; event++) {
            apply(*state, placement, row, event);
            const char *shares = shares_of(*state, placement);
            if (!str_equal(shares, event->shares))
                fail_msg("%s: %s is not %s", row->what, shares, event->shares);
        }
        placement_free(placement);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_placement_zones__stay_even)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
