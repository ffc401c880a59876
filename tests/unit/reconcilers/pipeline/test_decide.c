/* Decisions: a ledger and a world give the next ledger, and nothing else does. */
#include "tests/unit/reconcilers/pipeline/talk.h"

static void test_the_talk_s_second_pipeline_shares_what_the_first_leaves(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    put_pipeline(&fixture, "first", 10);
    put_pipeline(&fixture, "second", 10);
    assert_true(decided(&fixture)->changed);
    assert_string_equal(shares_of(&fixture, "first", "blue"), "0:10000");
    assert_string_equal(shares_of(&fixture, "second", "blue"), "0:10000");
    assert_string_equal(shares_of(&fixture, "first", "green"), "0:10000");
    assert_string_equal(shares_of(&fixture, "second", "green"), "1:10000");
    assert_string_equal(shares_of(&fixture, "second", "yellow"), "0:10000");
    assert_true(verdict_of(&fixture, "second")->view.ran);
    assert_int_equal(fixture.decision.classes[0].demand, 20000);
}

static void test_a_ledger_that_is_replayed_says_the_same(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    put_pipeline(&fixture, "first", 10);
    put_pipeline(&fixture, "second", 10);
    decided(&fixture);
    const char *before = json_text(fixture.ctx->arena, fixture.ledger);
    for (int again = 0; again < 3; again++)
        assert_false(decided(&fixture)->changed);
    assert_string_equal(json_text(fixture.ctx->arena, fixture.ledger), before);
}

static void test_who_waits_has_reason_numbers_and_a_time(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    put_pipeline(&fixture, "first", 10);
    put_pipeline(&fixture, "second", 10);
    put_pipeline(&fixture, "third", 10);
    decided(&fixture);
    const struct verdict *third = verdict_of(&fixture, "third");
    assert_int_equal(third->view.phase, PLACE_SCALING);
    assert_int_equal(third->view.reason, PLACE_WAITS_FOR_PODS);
    assert_false(third->view.ran);
    assert_int_equal(third->view.pods_needed, 1);
    assert_int_equal(third->view.deadline_s, NOW_S + 600);
    assert_int_equal(fixture.decision.wake_s, NOW_S + 600);
    assert_int_equal(fixture.decision.classes[1].replicas, 3);
    fixture.now_s += 600; /* they did not come */
    decided(&fixture);
    third = verdict_of(&fixture, "third");
    assert_int_equal(third->view.reason, PLACE_TIMED_OUT);
    assert_true(third->view.retry_s > fixture.now_s);
    put_pod(&fixture, "green", 2, true); /* and now they do */
    fixture.now_s = third->view.retry_s;
    decided(&fixture);
    assert_true(verdict_of(&fixture, "third")->view.ran);
    assert_string_equal(shares_of(&fixture, "third", "green"), "2:10000");
}

/* Whoever decides, before and after: what waits for room is in the ledger. */
static void test_who_waits_for_a_pod_takes_room_that_comes_free(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    put_pipeline(&fixture, "first", 10);
    put_pipeline(&fixture, "second", 10);
    put_pipeline(&fixture, "third", 10);
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "third", "green"), "2:10000");
    json_array_remove(fixture.pipelines, 1);
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "third")->view.phase, PLACE_SCALING);
    assert_int_equal(fixture.decision.classes[1].replicas, 3);
    decided(&fixture); /* routed: it drains from now on */
    fixture.now_s += 5;
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "third")->view.phase, PLACE_PLACED);
    assert_string_equal(shares_of(&fixture, "third", "green"), "1:10000");
    assert_string_equal(shares_of(&fixture, "third", "blue"), "0:10000");
    assert_int_equal(fixture.decision.classes[1].replicas, 2);
    assert_false(decided(&fixture)->changed);
}

static void test_a_lost_pod_moves_only_its_shares(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    put_pipeline(&fixture, "first", 10);
    put_pipeline(&fixture, "second", 10);
    decided(&fixture);
    lose_pod(&fixture, "yellow-workers-0");
    assert_true(decided(&fixture)->changed);
    static const char *const stages[] = {"blue", "green", "yellow"};
    static const char *const want[2][3] = {{"0:10000", "0:10000", "1:10000"},
                                           {"0:10000", "1:10000", "1:10000"}};
    for (int stage = 0; stage < 3; stage++) {
        assert_string_equal(shares_of(&fixture, "first", stages[stage]), want[0][stage]);
        assert_string_equal(shares_of(&fixture, "second", stages[stage]), want[1][stage]);
    }
    assert_true(verdict_of(&fixture, "first")->view.ran);
}

static void test_a_pod_that_flaps_keeps_what_it_carries(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    set_ready(&fixture, "blue-workers-0", false);
    assert_false(decided(&fixture)->changed);
    assert_int_equal(fixture.decision.wake_s, fixture.now_s + FLAP_S);
    fixture.now_s += FLAP_S;
    assert_true(decided(&fixture)->changed);
    assert_string_equal(shares_of(&fixture, "first", "blue"), "1:10000");
}

static void test_a_new_pod_of_a_lost_one_s_name_is_not_waited_for(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    set_ready(&fixture, "blue-workers-0", false);
    json_object_del(json_at(pod_of(&fixture, "blue-workers-0"), "status"), "podIP");
    assert_true(decided(&fixture)->changed);
    assert_string_equal(shares_of(&fixture, "first", "blue"), "1:10000");
}

static void test_a_pod_that_goes_is_emptied_where_there_is_room(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_pod(&fixture, "blue", 0, true);
    put_pod(&fixture, "green", 0, true);
    put_pod(&fixture, "green", 1, true);
    put_pod(&fixture, "yellow", 0, true);
    put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    let_go(&fixture, "green-workers-0");
    let_go(&fixture, "blue-workers-0");
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "first", "green"), "1:10000");
    assert_string_equal(shares_of(&fixture, "first", "blue"), "0:10000"); /* it serves on */
    lose_pod(&fixture, "blue-workers-0");
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_SCALING);
    put_pod(&fixture, "blue", 0, true);
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_PLACED);
}

static void test_what_left_counts_until_it_has_drained(void **state)
{
    struct fixture fixture = fixture_new(*state);
    for (int class = 0; class < CLASSES; class ++) {
        json_put(json_array_get(fixture.classes, (size_t) class), "spec.maxReplicas",
                 json_integer(1));
        put_pod(&fixture, talk[class].name, 0, true);
    }
    put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    json_array_clear(fixture.pipelines);
    decided(&fixture);
    const json_t *green = json_find(fixture.ledger, "classes", "name", "green");
    assert_int_equal(json_int_or(green, "leaving.0.milli", 0), 10000);
    put_pipeline(&fixture, "later", 10);
    fixture.now_s += 1;
    decided(&fixture);
    assert_int_not_equal(verdict_of(&fixture, "later")->view.phase, PLACE_PLACED);
    fixture.now_s += 5;
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "later")->view.phase, PLACE_PLACED);
    assert_string_equal(shares_of(&fixture, "later", "green"), "0:10000");
}

static void test_the_longest_drain_is_believed(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    for (int class = 0; class < CLASSES; class ++)
        json_put(json_array_get(fixture.classes, (size_t) class), "spec.drainSeconds",
                 json_integer(3600));
    put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    json_array_clear(fixture.pipelines);
    decided_when(&fixture, false);
    const json_t *green = json_find(fixture.ledger, "classes", "name", "green");
    assert_int_equal(json_int_or(green, "leaving.0.until", 0), NOW_S + 3600 + UNSETTLED_S_MAX);
    decided_when(&fixture, false);
}

static void test_a_rate_changes_where_it_is_or_not_at_all(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    json_t *first = put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    json_put(first, "spec.documentsPerSecond", json_integer(14));
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "first", "green"), "0:14000");
    json_put(first, "spec.documentsPerSecond", json_integer(4));
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "first", "green"), "0:4000");
    json_put(first, "spec.documentsPerSecond", json_integer(0));
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "first", "green"), "");
    assert_true(verdict_of(&fixture, "first")->view.ran);
}

/* Its stage `blue` is there no more, or has become `azure`. */
static void redraw(json_t *pipeline, const char *azure)
{
    json_t *workers = json_at(pipeline, "spec.workers");
    if (azure)
        json_object_set(workers, azure, json_object_get(workers, "blue"));
    json_object_del(workers, "blue");
}

/* One pod of each class, so that what is drawn anew has nothing beside itself. */
static struct fixture narrow(struct ctx *ctx)
{
    struct fixture fixture = fixture_new(ctx);
    for (int class = 0; class < CLASSES; class ++) {
        json_put(json_array_get(fixture.classes, (size_t) class), "spec.maxReplicas",
                 json_integer(1));
        json_put(json_array_get(fixture.classes, (size_t) class), "spec.capacity",
                 json_integer(15));
        put_pod(&fixture, talk[class].name, 0, true);
    }
    return fixture;
}

static void test_stages_that_stay_keep_their_place_when_others_go(void **state)
{
    struct fixture fixture = narrow(*state);
    json_t *first = put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    redraw(first, NULL);
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_PLACED);
    assert_string_equal(shares_of(&fixture, "first", "green"), "0:10000");
    const json_t *blue = json_find(fixture.ledger, "classes", "name", "blue");
    const json_t *green = json_find(fixture.ledger, "classes", "name", "green");
    assert_int_equal(json_int_or(blue, "leaving.0.milli", 0), 10000);
    assert_null(json_at(green, "leaving.0"));
    assert_int_equal(json_int_or(json_find(fixture.ledger, "pipelines", "name", "first"), "age", 0),
                     1);
}

static void test_a_stage_of_another_name_takes_over_the_room_of_its_own_class(void **state)
{
    struct fixture fixture = narrow(*state);
    json_t *first = put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    redraw(first, "azure");
    decided(&fixture);
    const struct verdict *verdict = verdict_of(&fixture, "first");
    assert_int_equal(verdict->view.phase, PLACE_SCALING);
    assert_int_equal(verdict->view.reason, PLACE_WAITS_FOR_DRAIN);
    assert_true(verdict->view.ran); /* the others serve on */
    assert_string_equal(shares_of(&fixture, "first", "azure"), "0:10000");
    decided(&fixture); /* routed: it drains from now on */
    fixture.now_s += 5;
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_PLACED);
}

static void test_what_is_drawn_anew_goes_beside_itself_where_there_is_room(void **state)
{
    struct fixture fixture = narrow(*state);
    json_put(json_array_get(fixture.classes, 0), "spec.maxReplicas", json_integer(2));
    put_pod(&fixture, "blue", 1, true);
    json_t *first = put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    redraw(first, "azure");
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_PLACED);
    assert_string_equal(shares_of(&fixture, "first", "azure"), "1:10000");
}

static void test_a_pod_that_could_come_is_not_waited_for_by_who_has_room(void **state)
{
    struct fixture fixture = narrow(*state);
    json_put(json_array_get(fixture.classes, 0), "spec.maxReplicas", json_integer(5));
    json_t *first = put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    redraw(first, "azure");
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "first")->view.reason, PLACE_WAITS_FOR_DRAIN);
    assert_int_equal(fixture.decision.classes[0].replicas, 1);
}

static void test_an_invalid_graph_gives_back_what_it_had(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    json_t *first = put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    json_put(first, "spec.workers.green.class", json_string("red"));
    decided(&fixture);
    assert_false(verdict_of(&fixture, "first")->known);
    assert_string_equal(fixture.world.pipelines[0].graph.reason, "UnknownClass");
    assert_int_equal(json_array_size(json_at(fixture.ledger, "pipelines")), 0);
    json_put(first, "spec.workers.green.class", json_string("green"));
    decided(&fixture);
    assert_true(verdict_of(&fixture, "first")->known);
}

static void test_a_class_that_goes_takes_its_pipelines_out(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    json_array_remove(fixture.classes, 1);
    decided(&fixture);
    assert_string_equal(fixture.world.pipelines[0].graph.stage, "green");
    assert_null(json_find(fixture.ledger, "classes", "name", "green"));
    assert_false(decided_when(&fixture, false)->changed);
}

/* Room was reserved on a pod that the class may no longer have. */
static void test_a_class_that_becomes_smaller_is_followed(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    for (int number = 0; number < 4; number++)
        put_pipeline(&fixture, arena_printf(fixture.ctx->arena, "p-%d", number), 10);
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "p-3", "green"), "3:10000");
    json_t *green = json_array_get(fixture.classes, 1);
    json_put(green, "spec.maxReplicas", json_integer(1));
    json_put(green, "metadata.generation", json_integer(2));
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "p-3")->view.phase, PLACE_SCALING);
    fixture.now_s += 600;
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "p-3")->view.reason, PLACE_TIMED_OUT);
    while (decided(&fixture)->changed)
        ; /* a reservation less may let another one be tried, but it comes to an end */
    assert_string_equal(shares_of(&fixture, "p-3", "green"), "");
    assert_string_equal(shares_of(&fixture, "p-0", "green"), "0:10000");
}

/* However its stages are laid on pods; and who asks for too much is in nobody's way. */
static void test_a_full_ledger_takes_no_more(void **state)
{
    struct fixture fixture = fixture_new(*state);
    size_t at;
    json_t *class;
    json_array_foreach(fixture.classes, at, class) {
        json_put(class, "spec.mode", json_string(at < 2 ? "Equal" : "Whole"));
        json_put(class, "spec.policy", json_string("Spread"));
        json_put(class, "spec.maxSplit", json_integer(64));
        json_put(class, "spec.maxReplicas", json_integer(64));
        json_put(class, "spec.capacity", json_integer(10000));
        for (int pod = 0; pod < 64; pod++)
            put_pod(&fixture, talk[at].name, pod, true);
    }
    for (int number = 0; number < 100; number++)
        put_pipeline(&fixture, arena_printf(fixture.ctx->arena, "p-%d", number), 64);
    static const char *const stages[] = {"blue", "green"};
    json_t *last = put_pipeline(&fixture, "small", 1);
    for (int stage = 0; stage < 2; stage++)
        json_object_del(json_at(last, "spec.workers"), stages[stage]);
    while (decided(&fixture)->more)
        ;
    assert_true(verdict_of(&fixture, "p-99")->full && !verdict_of(&fixture, "p-99")->known);
    assert_true(verdict_of(&fixture, "p-0")->known);
    assert_true(verdict_of(&fixture, "small")->view.ran);
    size_t bytes = strlen(json_text(fixture.ctx->arena, fixture.ledger));
    assert_in_range(bytes, LEDGER_BYTES_MAX / 3, LEDGER_BYTES_MAX);
}

static void test_a_batch_is_followed_by_the_next(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    for (int number = 0; number < 300; number++)
        put_pipeline(&fixture, arena_printf(fixture.ctx->arena, "p-%d", number), 0);
    int rounds = 0;
    while (decided(&fixture)->more)
        rounds++;
    assert_int_equal(rounds, 1);
    assert_true(verdict_of(&fixture, "p-299")->known);
}

/* Whatever stands there, it is refused or obeyed, and no pod carries more than it can. */
static void test_a_ledger_that_lies_is_refused(void **state)
{
    static const struct {
        const char *path;
        json_int_t value;
    } lies[] = {
        {"pipelines.0.stages.0.shares.0.milli", 30001},
        {"pipelines.0.stages.0.shares.0.milli", -1},
        {"pipelines.0.stages.0.shares.0.pod", 5000},
        {"pipelines.0.stages.0.shares.0.held", 10001},
        {"pipelines.0.stages.0.rate", -5},
        {"pipelines.0.priority", 5000},
        {"classes.0.capacity", 0},
        {"classes.0.capacity", INT64_MAX},
    };
    for (size_t at = 0; at < sizeof lies / sizeof lies[0]; at++) {
        struct fixture fixture = fixture_new(*state);
        put_talk_pods(&fixture);
        put_pipeline(&fixture, "first", 10);
        decided(&fixture);
        json_t *ledger = arena_json(fixture.ctx->arena, json_deep_copy(fixture.ledger));
        json_t *parent =
            json_at(ledger, arena_strndup(fixture.ctx->arena, lies[at].path,
                                          (size_t)(strrchr(lies[at].path, '.') - lies[at].path)));
        json_object_set_new(parent, strrchr(lies[at].path, '.') + 1, json_integer(lies[at].value));
        int rc = decide(fixture.ctx, &fixture.world, ledger, true, &fixture.decision);
        if (rc != -ERR_INVALID)
            fail_msg("%s = %lld: %d", lies[at].path, (long long)lies[at].value, rc);
    }
}

/* ---- at random: any prefix of a history, replayed by another process, goes on the same way ----
 */

static uint64_t seed = 20261128;

static int draw(int below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1;
    return (int)((seed >> 33) % (uint64_t)below);
}

static void random_step(struct fixture *fixture, int number)
{
    static const char *const names[] = {"blue", "green", "yellow"};
    size_t count = json_array_size(fixture->pipelines), pods = json_array_size(fixture->pods);
    fixture->now_s += draw(20);
    switch (draw(9)) {
    case 8:
        if (count)
            json_put(json_array_get(fixture->pipelines, (size_t)draw((int)count)),
                     "spec.workers.green.class", json_string(names[draw(3)]));
        break;
    case 0:
    case 1:
        put_pipeline(fixture, arena_printf(fixture->ctx->arena, "p-%d", number), draw(20));
        break;
    case 2:
        if (count)
            json_array_remove(fixture->pipelines, (size_t)draw((int)count));
        break;
    case 3:
        if (count)
            json_put(json_array_get(fixture->pipelines, (size_t)draw((int)count)),
                     "spec.documentsPerSecond", json_integer(draw(20)));
        break;
    case 4:
        if (pods)
            json_array_remove(fixture->pods, (size_t)draw((int)pods));
        break;
    case 5:
        if (pods)
            json_put(json_array_get(fixture->pods, (size_t)draw((int)pods)),
                     "metadata.deletionTimestamp", json_string("now"));
        break;
    case 6: {
        int at = draw(3);
        json_t *class = json_array_get(fixture->classes, (size_t)at);
        json_put(class, "spec.capacity", json_integer(1 + draw(talk[at].capacity)));
        json_put(class, "metadata.generation", json_integer(number + 2));
        break;
    }
    default: {
        const char *class = names[draw(3)];
        int ordinal = draw(6);
        const char *name = arena_printf(fixture->ctx->arena, "%s-workers-%d", class, ordinal);
        size_t at;
        json_t *pod;
        json_array_foreach(fixture->pods, at, pod)
            if (str_equal(json_str(pod, "metadata.name"), name))
                return;
        put_pod(fixture, class, ordinal, draw(4) > 0);
    }
    }
}

static void check_no_pod_is_over(const struct fixture *fixture)
{
    int64_t on[CLASSES][WORLD_PODS_MAX] = {{0}};
    size_t at, row_at, share_at;
    json_t *entry, *row, *share;
    json_array_foreach(json_at(fixture->ledger, "pipelines"), at, entry)
        json_array_foreach(json_at(entry, "stages"), row_at, row)
            json_array_foreach(json_at(row, "shares"), share_at, share)
                for (int class = 0; class < CLASSES; class ++)
                    if (str_equal(json_str(row, "class"), talk[class].name))
                        on[class][json_int_or(share, "pod", 0)] += json_int_or(share, "milli", 0);
    for (int class = 0; class < CLASSES; class ++) {
        const json_t *object = json_array_get(fixture->classes, (size_t) class);
        for (int pod = 0; pod < WORLD_PODS_MAX; pod++)
            assert_true(on[class][pod] <= json_int_or(object, "spec.capacity", 0) * MILLI);
    }
}

static void test_a_history_can_be_taken_up_anywhere(void **state)
{
    struct ctx *ctx = *state;
    for (int round = 0; round < 40; round++) {
        struct fixture fixture = fixture_new(ctx);
        for (int step = 0; step < 60; step++) {
            random_step(&fixture, step);
            decided_when(&fixture, draw(3) > 0);
            check_no_pod_is_over(&fixture);
            const char *text = json_text(ctx->arena, fixture.ledger);
            struct decision again; /* from its text, as another process reads it, nothing routed */
            json_t *read;
            assert_int_equal(json_parse(ctx, text, strlen(text), 1 << 20, &read), 0);
            if (decide(ctx, &fixture.world, read, false, &again) < 0)
                fail_msg("%s: %s", ctx->err.message, text);
            if (again.changed)
                fail_msg("round %d step %d: %s then %s", round, step, text,
                         json_text(ctx->arena, again.ledger));
        }
        arena_reset(ctx->arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_talk_s_second_pipeline_shares_what_the_first_leaves),
        TEST(test_a_ledger_that_is_replayed_says_the_same),
        TEST(test_who_waits_has_reason_numbers_and_a_time),
        TEST(test_who_waits_for_a_pod_takes_room_that_comes_free),
        TEST(test_a_lost_pod_moves_only_its_shares),
        TEST(test_a_pod_that_flaps_keeps_what_it_carries),
        TEST(test_a_new_pod_of_a_lost_one_s_name_is_not_waited_for),
        TEST(test_a_pod_that_goes_is_emptied_where_there_is_room),
        TEST(test_what_left_counts_until_it_has_drained),
        TEST(test_the_longest_drain_is_believed),
        TEST(test_a_rate_changes_where_it_is_or_not_at_all),
        TEST(test_stages_that_stay_keep_their_place_when_others_go),
        TEST(test_a_stage_of_another_name_takes_over_the_room_of_its_own_class),
        TEST(test_what_is_drawn_anew_goes_beside_itself_where_there_is_room),
        TEST(test_a_pod_that_could_come_is_not_waited_for_by_who_has_room),
        TEST(test_an_invalid_graph_gives_back_what_it_had),
        TEST(test_a_class_that_goes_takes_its_pipelines_out),
        TEST(test_a_class_that_becomes_smaller_is_followed),
        TEST(test_a_full_ledger_takes_no_more),
        TEST(test_a_batch_is_followed_by_the_next),
        TEST(test_a_ledger_that_lies_is_refused),
        TEST(test_a_history_can_be_taken_up_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
