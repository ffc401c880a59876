/*
 * A ledger that somebody else wrote: whatever its numbers are, it is refused or obeyed, and what is
 * decided then is believed in turn. The sanitizers say whether anything reckoned with them.
 */
#include "reconcilers/pipeline/decide.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"
#include "tests/unit/reconcilers/pipeline/workers.h"
#include "tests/unit/test.h"

#include <string.h>

#define PIPELINE(name, class, rate, priority)                                                      \
    "- metadata: {name: " name ", uid: uid-" name ", creationTimestamp: " name "}\n"               \
    "  spec: {documentsPerSecond: " rate ", priority: " priority ",\n"                             \
    "         workers: {a: {class: " class ", next: []}}}\n"

/* Placed, placed, waiting for a pod, for room. */
static const char before[] = PIPELINE("a", "blue", "20", "0") PIPELINE("b", "green", "10", "0")
    PIPELINE("c", "green", "12", "0") PIPELINE("d", "green", "20", "0");
/* A slower one leaves its pod in part, an urgent one holds what another one leaves. */
static const char after[] = PIPELINE("a", "blue", "20", "0") PIPELINE("b", "green", "4", "0")
    PIPELINE("c", "green", "12", "0") PIPELINE("d", "green", "20", "0")
        PIPELINE("f", "blue", "50", "9");

struct fixture {
    struct ctx *ctx;
    struct ctx tries; /* of one try each */
    struct world world;
    json_t *ledger;
    int obeyed, refused;
};

static json_t *list_of(struct ctx *ctx, const char *text)
{
    json_t *list;
    assert_int_equal(yaml_parse(ctx, text, strlen(text), &list), 0);
    return list;
}

static void decide_about(struct fixture *fixture, const char *pipelines, int64_t now_s)
{
    struct ctx *ctx = fixture->ctx;
    struct decision decision;
    world_read(ctx, list_of(ctx, classes), list_of(ctx, pods), list_of(ctx, pipelines), now_s,
               &fixture->world);
    assert_int_equal(decide(ctx, &fixture->world, fixture->ledger, true, &decision), 0);
    fixture->ledger = decision.ledger;
}

static struct fixture fixture_new(struct ctx *ctx)
{
    struct fixture made = {.ctx = ctx, .tries = ctx_make(arena_new(), "test")};
    decide_about(&made, before, NOW_S);
    decide_about(&made, after, NOW_S + 1);
    return made;
}

static void try_it(struct fixture *fixture, const char *what)
{
    struct decision decision, next;
    int rc = decide(&fixture->tries, &fixture->world, fixture->ledger, true, &decision);
    if (rc == -ERR_INVALID) {
        fixture->refused++;
        assert_non_null(fixture->tries.err.message);
    } else {
        fixture->obeyed++;
        rc = rc ? rc : decide(&fixture->tries, &fixture->world, decision.ledger, true, &next);
        if (rc < 0 || decision.wake_s - fixture->world.now_s > WAKE_S_MAX)
            fail_msg("%s: %s: %s", what, fixture->tries.err.message,
                     json_text(fixture->ctx->arena, fixture->ledger));
    }
    err_clear(&fixture->tries);
    arena_reset(fixture->tries.arena);
}

/* Each number below `at`, as each of these. */
static void lie(struct fixture *fixture, const char *name, json_t *at)
{
    static const json_int_t values[] = {INT64_MIN,
                                        -1,
                                        0,
                                        1,
                                        31,
                                        32,
                                        999,
                                        1000,
                                        INT32_MAX,
                                        UINT32_MAX,
                                        INT64_C(4000000000),
                                        NOW_S + 100,
                                        100000000,
                                        INT64_C(100000000000),
                                        INT64_C(1) << 53,
                                        INT64_MAX};
    size_t index;
    const char *key;
    json_t *item;
    json_array_foreach(at, index, item)
        lie(fixture, name, item);
    json_object_foreach(at, key, item)
        lie(fixture, key, item);
    json_int_t was = json_integer_value(at);
    for (size_t value = 0; json_is_integer(at) && value < ARRAY_SIZE(values); value++) {
        json_integer_set(at, values[value]);
        try_it(fixture, name);
    }
    json_integer_set(at, was);
}

static void test_no_number_of_a_ledger_is_too_much(void **state)
{
    static const char *const phases[] = {"Placed", "Scaling", "Degraded", "Broken", "Waiting"};
    struct fixture fixture = fixture_new(*state);
    const char *text = json_text(fixture.ctx->arena, fixture.ledger);
    static const char *const has[] = {"leaving", "held", "deadline", "retry"};
    for (size_t at = 0; at < ARRAY_SIZE(has); at++)
        if (!strstr(text, has[at]))
            fail_msg("no %s in %s", has[at], text);
    lie(&fixture, "ledger", fixture.ledger);
    size_t at;
    json_t *entry;
    json_array_foreach(json_at(fixture.ledger, "pipelines"), at, entry) {
        json_t *was = json_deep_copy(json_object_get(entry, "phase"));
        for (size_t phase = 0; phase < ARRAY_SIZE(phases); phase++) {
            json_object_set_new(entry, "phase", json_string(phases[phase]));
            lie(&fixture, phases[phase], entry);
        }
        json_object_set_new(entry, "phase", was);
    }
    assert_true(fixture.refused > 1000 && fixture.obeyed > 1000);
    arena_free(fixture.tries.arena);
}

static void test_what_cannot_be_is_named(void **state)
{
    static const struct {
        const char *entry, *field;
        json_int_t value;
        const char *says;
    } lies[] = {
        {"pipelines.0", "stage", INT64_C(4000000000), "stage of 4000000000 is no number"},
        {"pipelines.0", "stage", 31, "pipeline 0 cannot be so"},
        {"pipelines.0", "age", 99, "of an age to come"},
        {"pipelines.1.stages.0", "rate", 11000, "pipeline 1 lacks a part"},
        {"pipelines.2", "deadline", INT64_MAX / 1000, "deadline of"},
        {"pipelines.3", "retry", NOW_S + 4000, "retry of"},
        {"pipelines.3", "since", NOW_S + 2, "since of"},
        {"pipelines.3", "attempts", INT64_MAX, "attempts of"},
        {"classes.1.leaving.0", "until", NOW_S + 4000, "until of"},
        {"classes.1.leaving.0", "pod", UINT32_MAX, "pod of"},
    };
    struct fixture fixture = fixture_new(*state);
    for (size_t at = 0; at < ARRAY_SIZE(lies); at++) {
        json_t *ledger = arena_json(fixture.ctx->arena, json_deep_copy(fixture.ledger));
        json_t *entry = json_at(ledger, lies[at].entry);
        struct decision decision;
        assert_int_equal(json_object_set_new(entry, lies[at].field, json_integer(lies[at].value)),
                         0);
        int rc = decide(fixture.ctx, &fixture.world, ledger, true, &decision);
        if (rc != -ERR_INVALID || !strstr(fixture.ctx->err.message, lies[at].says))
            fail_msg("%s.%s: %d, %s", lies[at].entry, lies[at].field, rc, fixture.ctx->err.message);
        err_clear(fixture.ctx);
    }
    arena_free(fixture.tries.arena);
}

/* What is there twice would count twice. */
static void test_what_is_there_twice(void **state)
{
    struct fixture fixture = fixture_new(*state);
    json_t *ledger = arena_json(fixture.ctx->arena, json_deep_copy(fixture.ledger));
    json_t *list = json_at(ledger, "pipelines");
    struct decision decision;
    json_array_append(list, json_array_get(list, 3)); /* it holds nothing */
    if (decide(fixture.ctx, &fixture.world, ledger, true, &decision) < 0)
        fail_msg("%s", fixture.ctx->err.message);
    assert_int_equal(json_array_size(json_at(decision.ledger, "pipelines")),
                     json_array_size(list) - 1);
    json_array_append(json_at(ledger, "classes"), json_at(ledger, "classes.0"));
    assert_int_equal(decide(fixture.ctx, &fixture.world, ledger, true, &decision), -ERR_INVALID);
    assert_string_equal(fixture.ctx->err.message, "class 'blue' is there twice");
    arena_free(fixture.tries.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_number_of_a_ledger_is_too_much),
        TEST(test_what_cannot_be_is_named),
        TEST(test_what_is_there_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
