/* What autoscalers read: of classes that are there, by who decides about them; nobody is silenced.
 */
#include "reconcilers/pipeline/requests.h"
#include "server/base/clock.h"
#include "server/base/str.h"
#include "server/net/metrics.h"
#include "tests/unit/test.h"

#include <string.h>

enum { LEFT_SHARD = 7, SHARD = 8 };

static bool holds(void *arg, int shard)
{
    return !*(bool *)arg || shard != LEFT_SHARD;
}

static void put(struct ctx *ctx, struct requests *requests, const char *namespace, int shard,
                uint32_t count)
{
    struct world world = {.class_count = count};
    struct decision decision = {0};
    world.classes = arena_alloc(ctx->arena, count * sizeof *world.classes);
    decision.classes = arena_alloc(ctx->arena, count * sizeof *decision.classes);
    for (uint32_t at = 0; at < count; at++) {
        world.classes[at].class.name = arena_printf(ctx->arena, "c%03u", at);
        decision.classes[at].demand = 1500 + at;
    }
    requests_put(requests, namespace, shard, &world, &decision);
}

static const char *read_all(struct ctx *ctx)
{
    struct str text;
    str_init(&text, 1 << 20);
    metrics_write(&text);
    const char *copy = arena_strdup(ctx->arena, str_text(&text));
    str_done(&text);
    return copy;
}

static bool shows(struct ctx *ctx, const char *class, const char *namespace)
{
    return strstr(read_all(ctx), arena_printf(ctx->arena,
                                              "\nworkerclass_request{workerclass_name=\"%s\","
                                              "workerclass_namespace=\"%s\"} 1.5",
                                              class, namespace)) != NULL;
}

static void test_what_went_is_shown_no_more(void **state)
{
    struct ctx *ctx = *state;
    bool left = false;
    struct requests *requests = requests_new(holds, &left);
    put(ctx, requests, "shop", LEFT_SHARD, 2);
    put(ctx, requests, "farm", SHARD, 1);
    assert_true(shows(ctx, "c000", "shop") && shows(ctx, "c001", "shop"));
    put(ctx, requests, "shop", LEFT_SHARD, 1); /* a class is gone */
    assert_true(shows(ctx, "c000", "shop") && !shows(ctx, "c001", "shop"));
    left = true;
    assert_true(!shows(ctx, "c000", "shop") && shows(ctx, "c000", "farm"));
    left = false; /* it comes back when there is a decision */
    assert_false(shows(ctx, "c000", "shop"));
    requests_drop(requests, "farm");
    assert_false(shows(ctx, "c000", "farm"));
    requests_free(requests);
}

static void test_nobody_is_silenced_by_one_with_many(void **state)
{
    struct ctx *ctx = *state;
    bool left = false;
    struct requests *requests = requests_new(holds, &left);
    for (int tenant = 0; tenant < 8; tenant++)
        put(ctx, requests, arena_printf(ctx->arena, "greedy-%d", tenant), SHARD, WORLD_CLASSES_MAX);
    put(ctx, requests, "modest", SHARD, 3);
    assert_true(shows(ctx, "c002", "modest"));
    const char *text = read_all(ctx);
    int count = 0;
    while ((text = strstr(text, "\nworkerclass_request{"))) {
        text++;
        count++;
    }
    assert_int_equal(count, METRICS_SERIES_MAX);
    assert_false(shows(ctx, "other", "other"));
    requests_free(requests);
}

/* Of a class first at once; then again when it is due, whatever is decided between. */
static void test_a_class_is_told_of_so_often(void **state)
{
    enum { EVERY_MS = 30, LONG_MS = 3600000 };
    struct ctx *ctx = *state;
    bool left = false;
    struct requests *requests = requests_new(holds, &left);
    put(ctx, requests, "shop", SHARD, 2);
    assert_int_equal(requests_rest_ms(requests, "shop", "c000", LONG_MS), 0);
    requests_told(requests, "shop", "c000");
    put(ctx, requests, "shop", SHARD, 2);
    int64_t left_ms = requests_rest_ms(requests, "shop", "c000", LONG_MS);
    assert_true(left_ms > 0 && left_ms <= LONG_MS);
    assert_int_equal(requests_rest_ms(requests, "shop", "c001", LONG_MS), 0);
    requests_told(requests, "farm", "c000"); /* nobody knows it */
    assert_int_equal(requests_rest_ms(requests, "farm", "c000", LONG_MS), 0);
    clock_sleep_ms(EVERY_MS);
    assert_int_equal(requests_rest_ms(requests, "shop", "c000", EVERY_MS), 0);
    requests_free(requests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_went_is_shown_no_more),
        TEST(test_nobody_is_silenced_by_one_with_many),
        TEST(test_a_class_is_told_of_so_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
