#include "reconcilers/pipeline/metricsapi/told.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"

#include <inttypes.h>
#include <string.h>

#define CLASS_API_VERSION "scheduling.k8s.xxii.io/v1alpha1"

const struct told_refusal_row told_refusals[TOLD_REFUSALS] = {
    [TOLD_BAD_REQUEST] = {400, "BadRequest", "the selector or the framing cannot be read"},
    [TOLD_UNAUTHORIZED] = {401, "Unauthorized", "it did not come by the API server's front proxy"},
    [TOLD_NOT_FOUND] = {404, "NotFound", "no such path, metric or object, or no value yet"},
    [TOLD_METHOD] = {405, "MethodNotAllowed", "there is only GET"},
    [TOLD_NOT_ACCEPTABLE] = {406, "NotAcceptable", "aggregated discovery is asked for alone"},
    [TOLD_TOO_MANY] = {413, "RequestEntityTooLarge", "more objects than one answer has"},
    [TOLD_UNAVAILABLE] = {503, "ServiceUnavailable", "this process has not read the classes yet"},
};

json_t *told_status(struct ctx *ctx, enum told_refusal refusal, const char *message)
{
    const struct told_refusal_row *row = &told_refusals[refusal];
    return arena_json(ctx->arena,
                      json_pack("{s:s, s:s, s:{}, s:s, s:s, s:s, s:i}", "kind", "Status",
                                "apiVersion", "v1", "metadata", "status", "Failure", "message",
                                message, "reason", row->reason, "code", row->code));
}

/* ---- discovery ---- */

#define VERSION(version) "{groupVersion: " METRICS_GROUP "/" version ", version: " version "}"
#define GROUP                                                                                      \
    "name: " METRICS_GROUP ", versions: [" VERSION(METRICS_VERSION_2) ", " VERSION(                \
        METRICS_VERSION_1) "], preferredVersion: " VERSION(METRICS_VERSION_2)

static json_t *document(struct ctx *ctx, const char *text)
{
    json_t *made = NULL;
    (void)yaml_parse(ctx, text, strlen(text), &made); /* ours: the tests read each */
    return made;
}

json_t *told_groups(struct ctx *ctx)
{
    return document(ctx, "{kind: APIGroupList, apiVersion: v1, groups: [{" GROUP "}]}");
}

json_t *told_group(struct ctx *ctx)
{
    return document(ctx, "{kind: APIGroup, apiVersion: v1, " GROUP "}");
}

json_t *told_resources(struct ctx *ctx, const char *version)
{
    return document(ctx, arena_printf(ctx->arena,
                                      "kind: APIResourceList\n"
                                      "apiVersion: v1\n"
                                      "groupVersion: " METRICS_GROUP "/%s\n"
                                      "resources:\n"
                                      "  - name: " METRICS_RESOURCE "/" METRICS_REQUEST "\n"
                                      "    singularName: ''\n"
                                      "    namespaced: true\n"
                                      "    kind: MetricValueList\n"
                                      "    verbs: [get]\n",
                                      version));
}

/* ---- values ---- */

/* The two versions differ in where the metric's name stands, and in the word for the window. */
static json_t *value_entry(const char *version, const char *time, const json_t *object)
{
    static const char first[] = "{s:{s:s, s:s, s:s, s:s}, s:s, s:s, s:s, s:i, s:n}";
    static const char second[] = "{s:{s:s, s:s, s:s, s:s}, s:s, s:s, s:{s:s, s:n}, s:i}";
    bool is_first = str_equal(version, METRICS_VERSION_1);
    int64_t request = json_int_or(object, "status.request", 0);
    char quantity[24];
    snprintf(quantity, sizeof quantity, "%" PRId64, request);
#define DESCRIBED                                                                                  \
    "describedObject", "kind", "WorkerClass", "namespace",                                         \
        json_str_or(object, "metadata.namespace", ""), "name",                                     \
        json_str_or(object, "metadata.name", ""), "apiVersion", CLASS_API_VERSION, "timestamp",    \
        time, "value", quantity
    return is_first
               ? json_pack(first, DESCRIBED, "metricName", METRICS_REQUEST, "window", 0, "selector")
               : json_pack(second, DESCRIBED, "metric", "name", METRICS_REQUEST, "selector",
                           "windowSeconds", 0);
#undef DESCRIBED
}

/* Decided about, and not going: what is being deleted shall scale nothing. */
static bool has_value(const json_t *object)
{
    const json_t *request = json_at(object, "status.request");
    return json_is_integer(request) && json_integer_value(request) >= 0 &&
           !json_at(object, "metadata.deletionTimestamp");
}

json_t *told_values(struct ctx *ctx, const char *version, const json_t *classes,
                    const struct selector *selector, int64_t now_wall_ms)
{
    char time[CLOCK_RFC3339_BYTES];
    json_t *object, *items = json_array();
    size_t index;
    clock_rfc3339(time, now_wall_ms, 0);
    json_array_foreach(classes, index, object) {
        if (json_array_size(items) > TOLD_ITEMS_MAX)
            break;
        if (has_value(object) && selector_matches(selector, json_at(object, "metadata.labels")))
            json_array_append_new(items, value_entry(version, time, object));
    }
    return arena_json(ctx->arena,
                      json_pack("{s:s, s:s, s:{}, s:o}", "kind", "MetricValueList", "apiVersion",
                                arena_printf(ctx->arena, METRICS_GROUP "/%s", version), "metadata",
                                "items", items));
}
