/* What is told, and whose word counts: objects become values, a ConfigMap becomes trust. */
#include "reconcilers/pipeline/metricsapi/told.h"
#include "reconcilers/pipeline/metricsapi/trust.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <string.h>

static json_t *parse(struct ctx *ctx, const char *text)
{
    json_t *value = NULL;
    assert_int_equal(json_parse(ctx, text, strlen(text), JSON_TEXT_MAX_BYTES, &value), 0);
    return value;
}

static void test_only_what_is_decided_and_stays_has_a_value(void **state)
{
    struct ctx *ctx = *state;
    struct selector all = {0};
    json_t *classes = parse(
        ctx, "[{\"metadata\":{\"namespace\":\"a\",\"name\":\"blue\"},\"status\":{\"request\":30}},"
             "{\"metadata\":{\"namespace\":\"a\",\"name\":\"new\"}},"
             "{\"metadata\":{\"namespace\":\"a\",\"name\":\"odd\"},\"status\":{\"request\":\"9\"}},"
             "{\"metadata\":{\"namespace\":\"a\",\"name\":\"less\"},\"status\":{\"request\":-1}},"
             "{\"metadata\":{\"namespace\":\"a\",\"name\":\"going\",\"deletionTimestamp\":\"x\"},"
             "\"status\":{\"request\":5}},"
             "{\"metadata\":{\"namespace\":\"a\",\"name\":\"idle\"},\"status\":{\"request\":0}}]");
    for (size_t at = 0; at < METRICS_VERSIONS; at++) {
        json_t *values = told_values(ctx, metrics_versions[at], classes, &all, 0);
        assert_int_equal(json_array_size(json_at(values, "items")), 2);
        assert_string_equal(json_str(values, "items.0.describedObject.name"), "blue");
        assert_string_equal(json_str(values, "items.0.value"), "30");
        assert_string_equal(json_str(values, "items.0.timestamp"), "1970-01-01T00:00:00Z");
        assert_string_equal(json_str(values, "items.1.describedObject.name"), "idle");
        assert_string_equal(json_str(values, "items.1.value"), "0");
    }
}

/* 30, 75, 110, 0, 0, 60: as an autoscaler reads them, in both versions. */
static void test_the_talk_s_sample_gauge(void **state)
{
    struct ctx *ctx = *state;
    struct selector all = {0};
    static const struct {
        const char *name, *value;
        int number;
    } gauge[] = {{"blue", "30", 30}, {"green", "75", 75}, {"yellow", "110", 110},
                 {"red", "0", 0},    {"grey", "0", 0},    {"purple", "60", 60}};
    json_t *classes = arena_json(ctx->arena, json_array());
    for (size_t at = 0; at < ARRAY_SIZE(gauge); at++)
        json_array_append_new(classes, json_pack("{s:{s:s, s:s}, s:{s:i}}", "metadata", "namespace",
                                                 "default", "name", gauge[at].name, "status",
                                                 "request", gauge[at].number));
    for (size_t at = 0; at < METRICS_VERSIONS * ARRAY_SIZE(gauge); at++) {
        const char *version = metrics_versions[at / ARRAY_SIZE(gauge)];
        size_t row = at % ARRAY_SIZE(gauge);
        json_t *values = told_values(ctx, version, classes, &all, 0);
        const json_t *item = json_array_get(json_at(values, "items"), row);
        const char *metric = str_equal(version, "v1beta1") ? json_str(item, "metricName")
                                                           : json_str(item, "metric.name");
        assert_true(str_starts(json_str(values, "apiVersion"), "custom.metrics.k8s.io/"));
        assert_string_equal(metric, "workerclass_request");
        assert_string_equal(json_str(item, "describedObject.name"), gauge[row].name);
        assert_string_equal(json_str(item, "value"), gauge[row].value);
    }
}

static void test_items_are_bounded(void **state)
{
    struct ctx *ctx = *state;
    struct selector all = {0};
    json_t *classes = arena_json(ctx->arena, json_array());
    for (int at = 0; at < TOLD_ITEMS_MAX + 7; at++)
        json_array_append_new(classes, json_pack("{s:{s:i}}", "status", "request", at));
    json_t *values = told_values(ctx, "v1beta2", classes, &all, 0);
    assert_int_equal(json_array_size(json_at(values, "items")), TOLD_ITEMS_MAX + 1);
}

static void test_each_refusal_is_a_status(void **state)
{
    struct ctx *ctx = *state;
    for (int at = 0; at < TOLD_REFUSALS; at++) {
        json_t *status = told_status(ctx, (enum told_refusal)at, "why");
        assert_string_equal(json_str(status, "kind"), "Status");
        assert_int_equal(json_int_or(status, "code", 0), told_refusals[at].code);
        assert_string_equal(json_str(status, "reason"), told_refusals[at].reason);
        assert_string_equal(json_str(status, "message"), "why");
    }
}

static void test_whose_word_counts(void **state)
{
    struct ctx *ctx = *state;
    struct trust trust;
    json_t *map = parse(ctx, "{\"data\":{\"requestheader-client-ca-file\":\"PEM\","
                             "\"requestheader-allowed-names\":\"[\\\"front\\\",\\\"second\\\"]\","
                             "\"requestheader-username-headers\":\"[\\\"X-A\\\"]\"}}");
    assert_int_equal(trust_read(ctx, map, &trust), 0);
    assert_true(trust_allows(&trust, "front") && trust_allows(&trust, "second"));
    assert_false(trust_allows(&trust, "") || trust_allows(&trust, "fron") ||
                 trust_allows(&trust, "front2"));
    assert_string_equal(trust.user_headers[0], "X-A");

    map = parse(ctx, "{\"data\":{\"requestheader-client-ca-file\":\"PEM\","
                     "\"requestheader-allowed-names\":\"[]\"}}");
    assert_int_equal(trust_read(ctx, map, &trust), 0);
    assert_true(trust_allows(&trust, "anybody") && trust_allows(&trust, ""));
    assert_string_equal(trust.user_headers[0], "X-Remote-User");
}

/* That an authority was taken back is believed, whatever the rest says. */
static void test_a_config_map_that_names_nobody(void **state)
{
    struct ctx *ctx = *state;
    static const char *const rows[] = {
        "{}",
        "{\"data\":{}}",
        "{\"data\":{\"requestheader-client-ca-file\":\"\"}}",
        "{\"data\":{\"client-ca-file\":\"PEM\",\"requestheader-allowed-names\":\"[\\\"a\\\"]\"}}",
        "{\"data\":{\"requestheader-allowed-names\":\"no list\"}}",
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct trust trust = {.client_ca = "before"};
        assert_int_equal(trust_read(ctx, parse(ctx, rows[row]), &trust), 0);
        assert_null(trust.client_ca);
    }
}

static void test_a_config_map_that_is_none(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *data, *told;
    } rows[] = {
        {"\"requestheader-client-ca-file\":\"P\",\"requestheader-allowed-names\":\"front\"",
         "requestheader-allowed-names is no JSON array"},
        {"\"requestheader-client-ca-file\":\"P\",\"requestheader-allowed-names\":\"{}\"",
         "requestheader-allowed-names is no JSON array"},
        {"\"requestheader-client-ca-file\":\"P\",\"requestheader-allowed-names\":\"[1]\"",
         "has an entry that is no text"},
        {"\"requestheader-client-ca-file\":\"P\",\"requestheader-allowed-names\":\"[\\\"\\\"]\"",
         "has an entry that is no text"},
        {"\"requestheader-client-ca-file\":\"P\",\"requestheader-allowed-names\":"
         "\"[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]\"",
         "has more than 16 entries"},
        {"\"requestheader-client-ca-file\":\"P\",\"requestheader-username-headers\":"
         "\"[\\\"X A\\\"]\"",
         "has an entry that is no header"},
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct trust trust;
        json_t *map = parse(ctx, arena_printf(ctx->arena, "{\"data\":{%s}}", rows[row].data));
        err_clear(ctx);
        assert_int_equal(trust_read(ctx, map, &trust), -ERR_INVALID);
        if (!strstr(ctx->err.message, rows[row].told))
            fail_msg("%s: %s", rows[row].data, ctx->err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_only_what_is_decided_and_stays_has_a_value),
        TEST(test_the_talk_s_sample_gauge),
        TEST(test_items_are_bounded),
        TEST(test_each_refusal_is_a_status),
        TEST(test_whose_word_counts),
        TEST(test_a_config_map_that_names_nobody),
        TEST(test_a_config_map_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
