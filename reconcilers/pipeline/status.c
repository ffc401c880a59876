/* What people read: phases in the talk's words, and in Ready a finer reason, with numbers. */
#include "reconcilers/engine/conditions.h"
#include "reconcilers/pipeline/placement/placement.h"
#include "reconcilers/pipeline/scope.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>

struct telling {
    const char *phase, *ready, *reason, *message;
};

int64_t documents(int64_t milli)
{
    return (milli + MILLI - 1) / MILLI;
}

static const char *time_text(struct ctx *ctx, int64_t at_s)
{
    char text[CLOCK_RFC3339_BYTES];
    return arena_strdup(ctx->arena, clock_rfc3339(text, at_s * 1000, 0));
}

/* ---- who does not run ---- */

/* When that changes: each state that waits has a time. */
static const char *until(struct ctx *ctx, const struct place_view *view)
{
    if (view->deadline_s)
        return arena_printf(ctx->arena, "room is reserved until %s",
                            time_text(ctx, view->deadline_s));
    if (view->retry_s)
        return arena_printf(ctx->arena, "tried again at %s, or when there is more room",
                            time_text(ctx, view->retry_s));
    return "it must ask for less, or its class be given more";
}

/* All stages of the class together count. */
static const char *quota_text(struct ctx *ctx, const struct world *world,
                              const struct pipeline_wish *wish, const struct verdict *verdict,
                              const struct place_view *view)
{
    const struct graph_stage *stage = &wish->graph.stages[view->stage];
    int64_t asked = 0;
    for (uint32_t at = 0; at < wish->graph.count; at++)
        if (wish->graph.stages[at].class_at == stage->class_at)
            asked += wish->graph.stages[at].rate;
    const char *borrow =
        verdict->quota.borrow == 0
            ? ""
            : arena_printf(ctx->arena,
                           " and %" PRId64 " more of what those with quotas leave unused together",
                           verdict->quota.borrow / MILLI);
    return arena_printf(ctx->arena,
                        "tenant '%s' may use %" PRId64 " documents/s of class '%s' with all its "
                        "pipelines%s, and this one asks for %" PRId64 "; %s",
                        wish->tenant, verdict->quota.nominal / MILLI,
                        world->classes[stage->class_at].class.name, borrow, documents(asked),
                        until(ctx, view));
}

static const char *need_text(struct ctx *ctx, const struct world *world,
                             const struct pipeline_wish *wish, const struct verdict *verdict,
                             const struct place_view *view)
{
    if (view->stage >= wish->graph.count)
        return "";
    if (view->reason == PLACE_OVER_QUOTA || view->reason == PLACE_TOO_LARGE_FOR_QUOTA)
        return quota_text(ctx, world, wish, verdict, view);
    const struct graph_stage *stage = &wish->graph.stages[view->stage];
    return arena_printf(
        ctx->arena,
        "stage '%s' needs %" PRId64 " documents/s of class '%s', whose pods have %" PRId64
        " free; more pods needed: %" PRIu32 "; %s",
        stage->name, documents(view->need), world->classes[stage->class_at].class.name,
        view->free / MILLI, view->pods_needed, until(ctx, view));
}

static void put_time(struct ctx *ctx, json_t *waiting, const char *name, int64_t at_s)
{
    if (at_s)
        json_object_set_new(waiting, name, json_string(time_text(ctx, at_s)));
}

static void put_waiting(struct ctx *ctx, const struct graph *graph, const struct verdict *verdict,
                        json_t *status)
{
    const struct place_view *view = &verdict->view;
    json_object_del(status, "waiting");
    if (!verdict->known || graph->reason || view->phase == PLACE_PLACED ||
        view->stage >= graph->count)
        return;
    json_t *waiting =
        json_pack("{s:s, s:I, s:I, s:I, s:I}", "stage", graph->stages[view->stage].name, "need",
                  (json_int_t)documents(view->need), "free", (json_int_t)(view->free / MILLI),
                  "pods", (json_int_t)view->pods_needed, "attempts", (json_int_t)view->attempts);
    put_time(ctx, waiting, "since", view->waiting_since_s);
    put_time(ctx, waiting, "deadline", view->deadline_s);
    put_time(ctx, waiting, "retry", view->retry_s);
    json_object_set_new(status, "waiting", waiting);
}

static struct telling tell_waiting(struct ctx *ctx, const struct world *world,
                                   const struct pipeline_wish *wish, const struct verdict *verdict)
{
    if (wish->graph.reason)
        return (struct telling){"Pending", "False", wish->graph.reason, wish->graph.message};
    if (verdict->full)
        return (struct telling){"Pending", "False", "NamespaceFull",
                                "the namespace has no room for a further pipeline of so many "
                                "stages; it is looked at again when another one goes"};
    if (!verdict->known)
        return (struct telling){"Pending", "False", "InNextBatch",
                                "many pipelines came at once; it is decided about in a moment"};
    return (struct telling){"Pending", "False", place_reason_word(verdict->view.reason),
                            need_text(ctx, world, wish, verdict, &verdict->view)};
}

/* ---- who runs ---- */

/* Of the bindings of a pipeline: how many are in a phase, and one of them. `behind`: of those that
 * are Ready, and only where it was Degraded: its route is not yet as the ledger says. */
struct count {
    uint32_t ready, dead, unset, behind;
    const char *dead_stage;
    const char *below; /* a stage that serves less than the minimum; NULL = none */
};

static bool was(const json_t *status, const char *reason)
{
    return str_equal(json_str(condition_get(status, "Ready"), "reason"), reason);
}

/* A dead end whose stage the ledger has on a worker that serves is repaired, and only to be routed
 * anew. */
static struct count count_bindings(struct ctx *ctx, const struct world *world, uint32_t at,
                                   const struct placer_scope *scope, const json_t *status)
{
    const struct pipeline_wish *wish = &world->pipelines[at];
    const json_t *entry = scope->decision.verdicts[at].entry;
    struct count count = {.below = stages_below(ctx, world, at, &scope->decision)};
    uint32_t rows;
    const struct binding_row *row = bindings_of(&scope->bindings, wish->uid, &rows);
    for (const struct binding_row *end = row + rows; row < end; row++) {
        const json_t *binding = row->object;
        const char *phase = json_str_or(binding, "status.phase", "Pending");
        const char *stage = json_str_or(binding, "spec.stage", "");
        const json_t *of_stage = json_find(entry, "stages", "name", stage);
        bool ready = str_equal(phase, "Ready");
        count.ready += ready;
        count.unset += str_equal(phase, "Unset");
        count.behind += ready && of_stage && was(status, "Degraded") &&
                        !binding_is_routed(ctx->arena, world, wish, of_stage, binding);
        if (str_equal(phase, "DeadEnd") && !binding_serves(world, of_stage)) {
            count.dead++;
            count.dead_stage = stage;
        }
    }
    return count;
}

static struct telling tell_running(struct ctx *ctx, const struct world *world,
                                   const struct pipeline_wish *wish, const struct verdict *verdict,
                                   const struct count *count)
{
    const struct graph *graph = &wish->graph;
    if (count->dead)
        return (struct telling){"Broken", "False", "DeadEnd",
                                arena_printf(ctx->arena, "no worker of stage '%s' serves; %s",
                                             count->dead_stage,
                                             need_text(ctx, world, wish, verdict, &verdict->view))};
    if (count->below)
        return (struct telling){"Broken", "False", "BelowMinimum",
                                arena_printf(ctx->arena, "%s; %s", count->below,
                                             need_text(ctx, world, wish, verdict, &verdict->view))};
    if (count->ready + count->unset < graph->count)
        return (struct telling){"Plotted", "False", "BindingsPending",
                                "every stage is placed, and its route is being made: see its "
                                "PipelineBindings"};
    if (verdict->view.phase == PLACE_PLACED && count->behind)
        return (struct telling){"Plotted", "True", "Degraded",
                                "every stage is placed again, and is being routed anew"};
    if (verdict->view.phase != PLACE_PLACED)
        return (struct telling){"Ready", "True", "Degraded",
                                need_text(ctx, world, wish, verdict, &verdict->view)};
    if (verdict->refused)
        return (struct telling){
            "Ready", "True", "RateRefused",
            arena_printf(ctx->arena, "it runs on as before (%s): %s",
                         place_reason_word(verdict->refusal.reason),
                         need_text(ctx, world, wish, verdict, &verdict->refusal))};
    if (count->unset == graph->count)
        return (struct telling){"Ready", "True", "NoLoad", "it asks for no documents"};
    return (struct telling){"Ready", "True", "Routed",
                            "every stage is placed and its workers serve"};
}

void pipeline_status(struct ctx *ctx, const struct world *world, uint32_t at,
                     const struct placer_scope *scope, json_t *status)
{
    const struct pipeline_wish *wish = &world->pipelines[at];
    const struct verdict *verdict = &scope->decision.verdicts[at];
    const struct count count = count_bindings(ctx, world, at, scope, status);
    struct telling telling =
        scope->taken[at]
            ? (struct telling){"Plotted", "False", "ObjectTaken",
                               "a PipelineBinding of the name of one of its stages is there and "
                               "is not its own; it is left alone"}
        : verdict->view.ran ? tell_running(ctx, world, wish, verdict, &count)
                            : tell_waiting(ctx, world, wish, verdict);
    /* No way leads from Broken to Ready but this one, even if the routes were faster than we. */
    if (str_equal(telling.phase, "Ready") && str_equal(json_str(status, "phase"), "Broken"))
        telling = (struct telling){"Plotted", "False", "BindingsPending",
                                   "every stage is placed again, and has been routed"};
    int64_t generation = json_int_or(wish->object, "metadata.generation", 0);
    json_object_update_new(status, json_pack("{s:I, s:s}", "observedGeneration",
                                             (json_int_t)generation, "phase", telling.phase));
    int64_t revision = json_int_or(wish->object, "spec.revision", -1);
    if (revision >= 0) /* a fleet wrote it, and asks whether this one was seen */
        json_object_set_new(status, "observedRevision", json_integer(revision));
    put_waiting(ctx, &wish->graph, verdict, status);
    stages_status(ctx, world, at, &scope->decision, status);
    condition_set(ctx, status, "Ready", telling.ready, telling.reason, generation, "%s",
                  telling.message);
}

/* Of two pods of one ordinal only one is seen. */
static void tell_twin(struct ctx *ctx, const struct workers *workers, json_t *status)
{
    if (workers->twin)
        condition_set(ctx, status, "PodsCounted", "False", "DuplicateOrdinal",
                      workers->class.generation,
                      "pod '%s' is left out: another one of the class ends in the same number",
                      workers->twin);
    else
        condition_set(ctx, status, "PodsCounted", "True", "Distinct", workers->class.generation,
                      "each of its pods counts");
}

/* Why there are not fewer pods. */
static void tell_compaction(struct ctx *ctx, const struct workers *workers,
                            const struct class_note *note, json_t *status)
{
    static const char *const says[] = {
        [COMPACTION_DONE] = "no more pods are in use than the load needs, and the spare ones",
        [COMPACTION_OFF] = "spec.compaction.documentsPerMinute is 0, or spec.policy is Spread",
        [COMPACTION_BLOCKED] = "nothing moves while something waits for room, or leaves a pod",
        [COMPACTION_SPENT] = "what may move in a minute has moved; it goes on",
        [COMPACTION_STUCK] = "lower pods have no room for what the highest one carries",
        [COMPACTION_MOVING] = "what the highest pods carry moves to lower ones",
    };
    condition_set(ctx, status, "Compacted", note->compaction == COMPACTION_DONE ? "True" : "False",
                  compaction_word(note->compaction), workers->class.generation,
                  "pods up to number %" PRIu32 " are in use, %" PRIu32 " would do: %s",
                  note->replicas ? note->replicas - 1 : 0, note->wanted, says[note->compaction]);
}

/* Only where the class minds. */
static void tell_zones(struct ctx *ctx, const struct workers *workers,
                       const struct class_note *note, json_t *status)
{
    uint32_t least = workers->class.spec.zones_min, ready = 0;
    json_object_del(status, "zones");
    if (least == 1) {
        condition_remove(status, "Zoned");
        return;
    }
    json_t *list = json_array();
    for (uint32_t at = 0; at < note->zone_count; at++) {
        const struct zone_note *zone = &note->zones[at];
        ready += zone->ready > 0;
        json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "name", zone->name,
                                              "readyReplicas", (json_int_t)zone->ready, "used",
                                              (json_int_t)documents(zone->used)));
    }
    json_object_set_new(status, "zones", list);
    const char *reason = note->zoneless ? "ZoneUnknown" : ready < least ? "TooFewZones" : "Spread";
    condition_set(ctx, status, "Zoned", str_equal(reason, "Spread") ? "True" : "False", reason,
                  workers->class.generation,
                  "its pods serve in %" PRIu32 " zones, each stage is to be in %" PRIu32 "%s%s",
                  ready, least, note->zoneless ? "; without the label " LABEL_ZONE ": pod " : "",
                  note->zoneless ? note->zoneless : "");
}

void class_status(struct ctx *ctx, const struct workers *workers,
                  const struct place_class_view *view, const struct class_note *note,
                  json_t *status)
{
    const struct {
        const char *name;
        int64_t value;
    } rows[] = {{"observedGeneration", workers->class.generation},
                {"readyReplicas", view->ready},
                {"wantedReplicas", view->replicas},
                {"request", documents(view->demand)},
                {"used", documents(view->used)},
                {"free", view->free / MILLI}};
    for (size_t at = 0; at < sizeof rows / sizeof rows[0]; at++)
        json_object_set_new(status, rows[at].name, json_integer(rows[at].value));
    tell_twin(ctx, workers, status);
    tell_compaction(ctx, workers, note, status);
    tell_zones(ctx, workers, note, status);
}
