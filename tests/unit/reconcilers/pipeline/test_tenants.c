/* Tenants: what their pipelines may use of a class together, and how a refusal is told. */
#include "tests/unit/reconcilers/pipeline/talk.h"

#include "reconcilers/engine/conditions.h"

static json_t *put_of(struct fixture *fixture, const char *name, int rate, const char *tenant)
{
    json_t *made = put_pipeline(fixture, name, rate);
    json_put(made, "metadata.labels", json_object());
    json_object_set_new(json_at(made, "metadata.labels"), LABEL_OF_TENANT, json_string(tenant));
    return made;
}

static void set_quota(struct fixture *fixture, int documents, int generation)
{
    json_t *green = json_array_get(fixture->classes, 1);
    json_put(green, "spec.quotas",
             json_pack("[{s:s, s:i}]", "tenant", "acme", "documentsPerSecond", documents));
    json_put(green, "metadata.generation", json_integer(generation));
}

static const char *message_of(struct fixture *fixture, const char *name)
{
    struct ctx *ctx = fixture->ctx;
    struct placer_scope scope = {.world = fixture->world, .decision = fixture->decision};
    json_t *status = arena_json(ctx->arena, json_object());
    bindings_index(ctx->arena, NULL, &scope.bindings);
    scope.taken = arena_alloc(ctx->arena, fixture->world.pipeline_count + 1);
    for (uint32_t at = 0; at < fixture->world.pipeline_count; at++)
        if (str_equal(fixture->world.pipelines[at].name, name))
            pipeline_status(ctx, &fixture->world, at, &scope, status);
    const json_t *ready = condition_get(status, "Ready");
    return arena_printf(ctx->arena, "%s: %s", json_str_or(ready, "reason", ""),
                        json_str_or(ready, "message", ""));
}

static void test_a_quota_is_of_all_pipelines_of_the_tenant(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    set_quota(&fixture, 15, 1);
    put_of(&fixture, "first", 10, "acme");
    put_of(&fixture, "second", 6, "acme");
    put_of(&fixture, "third", 16, "acme"); /* whole, green takes 15: refused by its graph */
    put_of(&fixture, "other", 10, "globex");
    decided(&fixture);
    assert_true(verdict_of(&fixture, "first")->view.ran);
    assert_true(verdict_of(&fixture, "other")->view.ran);
    assert_int_equal(verdict_of(&fixture, "second")->view.reason, PLACE_OVER_QUOTA);
    assert_true(str_starts(message_of(&fixture, "second"),
                           "OverQuota: tenant 'acme' may use 15 documents/s of class 'green' "
                           "with all its pipelines, and this one asks for 6; tried again at "));
    assert_false(decided(&fixture)->changed);
}

static void test_more_than_the_whole_quota_is_refused_for_good(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    set_quota(&fixture, 5, 1);
    put_of(&fixture, "first", 6, "acme");
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_REJECTED);
    assert_string_equal(
        message_of(&fixture, "first"),
        "ExceedsQuota: tenant 'acme' may use 5 documents/s of class 'green' with all its "
        "pipelines, and this one asks for 6; it must ask for less, or its "
        "class be given more");
}

static void test_a_larger_quota_lets_in_who_waited_and_a_smaller_takes_nothing(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    set_quota(&fixture, 10, 1);
    put_of(&fixture, "first", 10, "acme");
    put_of(&fixture, "second", 5, "acme");
    decided(&fixture);
    assert_false(verdict_of(&fixture, "second")->view.ran);
    set_quota(&fixture, 15, 2);
    decided(&fixture);
    assert_true(verdict_of(&fixture, "second")->view.ran);
    set_quota(&fixture, 1, 3);
    decided(&fixture);
    assert_true(verdict_of(&fixture, "first")->view.ran);
    assert_string_equal(shares_of(&fixture, "second", "green"), "0:5000");
}

/* A raise is refused like a newcomer, and what runs goes on. */
static void test_a_rate_beyond_the_quota_is_refused(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    set_quota(&fixture, 12, 1);
    json_t *first = put_of(&fixture, "first", 10, "acme");
    decided(&fixture);
    json_put(first, "spec.documentsPerSecond", json_integer(13));
    decided(&fixture);
    const struct verdict *verdict = verdict_of(&fixture, "first");
    assert_true(verdict->refused);
    assert_int_equal(verdict->refusal.reason, PLACE_TOO_LARGE_FOR_QUOTA);
    assert_int_equal(verdict->quota.nominal, 12000);
    assert_string_equal(shares_of(&fixture, "first", "green"), "0:10000");
}

static void test_who_becomes_anothers_counts_with_the_other(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    set_quota(&fixture, 12, 1);
    put_of(&fixture, "first", 10, "acme");
    json_t *second = put_of(&fixture, "second", 10, "globex");
    decided(&fixture);
    assert_true(verdict_of(&fixture, "second")->view.ran);
    json_object_set_new(json_at(second, "metadata.labels"), LABEL_OF_TENANT, json_string("acme"));
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "second")->view.reason, PLACE_OVER_QUOTA);
    json_object_set_new(json_at(second, "metadata.labels"), LABEL_OF_TENANT,
                        json_string("initech"));
    fixture.now_s += 600;
    decided(&fixture);
    decided(&fixture);
    assert_true(verdict_of(&fixture, "second")->known);
    assert_string_equal(
        json_str(json_find(fixture.ledger, "pipelines", "name", "second"), "tenant"), "initech");
}

/* What another pipeline of the tenant does writes nothing into the status of one that waits. */
static void test_what_others_use_changes_no_message(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    set_quota(&fixture, 15, 1);
    json_t *first = put_of(&fixture, "first", 10, "acme");
    put_of(&fixture, "second", 15, "acme");
    decided(&fixture);
    const char *before = message_of(&fixture, "second");
    json_put(first, "spec.documentsPerSecond", json_integer(9));
    assert_true(decided(&fixture)->changed);
    assert_int_equal(verdict_of(&fixture, "second")->view.reason, PLACE_OVER_QUOTA);
    assert_string_equal(message_of(&fixture, "second"), before);
}

/* More tenants than the engine has numbers for: a quota binds them all the same. */
static void test_beyond_the_limit_quotas_fail_closed(void **state)
{
    struct fixture fixture = fixture_new(*state);
    struct ctx *ctx = fixture.ctx;
    put_talk_pods(&fixture);
    json_t *quotas = json_array();
    for (int at = 0; at < PLACE_TENANTS_MAX; at++)
        json_array_append_new(quotas, json_pack("{s:s, s:i}", "tenant",
                                                arena_printf(ctx->arena, "t-%04d", at),
                                                "documentsPerSecond", 15));
    json_put(json_array_get(fixture.classes, 1), "spec.quotas", quotas);
    put_of(&fixture, "within", 4, "t-4093");
    put_of(&fixture, "behind", 4, "t-4094");
    put_of(&fixture, "last", 4, "t-4095");
    put_of(&fixture, "free", 4, "globex");
    decided(&fixture);
    assert_true(verdict_of(&fixture, "within")->view.ran);
    assert_true(verdict_of(&fixture, "free")->view.ran);
    assert_string_equal(shares_of(&fixture, "last", "green"), "");
    assert_true(str_starts(message_of(&fixture, "behind"),
                           "ExceedsQuota: tenant 't-4094' may use 0 documents/s of class 'green'"));
    assert_true(str_starts(message_of(&fixture, "last"),
                           "ExceedsQuota: tenant 't-4095' may use 0 documents/s of class 'green'"));
}

static void set_quotas(struct fixture *fixture, int acme, int acme_borrows, int globex)
{
    json_put(json_array_get(fixture->classes, 1), "spec.quotas",
             json_pack("[{s:s, s:i, s:i}, {s:s, s:i}]", "tenant", "acme", "documentsPerSecond",
                       acme, "borrowDocumentsPerSecond", acme_borrows, "tenant", "globex",
                       "documentsPerSecond", globex));
}

/* Two greens of 15. What is unused is borrowed, and displaced when its owner asks for it. */
static void test_what_is_borrowed_is_given_back(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    json_put(json_array_get(fixture.classes, 1), "spec.maxReplicas", json_integer(2));
    set_quotas(&fixture, 15, 15, 15);
    put_of(&fixture, "first", 15, "acme");
    put_of(&fixture, "second", 14, "acme");
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "second", "green"), "1:14000");
    put_of(&fixture, "third", 10, "globex");
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "second")->view.reason, PLACE_PREEMPTED);
    assert_string_equal(shares_of(&fixture, "third", "green"), "1:10000");
    for (int pass = 0; pass < 8; pass++) { /* and it is not displaced in turn */
        fixture.now_s += 60;
        decided(&fixture);
    }
    assert_int_equal(verdict_of(&fixture, "third")->view.phase, PLACE_PLACED);
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_PLACED);
    assert_true(str_starts(
        message_of(&fixture, "second"),
        "OverQuota: tenant 'acme' may use 15 documents/s of class 'green' with "
        "all its pipelines and 15 more of what those with quotas leave unused together, and this "
        "one asks for 14; tried again at "));
    assert_false(decided(&fixture)->changed);
}

/* No quota names either: who has less comes first all the same, though it is younger. */
static void test_tenants_without_quotas_are_told_apart(void **state)
{
    struct fixture fixture = fixture_new(*state);
    json_put(json_array_get(fixture.classes, 1), "spec.maxReplicas", json_integer(4));
    for (int pod = 0; pod < 4; pod++) {
        put_pod(&fixture, "green", pod, true);
        put_pod(&fixture, "blue", pod, true);
    }
    put_pod(&fixture, "yellow", 0, true);
    put_of(&fixture, "one", 15, "rich");
    put_of(&fixture, "two", 15, "rich");
    put_of(&fixture, "three", 15, "poor");
    json_t *fourth = put_of(&fixture, "four", 15, "other");
    decided(&fixture);
    put_of(&fixture, "older", 15, "rich");
    decided(&fixture);
    put_of(&fixture, "younger", 15, "poor");
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "older")->view.reason, PLACE_NO_CAPACITY);
    assert_int_equal(verdict_of(&fixture, "younger")->view.reason, PLACE_NO_CAPACITY);
    json_put(fourth, "spec.documentsPerSecond", json_integer(0));
    for (int pass = 0; pass < 3; pass++) { /* it leaves, drains, and has drained */
        decided(&fixture);
        fixture.now_s += 10;
    }
    assert_string_equal(shares_of(&fixture, "younger", "green"), "3:15000");
    assert_string_equal(shares_of(&fixture, "older", "green"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_quota_is_of_all_pipelines_of_the_tenant),
        TEST(test_more_than_the_whole_quota_is_refused_for_good),
        TEST(test_a_larger_quota_lets_in_who_waited_and_a_smaller_takes_nothing),
        TEST(test_a_rate_beyond_the_quota_is_refused),
        TEST(test_who_becomes_anothers_counts_with_the_other),
        TEST(test_what_others_use_changes_no_message),
        TEST(test_beyond_the_limit_quotas_fail_closed),
        TEST(test_what_is_borrowed_is_given_back),
        TEST(test_tenants_without_quotas_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
