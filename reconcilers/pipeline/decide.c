/* One decision, from top to bottom: what the ledger says, what has changed since, what follows. */
#include "reconcilers/pipeline/asked.h"
#include "reconcilers/pipeline/board.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>

/* In a ledger, at most; of a pod its letters: what it is, where, asked for, idle. */
enum {
    PIPELINE_BYTES = 340,
    STAGE_BYTES = 120,
    SHARE_BYTES = 56,
    CLASS_BYTES = 1000,
    POD_BYTES = 4
};

/* ---- what left its pods ---- */

/* What has left for long enough is free again. */
static int settle_leaving(struct board *board, uint32_t class_id)
{
    const struct board_class *class = &board->classes[class_id];
    size_t at;
    json_t *item;
    json_array_foreach(json_at(class->kept, "leaving"), at, item)
        if (ledger_until(board, class_id, item) <= board->world->now_s)
            TRY(placement_drained(board->ctx, board->placement, class_id,
                                  (uint32_t)json_int_or(item, "pod", 0),
                                  json_int_or(item, "milli", 0), board->world->now_s));
    return 0;
}

/* ---- pipelines that are there already ---- */

static int by_uid(const void *uid, const void *wish)
{
    return strcmp(uid, (*(const struct pipeline_wish *const *)wish)->uid);
}

static int uid_order(const void *a, const void *b)
{
    return by_uid((*(const struct pipeline_wish *const *)a)->uid, b);
}

/* Pointers to the world's pipelines, by uid. */
static const struct pipeline_wish **index_wishes(struct ctx *ctx, const struct world *world)
{
    const struct pipeline_wish **index =
        arena_alloc(ctx->arena, (world->pipeline_count + 1) * sizeof *index);
    for (uint32_t at = 0; at < world->pipeline_count; at++)
        index[at] = &world->pipelines[at];
    qsort(index, world->pipeline_count, sizeof *index, uid_order);
    return index;
}

static bool same_stages(const struct board *board, const struct board_pipeline *pipeline,
                        const struct graph *graph)
{
    if (pipeline->stage_count != graph->count)
        return false;
    for (uint32_t at = 0; at < graph->count; at++)
        if (!str_equal(pipeline->stages[at].name, graph->stages[at].name) ||
            pipeline->stages[at].class_id != board->class_of_world[graph->stages[at].class_at])
            return false;
    return true;
}

static int take_out(struct board *board, uint32_t id)
{
    struct board_pipeline *pipeline = &board->pipelines[id];
    pipeline->taken_out = true;
    pipeline->wish = NULL;
    return placement_remove(board->ctx, board->placement, id);
}

/* Gone, no longer valid, or there twice: out, so that what it had can be had. With other stages it
 * keeps that until they are placed. */
static int look_who_stays(struct board *board, uint32_t id, const struct pipeline_wish **index)
{
    struct board_pipeline *pipeline = &board->pipelines[id];
    const struct pipeline_wish *const *found =
        bsearch(pipeline->uid, index, board->world->pipeline_count, sizeof *index, by_uid);
    const struct pipeline_wish *wish = found ? *found : NULL;
    if (!wish || wish->graph.reason || board->stays[wish - board->world->pipelines] ||
        board->redraws[wish - board->world->pipelines] != PLACE_NONE)
        return take_out(board, id);
    if (!same_stages(board, pipeline, &wish->graph) || wish->priority != pipeline->priority ||
        !str_equal(wish->tenant, pipeline->tenant)) {
        board->redraws[wish - board->world->pipelines] = id;
        return 0;
    }
    pipeline->wish = wish;
    board->stays[wish - board->world->pipelines] = true;
    return 0;
}

static int change_rates(struct board *board, uint32_t id)
{
    struct board_pipeline *pipeline = &board->pipelines[id];
    int64_t rates[PLACE_STAGES_MAX] = {0};
    bool differ = false, done = true;
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        rates[at] = pipeline->wish->graph.stages[at].rate;
        differ |= rates[at] != pipeline->stages[at].rate;
    }
    if (!differ)
        return 0;
    TRY(placement_rates_set(board->ctx, board->placement, id, rates, board->world->now_s,
                            &pipeline->refusal, &done));
    pipeline->refused = !done;
    for (uint32_t at = 0; done && at < pipeline->stage_count; at++)
        pipeline->stages[at].rate = rates[at];
    return 0;
}

/* ---- classes and their pods ---- */

static int bring_classes(struct board *board)
{
    for (uint32_t at = 0; at < board->world->class_count; at++) {
        if (board->class_of_world[at] != PLACE_NONE)
            continue;
        const struct workers *workers = &board->world->classes[at];
        uint32_t class_id = board->class_of_world[at] = board->class_count++;
        board->classes[class_id] =
            (struct board_class){.name = workers->class.name, .workers = workers, .kept_pods = ""};
        TRY(board_class_set(board, class_id));
    }
    return 0;
}

static int renew_class(struct board *board, uint32_t class_id)
{
    const struct board_class *class = &board->classes[class_id];
    if (!class->kept || !class->workers ||
        json_int_or(class->kept, "generation", -1) == class->workers->class.generation)
        return 0;
    return board_class_set(board, class_id);
}

static int tell_pod(struct board *board, struct place_pod pod, enum pod_state state)
{
    pod.state = state;
    return placement_pod_set(board->ctx, board->placement, &pod, board->world->now_s);
}

/* A pod that goes gets nothing new: to the engine it is as large as what it carries, or it drains.
 */
static int close_pod(struct board *board, uint32_t class_id, uint32_t ordinal)
{
    const struct workers *workers = board->classes[class_id].workers;
    int64_t used, leaving;
    struct place_pod pod = placement_pod_look(board->placement, class_id, ordinal, &used, &leaving);
    if (pod.state != POD_READY || world_worker(workers, ordinal).state != POD_DRAINING)
        return 0;
    pod.capacity = workers->class.spec.capacity;
    if (used + leaving == 0 || used + leaving > pod.capacity)
        return tell_pod(board, pod, POD_DRAINING);
    pod.capacity = used + leaving;
    return tell_pod(board, pod, POD_READY);
}

/* What a pod that is yet to come was to carry, where such a pod can carry something else now. */
static int plan_anew(struct board *board, struct place_pod pod)
{
    TRY(tell_pod(board, pod, POD_STARTING));
    return tell_pod(board, pod, POD_ABSENT);
}

/* What a pod is now, to what the engine knows. One that was ready and is not for some time has lost
 * what it carried; for less, nothing happened. One without an address never served: it came in the
 * place of the one that did. Each can do what its class says now: the ledger keeps that once for
 * all of them. */
static int bring_pod(struct board *board, uint32_t class_id, uint32_t ordinal)
{
    struct board_class *class = &board->classes[class_id];
    const struct worker worker = world_worker(class->workers, ordinal);
    int64_t used, leaving;
    struct place_pod known =
        placement_pod_look(board->placement, class_id, ordinal, &used, &leaving);
    struct place_pod pod = {.class_id = class_id,
                            .ordinal = ordinal,
                            .zone = zone_now(class, &worker, &known),
                            .capacity = class->workers->class.spec.capacity};
    bool served = known.state == POD_READY || known.state == POD_DRAINING;
    bool resized = known.state != POD_ABSENT && known.capacity != pod.capacity;
    bool moved = worker.state != POD_ABSENT && known.zone != pod.zone;
    if (known.state == worker.state && !resized && !moved)
        return 0;
    if (worker.state == POD_ABSENT && known.state == POD_PLANNED)
        return resized ? plan_anew(board, pod) : 0;
    if (worker.state == POD_DRAINING && known.state == POD_READY)
        return 0; /* closed; empty_pod() sees to it */
    if (worker.state == POD_STARTING && served) {
        if (worker.address && board->world->now_s < worker.unready_since_s + FLAP_S)
            return resized ? tell_pod(board, pod, known.state) : 0;
        TRY(tell_pod(board, pod, POD_ABSENT));
    }
    return tell_pod(board, pod, worker.state);
}

/* What a closed pod carries moves if others that serve have room for it. Else it is left there:
 * where one of its name comes back, as a StatefulSet's does, nothing else need start. */
static int empty_pod(struct board *board, uint32_t class_id, uint32_t ordinal)
{
    const struct workers *workers = board->classes[class_id].workers;
    int64_t used, leaving;
    struct place_pod pod = placement_pod_look(board->placement, class_id, ordinal, &used, &leaving);
    if (pod.state != POD_READY || world_worker(workers, ordinal).state != POD_DRAINING ||
        used == 0 || placement_room(board->placement, class_id) < used)
        return 0;
    pod.capacity = workers->class.spec.capacity;
    return tell_pod(board, pod, POD_DRAINING);
}

/* For each pod of the class that is there, or of which the ledger speaks. */
static int each_pod(struct board *board, uint32_t class_id,
                    int (*tell)(struct board *, uint32_t class_id, uint32_t ordinal))
{
    const struct board_class *class = &board->classes[class_id];
    if (!class->workers)
        return 0;
    uint32_t count = class->workers->count, known = class->workers->class.spec.pods_max;
    count = count > class->kept_count ? count : class->kept_count;
    known = known > class->kept_count ? known : class->kept_count;
    for (uint32_t at = 0; at < count && at < known; at++)
        TRY(tell(board, class_id, at));
    return 0;
}

/* ---- new pipelines ---- */

/* By stage the one of the old drawing that it is: same name, same class. */
static void stages_kept(const struct board_pipeline *old, const struct board_pipeline *pipeline,
                        uint32_t from[PLACE_STAGES_MAX])
{
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        const struct board_stage *stage = &pipeline->stages[at];
        from[at] = PLACE_NONE;
        for (uint32_t was = 0; was < old->stage_count; was++)
            if (str_equal(old->stages[was].name, stage->name) &&
                old->stages[was].class_id == stage->class_id)
                from[at] = was;
    }
}

/* Its age stays: who draws anew does not go to the end of the line. */
static int redraw(struct board *board, uint32_t old_id, struct place_pipeline *spec)
{
    struct board_pipeline *old = &board->pipelines[old_id];
    uint32_t from[PLACE_STAGES_MAX];
    stages_kept(old, &board->pipelines[spec->id], from);
    old->taken_out = true;
    board->pipelines[spec->id].age = spec->age = old->age;
    return placement_redraw(board->ctx, board->placement, old_id, spec, from, board->world->now_s);
}

static int admit(struct board *board, const struct pipeline_wish *wish)
{
    uint32_t id = board->pipeline_count++;
    uint32_t old = board->redraws[wish - board->world->pipelines];
    struct board_pipeline *pipeline = &board->pipelines[id];
    struct place_stage stages[PLACE_STAGES_MAX];
    *pipeline = (struct board_pipeline){.name = wish->name,
                                        .uid = wish->uid,
                                        .tenant = wish->tenant,
                                        .age = old == PLACE_NONE ? board->next_age++ : 0,
                                        .priority = wish->priority,
                                        .stage_count = wish->graph.count,
                                        .wish = wish};
    for (uint32_t at = 0; at < wish->graph.count; at++) {
        const struct graph_stage *stage = &wish->graph.stages[at];
        pipeline->stages[at] =
            (struct board_stage){stage->name, board->class_of_world[stage->class_at], stage->rate};
        stages[at] = (struct place_stage){pipeline->stages[at].class_id, stage->rate};
    }
    struct place_pipeline spec = {.id = id,
                                  .tenant = tenant_number(board, wish->tenant),
                                  .priority = pipeline->priority,
                                  .age = pipeline->age,
                                  .stage_count = pipeline->stage_count,
                                  .stages = stages};
    if (old != PLACE_NONE)
        return redraw(board, old, &spec);
    return placement_admit(board->ctx, board->placement, &spec, board->world->now_s);
}

/* Those of high priority first, then in the order of the world. */
static int admission_order(const void *a, const void *b)
{
    const struct pipeline_wish *one = *(const struct pipeline_wish *const *)a;
    const struct pipeline_wish *other = *(const struct pipeline_wish *const *)b;
    if (one->priority != other->priority)
        return one->priority > other->priority ? -1 : 1;
    return one < other ? -1 : 1;
}

/* What pipelines take of a namespace, however they are placed. */
struct load {
    size_t bytes, stages;
};

static struct load load_of_classes(const struct world *world)
{
    struct load load = {0};
    for (uint32_t at = 0; at < world->class_count; at++)
        load.bytes += CLASS_BYTES + world->classes[at].class.spec.pods_max * (size_t)POD_BYTES;
    return load;
}

static struct load load_with(struct load load, const struct world *world,
                             const struct pipeline_wish *wish)
{
    load.bytes += PIPELINE_BYTES + strlen(wish->name);
    load.stages += wish->graph.count;
    for (uint32_t at = 0; at < wish->graph.count; at++) {
        const struct place_class *spec =
            &world->classes[wish->graph.stages[at].class_at].class.spec;
        uint32_t split = spec->mode == PLACE_WHOLE ? 1 : spec->split_max;
        split = split < spec->pods_max ? split : spec->pods_max;
        load.bytes += STAGE_BYTES + split * (size_t)SHARE_BYTES;
    }
    return load;
}

/* As many as a batch and the namespace hold. */
static int admit_new_ones(struct board *board, struct decision *decision)
{
    const struct world *world = board->world;
    uint32_t count = 0, admitted = 0;
    struct load load = load_of_classes(world);
    const struct pipeline_wish **new =
        arena_alloc(board->ctx->arena, (world->pipeline_count + 1) * sizeof *new);
    for (uint32_t at = 0; at < world->pipeline_count; at++)
        if (board->stays[at])
            load = load_with(load, world, &world->pipelines[at]);
        else if (!world->pipelines[at].graph.reason)
            new[count++] = &world->pipelines[at];
    qsort(new, count, sizeof *new, admission_order);
    for (uint32_t at = 0; at < count; at++) {
        const struct load with = load_with(load, world, new[at]);
        uint32_t old = board->redraws[new[at] - world->pipelines];
        if (with.bytes > LEDGER_BYTES_MAX || with.stages > LEDGER_STAGES_MAX) {
            decision->verdicts[new[at] - world->pipelines].full = true;
            if (old != PLACE_NONE)
                TRY(take_out(board, old));
            continue;
        }
        if (old == PLACE_NONE && admitted == DECIDE_BATCH) {
            decision->more = true;
            continue;
        }
        admitted += old == PLACE_NONE;
        load = with;
        TRY(admit(board, new[at]));
    }
    return 0;
}

/* ---- what came of it ---- */

/* What is past waits for an event: to look again at once would change nothing. */
static void sooner(const struct board *board, struct decision *decision, int64_t at_s)
{
    if (at_s > board->world->now_s && (decision->wake_s == 0 || at_s < decision->wake_s))
        decision->wake_s = at_s;
}

/* The number behind a quota's refusal. What the tenant uses is left out: others change it. */
static void note_quota(const struct board *board, const struct board_pipeline *pipeline,
                       struct verdict *verdict)
{
    const struct place_view *view = verdict->refused ? &verdict->refusal : &verdict->view;
    if ((view->reason == PLACE_OVER_QUOTA || view->reason == PLACE_TOO_LARGE_FOR_QUOTA) &&
        view->stage < pipeline->stage_count)
        tenant_quota(board, pipeline, view->stage, &verdict->quota);
}

static void note_verdicts(struct board *board, struct decision *decision)
{
    const json_t *entries = json_at(decision->ledger, "pipelines");
    size_t entry = 0;
    for (uint32_t id = 0; id < board->pipeline_count; id++) {
        const struct board_pipeline *pipeline = &board->pipelines[id];
        if (pipeline->taken_out)
            continue;
        struct verdict *verdict = &decision->verdicts[pipeline->wish - board->world->pipelines];
        *verdict = (struct verdict){.known = true,
                                    .refused = pipeline->refused,
                                    .view = placement_look(board->placement, id),
                                    .refusal = pipeline->refusal,
                                    .entry = json_array_get(entries, entry++)};
        note_quota(board, pipeline, verdict);
        sooner(board, decision, verdict->view.deadline_s);
        sooner(board, decision, verdict->view.retry_s);
        if (verdict->refused)
            sooner(board, decision, verdict->refusal.retry_s);
    }
}

/* When what is leaving has left, when more may move, and when a pod has not been ready for too
 * long.
 */
static void note_times(const struct board *board, struct decision *decision)
{
    size_t at, index;
    json_t *class, *leaving;
    json_array_foreach(json_at(decision->ledger, "classes"), at, class)
        json_array_foreach(json_at(class, "leaving"), index, leaving)
            sooner(board, decision, json_int_or(leaving, "until", 0));
    json_array_foreach(json_at(decision->ledger, "classes"), at, class)
        json_array_foreach(json_at(class, "idleUntil"), index, leaving)
            sooner(board, decision, json_integer_value(leaving));
    for (uint32_t class_at = 0; class_at < board->world->class_count; class_at++) {
        sooner(board, decision, decision->notes[class_at].next_s);
        const struct workers *workers = &board->world->classes[class_at];
        for (uint32_t pod = 0; pod < workers->count; pod++)
            if (workers->pods[pod].state == POD_STARTING &&
                board->world->now_s < workers->pods[pod].unready_since_s + FLAP_S)
                sooner(board, decision, workers->pods[pod].unready_since_s + FLAP_S);
    }
}

static int run(struct board *board, const json_t *ledger, struct decision *decision)
{
    TRY(ledger_read(board, ledger));
    const struct pipeline_wish **index = index_wishes(board->ctx, board->world);
    for (uint32_t id = 0; id < board->pipeline_count; id++)
        TRY(look_who_stays(board, id, index));
    uint32_t kept_classes = board->class_count, kept_pipelines = board->pipeline_count;
    for (uint32_t at = 0; at < kept_classes; at++)
        TRY(settle_leaving(board, at));
    TRY(bring_classes(board));
    for (uint32_t at = 0; at < board->class_count; at++) {
        TRY(renew_class(board, at));
        TRY(each_pod(board, at, close_pod));
    }
    for (uint32_t at = 0; at < board->class_count; at++)
        TRY(each_pod(board, at, bring_pod));
    for (uint32_t at = 0; at < board->class_count; at++)
        TRY(each_pod(board, at, empty_pod));
    for (uint32_t id = 0; id < kept_pipelines; id++)
        if (board->pipelines[id].wish)
            TRY(change_rates(board, id));
    TRY(admit_new_ones(board, decision));
    placement_tick(board->placement, board->world->now_s);
    decision->more |= placement_is_behind(board->placement);
    return compact(board, decision);
}

static bool differs(const json_t *made, const json_t *was)
{
    static const char *const fields[] = {"nextAge", "classes", "pipelines"};
    for (size_t at = 0; at < sizeof fields / sizeof fields[0]; at++) {
        const json_t *one = json_object_get(made, fields[at]),
                     *other = json_object_get(was, fields[at]);
        if (!other ? json_array_size(one) > 0 : !json_equal(one, other))
            return true;
    }
    return false;
}

static void tell(struct board *board, const json_t *was, struct decision *decision)
{
    const struct world *world = board->world;
    decision->ledger = ledger_write(board);
    asked_put(board->ctx, world, was, decision->ledger);
    decision->changed = differs(decision->ledger, was);
    int64_t number = json_int_or(was, "decision", 0) + decision->changed;
    json_object_update_new(decision->ledger, json_pack("{s:I, s:I}", "decision", (json_int_t)number,
                                                       "time", (json_int_t)world->now_s));
    note_verdicts(board, decision);
    note_times(board, decision);
    for (uint32_t at = 0; at < world->class_count; at++) {
        decision->classes[at] = placement_class_look(board->placement, board->class_of_world[at]);
        zones_note(board, board->class_of_world[at], &decision->notes[at]);
    }
}

int decide(struct ctx *ctx, const struct world *world, const json_t *ledger, bool settled,
           struct decision *ret)
{
    struct board board = {
        .ctx = ctx, .world = world, .placement = placement_new(), .settled = settled};
    *ret = (struct decision){
        .verdicts = arena_alloc(ctx->arena, (world->pipeline_count + 1) * sizeof *ret->verdicts),
        .classes = arena_alloc(ctx->arena, (world->class_count + 1) * sizeof *ret->classes),
        .notes = arena_alloc(ctx->arena, (world->class_count + 1) * sizeof *ret->notes)};
    board.class_of_world =
        arena_alloc(ctx->arena, (world->class_count + 1) * sizeof *board.class_of_world);
    board.stays = arena_alloc(ctx->arena, (world->pipeline_count + 1) * sizeof *board.stays);
    board.redraws = arena_alloc(ctx->arena, (world->pipeline_count + 1) * sizeof *board.redraws);
    for (uint32_t at = 0; at < world->pipeline_count; at++)
        board.redraws[at] = PLACE_NONE;
    for (uint32_t at = 0; at < world->class_count; at++)
        board.class_of_world[at] = PLACE_NONE;
    int rc = run(&board, ledger, ret);
    if (rc == 0)
        tell(&board, ledger, ret);
    placement_free(board.placement);
    return rc;
}
