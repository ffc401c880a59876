/* Shares to weights, names of the pods' Services, and what is made of gateways' answers. */
#include "reconcilers/engine/conditions.h"
#include "reconcilers/pipeline/scope.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"
#include "tests/unit/test.h"

#include <string.h>

static void test_weights_keep_the_ratio_within_the_bound(void **state)
{
    static const struct {
        size_t count;
        int64_t milli[4];
        int32_t weights[4];
    } rows[] = {
        {1, {1}, {1}},
        {1, {100000000000}, {1}},
        {2, {5000, 5000}, {1, 1}},
        {3, {5000, 3000, 1000}, {5, 3, 1}},
        {2, {9999, 1}, {9999, 1}},
        {2, {1000000, 1}, {1000000, 1}}, /* just fits */
        {2, {1000001, 1}, {1000000, 1}}, /* does not: scaled */
        {2, {1000001, 500000}, {1000000, 500000}},
        {2, {100000000000, 1}, {1000000, 1}}, /* never 0 */
        {2, {100000000000, 50000000000}, {2, 1}},
        {3, {2000003, 1000001, 7}, {1000000, 500000, 3}},
        {2, {INT64_MAX, 1}, {1000000, 1}}, /* what no class gives; nothing overflows */
        {2, {0, -5}, {1, 1}},
    };
    (void)state;
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        int32_t got[4];
        weights_of(rows[row].milli, rows[row].count, got);
        for (size_t at = 0; at < rows[row].count; at++)
            if (got[at] != rows[row].weights[at])
                fail_msg("row %zu, %zu: %d, not %d", row, at, got[at], rows[row].weights[at]);
    }
}

/* Sixteen shares of any size: within the bounds, the order kept, off by less than half of the
 * smallest step. */
static void test_sixteen_weights_are_near_their_shares(void **state)
{
    int64_t milli[WEIGHTED_PODS_MAX];
    int32_t weights[WEIGHTED_PODS_MAX];
    uint64_t random = 20261129;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        int64_t most = 0;
        for (size_t at = 0; at < WEIGHTED_PODS_MAX; at++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            milli[at] = 1 + (int64_t)((random >> 20) % (round % 2 ? 100000000000u : 2000000u));
            most = milli[at] > most ? milli[at] : most;
        }
        weights_of(milli, WEIGHTED_PODS_MAX, weights);
        int32_t largest = 0;
        for (size_t at = 0; at < WEIGHTED_PODS_MAX; at++)
            largest = weights[at] > largest ? weights[at] : largest;
        for (size_t at = 0; at < WEIGHTED_PODS_MAX; at++) {
            double exact = (double)milli[at] * largest / (double)most;
            assert_in_range(weights[at], 1, WEIGHT_MAX);
            assert_true(weights[at] - exact < 1.0 && exact - weights[at] <= 0.5);
        }
    }
}

static void test_names_are_labels_and_no_bindings(void **state)
{
    struct ctx *ctx = *state;
    static const char *const pipelines[] = {
        "a", "a-b", "a--b", "an-order-of-a-customer-with-a-name-of-sixty-three-characters-xy"};
    static const char *const stages[] = {"s", "my-stage",
                                         "a-stage-with-a-name-of-forty-characters-x"};
    for (size_t pipeline = 0; pipeline < 4; pipeline++)
        for (size_t stage = 0; stage < 3; stage++) {
            const char *binding = binding_name(ctx->arena, pipelines[pipeline], stages[stage]);
            const char *one = weights_service(ctx->arena, binding, "blue-1");
            assert_in_range(strlen(one), 1, 62);
            assert_true(str_matches(one, "abcdefghijklmnopqrstuvwxyz0123456789-", 1, 62));
            assert_string_not_equal(one, weights_service(ctx->arena, binding, "blue-2"));
            assert_string_equal(one, weights_service(ctx->arena, binding, "blue-1"));
            /* a binding has two dashes before its last part only where it is of 63 characters */
            const char *last = strrchr(binding, '-');
            assert_true(last[-1] != '-' || strlen(binding) == 63);
            last = strrchr(one, '-');
            assert_int_equal(last[-1], '-');
        }
    /* of two bindings that begin alike */
    assert_string_not_equal(
        weights_service(ctx->arena, "an-order-of-a-customer-with-a-name-of-fifty-charac-x",
                        "blue-1"),
        weights_service(ctx->arena, "an-order-of-a-customer-with-a-name-of-fifty-charac-y",
                        "blue-1"));
}

static json_t *binding_of(struct ctx *ctx, int pods, int ready)
{
    json_t *shares = json_array();
    for (int at = 0; at < pods; at++)
        json_array_append_new(shares, json_pack("{s:s, s:b}", "pod", "p", "ready", at < ready));
    return arena_json(ctx->arena, json_pack("{s:{s:o}}", "spec", "shares", shares));
}

static void test_forms(void **state)
{
    static const struct {
        int pods, ready;
        const char *reason;
    } rows[] = {{1, 1, NULL},           {16, 1, NULL},
                {16, 0, "NoWorkers"},   {17, 17, "TooManyPods"},
                {64, 0, "TooManyPods"}, {0, 0, "NoWorkers"}};
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        const char *reason;
        enum weights_form form =
            weights_form_of(binding_of(*state, rows[row].pods, rows[row].ready), &reason);
        assert_int_equal(form, rows[row].reason ? WEIGHTS_EVEN : WEIGHTS_SHARED);
        assert_true(str_equal(reason, rows[row].reason));
    }
}

#define PARENT "{name: public, namespace: infra, sectionName: http}"
#define OTHER "{name: own}"
#define SAYS(parent, accepted, resolved)                                                           \
    "{parentRef: " parent ", conditions: [{type: Accepted, " accepted                              \
    "}, {type: ResolvedRefs, " resolved "}]}"
#define YES "status: 'True', observedGeneration: 3, reason: Fine, message: ''"
#define OLD "status: 'True', observedGeneration: 2, reason: Fine, message: ''"
#define NO "status: 'False', observedGeneration: 3, reason: NotAllowed, message: not from here"
#define OLD_NO "status: 'False', observedGeneration: 2, reason: NotAllowed, message: not from here"

static void test_the_worst_answer_counts(void **state)
{
    static const struct {
        const char *answers, *reason;
    } rows[] = {
        {"", "Unanswered"},
        {SAYS(PARENT, YES, YES), "Unanswered"}, /* the other has not */
        {SAYS(PARENT, YES, YES) "," SAYS(OTHER, YES, YES), "Accepted"},
        {SAYS(PARENT, YES, YES) "," SAYS("{name: own, namespace: shop}", YES, YES), "Accepted"},
        {SAYS(PARENT, YES, YES) "," SAYS("{name: own, namespace: infra}", YES, YES), "Unanswered"},
        {SAYS(PARENT, YES, YES) "," SAYS("{name: own, port: 80}", YES, YES), "Unanswered"},
        {SAYS(PARENT, OLD, YES) "," SAYS(OTHER, YES, YES), "Unanswered"},
        {SAYS(PARENT, YES, OLD) "," SAYS(OTHER, YES, YES), "Unanswered"},
        {SAYS(PARENT, OLD_NO, YES) "," SAYS(OTHER, YES, YES), "Unanswered"},
        {SAYS(PARENT, NO, YES) "," SAYS(OTHER, OLD, NO), "NotAccepted"},
        {SAYS(PARENT, YES, NO) "," SAYS(OTHER, YES, YES), "RefsNotResolved"},
        {SAYS(PARENT, YES, NO) "," SAYS(OTHER, NO, YES), "NotAccepted"},
        /* two controllers of one parent; a parent that is no longer ours */
        {SAYS(PARENT, YES, YES) "," SAYS(PARENT, NO, YES) "," SAYS(OTHER, YES, YES), "NotAccepted"},
        {SAYS(PARENT, YES, YES) "," SAYS(OTHER, YES, YES) "," SAYS("{name: gone}", NO, NO),
         "Accepted"},
        /* without ResolvedRefs, and without any condition */
        {"{parentRef: " PARENT ", conditions: [{type: Accepted, " YES "}]}," SAYS(OTHER, YES, YES),
         "Accepted"},
        {"{parentRef: " PARENT ", conditions: []}," SAYS(OTHER, YES, YES), "Unanswered"},
    };
    struct ctx *ctx = *state;
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        const char *text = arena_printf(ctx->arena,
                                        "metadata: {name: a, namespace: shop, generation: 3}\n"
                                        "spec: {parentRefs: [" PARENT ", " OTHER "]}\n"
                                        "status: {parents: [%s]}\n",
                                        rows[row].answers);
        json_t *route;
        assert_int_equal(yaml_parse(ctx, text, strlen(text), &route), 0);
        struct weights_word word = weights_answer(ctx, route);
        if (!str_equal(word.reason, rows[row].reason))
            fail_msg("row %zu: %s (%s), not %s", row, word.reason, word.message, rows[row].reason);
        if (str_equal(word.reason, "NotAccepted"))
            assert_non_null(strstr(word.message, "says NotAllowed: not from here"));
    }
    assert_string_equal(weights_answer(ctx, NULL).reason, "Unanswered");
}

#define REFS "parentRefs: [{name: public}]"
#define MATCH "matches: [{path: {type: PathPrefix, value: /}}]"
#define RULE(more) "rules: [{" MATCH ", " more "}]"
#define BACKENDS "backendRefs: [{name: a, port: 80, weight: 2}, {name: b, port: 80, weight: 1}]"
#define PLAIN RULE(BACKENDS)

static json_t *yaml(struct ctx *ctx, const char *text)
{
    json_t *value;
    assert_int_equal(yaml_parse(ctx, text, strlen(text), &value), 0);
    return value;
}

/* What the server fills in is none; all else is, wherever it stands. */
static void test_what_somebody_adds_to_a_route_is_seen(void **state)
{
    static const struct {
        const char *live;
        bool added;
    } rows[] = {
        {REFS ", " PLAIN, false},
        {"parentRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: public}], " RULE(
             "backendRefs: [{group: '', kind: Service, name: a, port: 80, weight: 2}, {group: '', "
             "kind: Service, name: b, port: 80, weight: 1}]"),
         false},
        {"parentRefs: [{group: '', kind: Service, name: public}], " PLAIN, true},
        {"parentRefs: [{name: public, port: 80}], " PLAIN, true},
        {"parentRefs: [{name: public, sectionName: http}], " PLAIN, true},
        {"parentRefs: [{name: public, namespace: infra}], " PLAIN, true},
        {"parentRefs: [{name: public}, {name: other}], " PLAIN, true},
        {REFS ", hostnames: [a.example.com], " PLAIN, true},
        {REFS ", " RULE(BACKENDS ", timeouts: {request: 1s}"), true},
        {REFS ", " RULE(BACKENDS ", retry: {attempts: 1}"), true},
        {REFS ", " RULE(BACKENDS ", sessionPersistence: {sessionName: a}"), true},
        {REFS ", " RULE(BACKENDS ", name: mine"), true},
        {REFS ", " RULE(BACKENDS ", filters: [{type: RequestMirror}]"), true},
        {REFS ", " RULE("backendRefs: [{name: a, port: 80, weight: 2, filters: [{type: "
                        "RequestMirror}]}, {name: b, port: 80, weight: 1}]"),
         true},
        {REFS ", " RULE("backendRefs: [{name: a, port: 80, weight: 2}, {name: b, port: 80, weight: "
                        "1, namespace: theirs}]"),
         true},
        {REFS ", " RULE("backendRefs: [{name: a, port: 80, weight: 2}, {name: b, port: 80, weight: "
                        "1, kind: ServiceImport}]"),
         true},
        {REFS ", " RULE("backendRefs: [{name: a, port: 80, weight: 2}, {name: b, port: 80, weight: "
                        "1, group: theirs}]"),
         true},
        {REFS ", rules: [{matches: [{path: {type: PathPrefix, value: /}, method: GET}], " BACKENDS
              "}]",
         true},
        {REFS
         ", rules: [{matches: [{path: {type: PathPrefix, value: /}, headers: [{name: a, value: "
         "b}]}], " BACKENDS "}]",
         true},
        {REFS ", rules: [{matches: [{path: {type: PathPrefix, value: /}, queryParams: [{name: a, "
              "value: b}]}], " BACKENDS "}]",
         true},
        {REFS ", rules: [{" MATCH ", " BACKENDS "}, {" MATCH "}]", true},
    };
    struct ctx *ctx = *state;
    json_t *desired =
        yaml(ctx, "spec: {" REFS ", hostnames: [], " RULE(BACKENDS ", filters: []") "}");
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        json_t *live = yaml(ctx, arena_printf(ctx->arena, "spec: {%s}", rows[row].live));
        if (weights_added(desired, live) != rows[row].added)
            fail_msg("row %zu: %s", row, rows[row].live);
    }
}

/* A tenant may write slices with our labels: of a pod is only the one that we name so. */
static void test_a_slice_of_a_pod_is_the_one_that_we_made(void **state)
{
    static const struct {
        const char *family, *address, *annotations;
        bool named, ours;
    } rows[] = {
        {"ipv4", "10.0.0.1", "{" ANNOTATION_WORKER ": blue-1, " ANNOTATION_BUNDLE_ID ": slice}",
         true, true},
        {"ipv6", "'fd00::1'", "{" ANNOTATION_WORKER ": blue-1, " ANNOTATION_BUNDLE_ID ": slice}",
         true, true},
        {"ipv4", "'fd00::1'", "{" ANNOTATION_WORKER ": blue-1, " ANNOTATION_BUNDLE_ID ": slice}",
         true, false},
        {"ipv4", "10.0.0.1", "{" ANNOTATION_WORKER ": blue-2, " ANNOTATION_BUNDLE_ID ": slice}",
         true, false},
        {"ipv4", "10.0.0.1", "{" ANNOTATION_WORKER ": blue-1, " ANNOTATION_BUNDLE_ID ": slice}",
         false, false},
        {"ipv4", "10.0.0.1", "{" ANNOTATION_WORKER ": blue-1}", true, false},
        {"ipv4", "10.0.0.1", "{" ANNOTATION_BUNDLE_ID ": slice}", true, false},
    };
    struct ctx *ctx = *state;
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct binding_pod pod;
        const char *service =
            rows[row].named ? weights_service(ctx->arena, "first-blue", "blue-1") : "mine";
        const json_t *slice = yaml(ctx, arena_printf(ctx->arena,
                                                     "metadata: {name: %s-%s, annotations: %s}\n"
                                                     "endpoints: [{addresses: [%s]}]\n",
                                                     service, rows[row].family,
                                                     rows[row].annotations, rows[row].address));
        if (weights_pod_of(ctx, "first-blue", slice, &pod) != rows[row].ours)
            fail_msg("row %zu", row);
        if (rows[row].ours)
            assert_string_equal(pod.name, "blue-1");
        assert_false(weights_pod_of(ctx, "second-blue", slice, &pod));
    }
}

#define BINDING(name, class, condition)                                                            \
    "- metadata: {name: " name                                                                     \
    ", ownerReferences: [{kind: Pipeline, name: p, uid: u, controller: "                           \
    "true}]}\n  spec: {class: " class "}\n  status: {conditions: [" condition "]}\n"
#define WEIGHTED(status, reason)                                                                   \
    "{type: Weighted, status: '" status "', reason: " reason ", message: m}"

static void test_a_class_tells_the_worst_of_its_bindings(void **state)
{
    static const struct {
        const char *bindings, *reason, *message;
    } rows[] = {
        {"[]", NULL, NULL},
        {BINDING("a", "blue", ""), NULL, NULL},
        {BINDING("a", "blue", WEIGHTED("True", "Accepted")), "Accepted", "m"},
        {BINDING("a", "blue", WEIGHTED("True", "Accepted"))
             BINDING("b", "blue", WEIGHTED("Unknown", "Unanswered")),
         "Unanswered", "b: m"},
        {BINDING("a", "blue", WEIGHTED("Unknown", "Unanswered"))
             BINDING("b", "blue", WEIGHTED("False", "TooManyPods"))
                 BINDING("c", "blue", WEIGHTED("False", "NotAccepted")),
         "TooManyPods", "b: m"},
        {BINDING("a", "blue", WEIGHTED("False", "NoWorkers"))
             BINDING("b", "blue", WEIGHTED("True", "Accepted")),
         "Accepted", "m"},
        {BINDING("a", "green", WEIGHTED("False", "TooManyPods"))
             BINDING("b", "blue", WEIGHTED("True", "Accepted")),
         "Accepted", "m"},
    };
    struct ctx *ctx = *state;
    struct workers workers = {.class = {.name = "blue", .generation = 7}};
    json_t *status = arena_json(ctx->arena, json_object());
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct bindings bindings;
        json_t *list;
        assert_int_equal(yaml_parse(ctx, rows[row].bindings, strlen(rows[row].bindings), &list), 0);
        bindings_index(ctx->arena, list, &bindings);
        workers.http_route = list; /* something: it is asked for */
        weights_class_status(ctx, &workers, &bindings, status);
        const json_t *told = condition_get(status, "Weighted");
        assert_true(str_equal(json_str(told, "reason"), rows[row].reason));
        assert_true(str_equal(json_str(told, "message"), rows[row].message));
        workers.http_route = NULL; /* no longer */
        weights_class_status(ctx, &workers, &bindings, status);
        assert_null(condition_get(status, "Weighted"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_weights_keep_the_ratio_within_the_bound),
        TEST(test_sixteen_weights_are_near_their_shares),
        TEST(test_names_are_labels_and_no_bindings),
        TEST(test_forms),
        TEST(test_the_worst_answer_counts),
        TEST(test_what_somebody_adds_to_a_route_is_seen),
        TEST(test_a_slice_of_a_pod_is_the_one_that_we_made),
        TEST(test_a_class_tells_the_worst_of_its_bindings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
