#include "reconcilers/fleet/project.h"

#include "reconcilers/engine/conditions.h"
#include "reconcilers/fleet/explain.h"
#include "reconcilers/fleet/resource.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>

/* The first row that holds gives the phase; the last one always does. */
struct phase_rule {
    bool (*holds)(const json_t *object);
    const char *phase;
};

static const json_t *status_of(const json_t *object)
{
    return json_object_get(object, "status");
}

static bool is_leaving(const json_t *object)
{
    return json_at(object, "metadata.deletionTimestamp") != NULL;
}

static bool is_stalled(const json_t *object)
{
    return condition_is(status_of(object), "Stalled", "True");
}

static const struct published_kind *kind_of(const json_t *object)
{
    return published_kind(resource_id(object));
}

/* Nothing is waited for: it will never run as it is. */
static bool is_rejected(const json_t *object)
{
    const json_t *ready = condition_get(status_of(object), "Ready");
    return str_equal(json_str(ready, "status"), "False") &&
           str_has_word(kind_of(object)->rejected, json_str_or(ready, "reason", ""));
}

/* The operator has not spoken about the revision that stands in spec. */
static bool is_unobserved(const json_t *object)
{
    return json_int_or(object, "status.observedRevision", 0) < resource_revision(object);
}

static bool is_closed(const json_t *object)
{
    const json_t *ready = condition_get(status_of(object), "Ready");
    return str_equal(json_str(object, "spec.lifecycle"), "Closed") &&
           str_equal(json_str(ready, "reason"), "Closed");
}

/* With RateRefused it runs, but not as it was asked to. */
static bool is_ready(const json_t *object)
{
    const json_t *ready = condition_get(status_of(object), "Ready");
    return !str_equal(json_str(object, "spec.lifecycle"), "Closed") &&
           str_equal(json_str(ready, "status"), "True") &&
           !str_equal(json_str(ready, "reason"), "RateRefused");
}

static bool always(const json_t *object)
{
    (void)object;
    return true;
}

static const struct phase_rule phase_rules[] = {
    {is_leaving, "deleting"}, {is_stalled, "error"}, {is_unobserved, "updating"},
    {is_closed, "closed"},    {is_ready, "ready"},   {is_rejected, "error"},
    {always, "updating"},
};

static const char *phase_of(const json_t *object)
{
    size_t row = 0;
    while (!phase_rules[row].holds(object))
        row++;
    return phase_rules[row].phase;
}

static const char *health_of(const json_t *object)
{
    const json_t *status = status_of(object);
    const char *serves = kind_of(object)->serves;
    if (condition_is(status, serves, "False"))
        return "down";
    if (!condition_is(status, serves, "True"))
        return "unknown";
    bool is_less = str_equal(json_str(condition_get(status, "Ready"), "reason"), "Degraded");
    return condition_is(status, "Ready", "True") && !is_less ? "healthy" : "degraded";
}

static char *cut(struct ctx *ctx, const char *text, size_t bytes)
{
    return arena_strndup(ctx->arena, text, str_fit(text, bytes));
}

static json_t *with_hash(struct ctx *ctx, json_t *projection)
{
    const char *hash = arena_printf(ctx->arena, "%016" PRIx64, json_hash(projection));
    json_object_set_new(projection, "hash", json_string(hash));
    return arena_json(ctx->arena, projection);
}

json_t *project(struct ctx *ctx, const json_t *object, bool drifted)
{
    const json_t *summary =
        condition_get(status_of(object), is_stalled(object) ? "Stalled" : "Ready");
    json_t *conditions = json_deep_copy(json_at(object, "status.conditions"));
    const char *stages_cut;
    json_t *stages = explain_stages(status_of(object), &stages_cut);
    return with_hash(
        ctx, json_pack(
                 "{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:o, s:O*, s:s*, s:o*, s:s*, s:o*}", "id",
                 resource_id(object), "phase", phase_of(object), "health", health_of(object),
                 "drift", drifted ? "drifted" : "in_sync", "observed",
                 (json_int_t)json_int_or(object, "status.observedRevision", 0), "reason",
                 cut(ctx, json_str_or(summary, "reason", ""), PROJECT_REASON_BYTES), "message",
                 cut(ctx, json_str_or(summary, "message", ""), PROJECT_MESSAGE_BYTES), "conditions",
                 conditions ? conditions : json_array(), "usage", json_at(object, "status.usage"),
                 "version", json_str(object, "status.version"), "stages", stages, "stagesCut",
                 stages_cut, "waiting", explain_waiting(status_of(object))));
}

json_t *project_gone(struct ctx *ctx, const char *id)
{
    return with_hash(ctx, json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:[]}", "id", id, "phase",
                                    "updating", "health", "unknown", "drift", "drifted", "observed",
                                    (json_int_t)0, "reason", "Missing", "message",
                                    "the custom resource is gone from its cell", "conditions"));
}
