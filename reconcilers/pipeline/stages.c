/* What people read of each stage: where it runs, or what it lacks. All follows from the ledger, in
 * which a pod that is not ready for a moment serves on: a flap changes no status. */
#include "reconcilers/pipeline/placement/placement.h"
#include "reconcilers/pipeline/scope.h"

#include "server/base/ctx.h"
#include "server/base/json.h"

#include <inttypes.h>
#include <string.h>

enum { PODS_SHOWN = 8 }; /* of one stage; the CRD says so, too */

/* One stage, added up from its shares; milli-documents per second. */
struct stage_sum {
    int64_t asked, placed, reserved;
    uint32_t pods, coming; /* coming: pods that do not serve yet */
    bool held, leaves;     /* some share waits for another one's to drain; some pod goes */
    json_t *shown;
};

/* ---- adding up ---- */

static json_t *shown_pod(const struct worker *worker, uint32_t ordinal, int64_t milli, bool served,
                         bool zoned)
{
    return json_pack("{s:I, s:I, s:b, s:s*, s:s*}", "ordinal", (json_int_t)ordinal,
                     "milliDocumentsPerSecond", (json_int_t)milli, "serves", served, "name",
                     worker->name, "zone", zoned ? worker->zone : NULL);
}

static void add_share(struct stage_sum *sum, const struct workers *workers, const char *pods,
                      const json_t *share)
{
    uint32_t ordinal = (uint32_t)json_int_or(share, "pod", 0);
    int64_t milli = json_int_or(share, "milli", 0), held = json_int_or(share, "held", 0);
    const struct worker worker = world_worker(workers, ordinal);
    bool served = ledger_serves(pods, ordinal);
    sum->placed += served ? milli - held : 0;
    sum->reserved += served ? held : milli;
    sum->coming += !served;
    sum->held |= held > 0;
    sum->leaves |= worker.state == POD_DRAINING;
    if (sum->pods++ < PODS_SHOWN)
        json_array_append_new(sum->shown, shown_pod(&worker, ordinal, milli, served,
                                                    workers->class.spec.zones_min > 1));
}

static struct stage_sum sum_of(struct ctx *ctx, const struct world *world, const json_t *ledger,
                               const struct graph_stage *stage, const json_t *row)
{
    struct stage_sum sum = {.asked = stage->rate, .shown = arena_json(ctx->arena, json_array())};
    const json_t *class = json_find(ledger, "classes", "name", stage->class_name);
    size_t at;
    json_t *share;
    json_array_foreach(json_at(row, "shares"), at, share)
        add_share(&sum, &world->classes[stage->class_at], json_str_or(class, "pods", ""), share);
    return sum;
}

/* ---- why ---- */

static const char *reason_of(const struct stage_sum *sum, const struct verdict *verdict,
                             uint32_t stage)
{
    if (sum->asked == 0)
        return "NoLoad";
    if (sum->placed >= sum->asked)
        return sum->leaves ? "PodLeaves" : "Placed";
    if (verdict->view.stage == stage)
        return place_reason_word(verdict->view.reason);
    if (verdict->refused)
        return stage == verdict->refusal.stage ? place_reason_word(verdict->refusal.reason)
                                               : "RateRefused";
    if (sum->coming || sum->held)
        return place_reason_word(sum->coming ? PLACE_WAITS_FOR_PODS : PLACE_WAITS_FOR_DRAIN);
    if (!verdict->view.ran)
        return "NothingHeld";
    return sum->placed ? "Degraded" : "DeadEnd";
}

/* Pods that would have to start: those that are waited for, or as many as the engine reckons. */
static int64_t more_pods(const struct stage_sum *sum, const struct verdict *verdict, uint32_t stage)
{
    const struct place_view *view = verdict->refused ? &verdict->refusal : &verdict->view;
    if (sum->placed >= sum->asked || sum->coming)
        return sum->placed >= sum->asked ? 0 : sum->coming;
    return view->stage == stage ? view->pods_needed : 0;
}

static json_t *stage_status(const struct graph_stage *stage, const struct stage_sum *sum,
                            const char *reason, int64_t pods)
{
    int64_t missing = sum->asked > sum->placed ? sum->asked - sum->placed : 0;
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:O}", "name", stage->name, "class",
                     stage->class_name, "reason", reason, "documentsPerSecond",
                     (json_int_t)documents(sum->asked), "missing", (json_int_t)documents(missing),
                     "reserved", (json_int_t)documents(sum->reserved), "podsToCome",
                     (json_int_t)pods, "podCount", (json_int_t)sum->pods, "pods", sum->shown);
}

/* Each stage is to serve as much of its rate as the minimum is of the pipeline's. */
const char *stages_below(struct ctx *ctx, const struct world *world, uint32_t at,
                         const struct decision *decision)
{
    const struct pipeline_wish *wish = &world->pipelines[at];
    const struct verdict *verdict = &decision->verdicts[at];
    int64_t rate = json_int_or(wish->object, "spec.documentsPerSecond", 0);
    int64_t least = json_int_or(wish->object, "spec.minDocumentsPerSecond", 0);
    least = least < rate ? least : rate;
    for (uint32_t stage = 0; verdict->known && least > 0 && stage < wish->graph.count; stage++) {
        const struct graph_stage *drawn = &wish->graph.stages[stage];
        const struct stage_sum sum =
            sum_of(ctx, world, decision->ledger, drawn,
                   json_array_get(json_at(verdict->entry, "stages"), stage));
        int64_t times = drawn->rate / (rate * MILLI); /* ways that lead to it */
        if (sum.placed < least * MILLI * times)
            return arena_printf(ctx->arena,
                                "stage '%s' serves %" PRId64 " of %" PRId64
                                " documents/s, and minDocumentsPerSecond asks for %" PRId64,
                                drawn->name, sum.placed / MILLI, documents(drawn->rate),
                                least * times);
    }
    return NULL;
}

void stages_status(struct ctx *ctx, const struct world *world, uint32_t at,
                   const struct decision *decision, json_t *status)
{
    const struct graph *graph = &world->pipelines[at].graph;
    const struct verdict *verdict = &decision->verdicts[at];
    json_object_del(status, "stages");
    if (graph->reason || !verdict->known)
        return;
    json_t *list = json_array();
    for (uint32_t stage = 0; stage < graph->count; stage++) {
        const json_t *row = json_array_get(json_at(verdict->entry, "stages"), stage);
        const struct stage_sum sum =
            sum_of(ctx, world, decision->ledger, &graph->stages[stage], row);
        json_array_append_new(list, stage_status(&graph->stages[stage], &sum,
                                                 reason_of(&sum, verdict, stage),
                                                 more_pods(&sum, verdict, stage)));
    }
    json_object_set_new(status, "stages", list);
}
