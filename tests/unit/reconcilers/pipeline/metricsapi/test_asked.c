/* Paths of the metrics API: each becomes one question, or none. */
#include "reconcilers/pipeline/metricsapi/asked.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#define GROUP "/apis/custom.metrics.k8s.io"
#define OBJECT "/workerclasses.scheduling.k8s.xxii.io/blue/workerclass_request"

static void test_what_is_asked(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *path;
        enum asked_what what;
        const char *version;
    } rows[] = {
        {"/apis", ASKED_GROUPS, NULL},
        {GROUP, ASKED_GROUP, NULL},
        {GROUP "/v1beta1", ASKED_VERSION, "v1beta1"},
        {GROUP "/v1beta2", ASKED_VERSION, "v1beta2"},
        {GROUP "/v1beta2/namespaces/a" OBJECT, ASKED_METRIC, "v1beta2"},
        {GROUP "/v1beta1/namespaces/a/pods/*/cpu", ASKED_METRIC, "v1beta1"},
        {"", ASKED_NOTHING, NULL},
        {"/", ASKED_NOTHING, NULL},
        {"apis", ASKED_NOTHING, NULL},
        {"/apis/", ASKED_NOTHING, NULL},
        {"//apis", ASKED_NOTHING, NULL},
        {"/api", ASKED_NOTHING, NULL},
        {"/apis/metrics.k8s.io", ASKED_NOTHING, NULL},
        {GROUP "/v1", ASKED_NOTHING, NULL},
        {GROUP "/v1beta2/", ASKED_NOTHING, NULL},
        {GROUP "/v1beta2/nodes/n/cpu", ASKED_NOTHING, NULL},
        {GROUP "/v1beta2/namespaces/a/metrics/m", ASKED_NOTHING, NULL},
        {GROUP "/v1beta2/namespace/a" OBJECT, ASKED_NOTHING, NULL},
        {GROUP "/v1beta2/namespaces/" OBJECT, ASKED_NOTHING, NULL},
        {GROUP "/v1beta2/namespaces/a" OBJECT "/", ASKED_NOTHING, NULL},
        {GROUP "/v1beta2/namespaces/a" OBJECT "/more", ASKED_NOTHING, NULL},
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct asked asked = asked_read(ctx->arena, rows[row].path);
        assert_int_equal(asked.what, rows[row].what);
        assert_true(str_equal(asked.version, rows[row].version));
    }
}

static void test_an_object(void **state)
{
    struct ctx *ctx = *state;
    struct asked asked = asked_read(ctx->arena, GROUP "/v1beta2/namespaces/a" OBJECT);
    assert_string_equal(asked.namespace, "a");
    assert_string_equal(asked.resource, METRICS_RESOURCE);
    assert_string_equal(asked.name, "blue");
    assert_string_equal(asked.metric, METRICS_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_what_is_asked), TEST(test_an_object)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
