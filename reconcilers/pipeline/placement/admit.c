#include "reconcilers/pipeline/placement/quota.h"
#include "server/base/ctx.h"

#include <inttypes.h>
#include <stdlib.h>

/* The stage that the class could not carry even if it were empty; PLACE_NONE = none. */
static uint32_t too_large(const struct placement *placement, const struct pipeline *pipeline)
{
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        const struct stage *stage = &pipeline->stages[at];
        const struct place_class *spec = &placement->classes[stage->class_id]->spec;
        uint32_t split = spec->mode == PLACE_WHOLE ? 1 : spec->split_max / spec->zones_min;
        uint32_t pods = spec->pods_max / spec->zones_min;
        int64_t part = (stage->rate + spec->zones_min - 1) / spec->zones_min, sum = 0;
        for (uint32_t other = 0; other < pipeline->stage_count; other++)
            if (pipeline->stages[other].class_id == stage->class_id)
                sum += pipeline->stages[other].rate;
        if (part > (split < pods ? split : pods) * spec->capacity ||
            sum > spec->pods_max * spec->capacity)
            return at;
    }
    return PLACE_NONE;
}

/* The stage in whose class an older one has waited so long that it is not overtaken. */
static uint32_t overtakes(const struct placement *placement, uint32_t id, int64_t now_s)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        const struct class *class = placement->classes[pipeline->stages[at].class_id];
        uint32_t first = phase_first(placement, class, now_s);
        if (first != PLACE_NONE && first != id &&
            placement->pipelines[first].priority >= pipeline->priority)
            return at;
    }
    return PLACE_NONE;
}

enum place_reason admit_refusal(const struct placement *placement, uint32_t id, int64_t now_s,
                                uint32_t *ret_stage)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    bool ever;
    *ret_stage = too_large(placement, pipeline);
    if (*ret_stage != PLACE_NONE)
        return PLACE_TOO_LARGE;
    *ret_stage = quota_refuses(placement, pipeline, &ever);
    if (*ret_stage != PLACE_NONE)
        return ever ? PLACE_TOO_LARGE_FOR_QUOTA : PLACE_OVER_QUOTA;
    *ret_stage = overtakes(placement, id, now_s);
    return *ret_stage != PLACE_NONE ? PLACE_BEHIND : PLACE_FITS;
}

static void room_made(struct placement *placement, const struct pipeline *pipeline)
{
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        phase_room(placement, placement->classes[pipeline->stages[at].class_id]);
}

/* For whom pods did not come asks for none until its time; what serves it may have before. */
static bool asks_for_no_pod(const struct placement *placement, uint32_t id, int64_t now_s)
{
    const struct place_view *view = &placement->pipelines[id].view;
    return view->reason == PLACE_TIMED_OUT && view->retry_s > now_s;
}

/* All stages or none. */
static void admit(struct placement *placement, uint32_t id, int64_t now_s)
{
    uint32_t stage, mark = placement->journal_count;
    enum place_reason reason = admit_refusal(placement, id, now_s, &stage);
    if (reason == PLACE_FITS) {
        stage = fit_all(placement, id);
        if (stage != PLACE_NONE) {
            reason = PLACE_NO_CAPACITY;
            state_undo(placement, mark);
            stage = !placement->serving && preempt(placement, id, now_s) ? PLACE_NONE : stage;
        }
    }
    if (stage != PLACE_NONE) {
        if (placement->serving && !phase_never(reason))
            reason = PLACE_TIMED_OUT;
        phase_wait(placement, id, stage, reason, now_s);
        return;
    }
    phase_admitted(placement, id, true);
    phase_settle(placement, id, now_s);
}

/* What each stage lacks, and what it has on pods that drain elsewhere. */
static void fit_each(struct placement *placement, uint32_t id)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    uint32_t next;
    for (uint32_t stage = 0; stage < pipeline->stage_count; stage++) {
        fit_stage(placement, id, stage);
        for (uint32_t at = pipeline->stages[stage].shares; at != PLACE_NONE; at = next) {
            const struct share *share = &placement->shares[at];
            next = share->stage_next;
            if (placement->classes[share->class_id]->pods[share->pod].state == POD_DRAINING &&
                fit_move(placement, at))
                next = pipeline->stages[stage].shares; /* the list is another now */
        }
    }
}

static void repair(struct placement *placement, uint32_t id, int64_t now_s)
{
    fit_each(placement, id);
    if (!placement->serving && phase_lacks(placement, id, false) != PLACE_NONE)
        preempt(placement, id, now_s);
    uint32_t stage = phase_lacks(placement, id, true);
    if (stage != PLACE_NONE && !placement->serving)
        phase_wait(placement, id, stage, PLACE_NO_CAPACITY, now_s);
    sooner(placement, id);
    phase_settle(placement, id, now_s);
}

void admit_try(struct placement *placement, uint32_t id, int64_t now_s)
{
    struct pipeline *pipeline = &placement->pipelines[id];
    bool held = phase_holds(&pipeline->view, now_s);
    placement->postponed = false;
    pipeline->view.due = false;
    placement->serving = asks_for_no_pod(placement, id, now_s);
    if (pipeline->admitted)
        repair(placement, id, now_s);
    else
        admit(placement, id, now_s);
    placement->serving = false;
    pipeline->view.due |= placement->postponed;
    if (held && !phase_holds(&pipeline->view, now_s)) { /* who stood behind it may go on */
        room_made(placement, pipeline);
        placement->news = true;
    }
}

void admit_sooner(struct placement *placement, uint32_t id, int64_t now_s)
{
    placement->pipelines[id].view.due = false;
    if (sooner(placement, id))
        phase_settle(placement, id, now_s);
}

static int check_rate(struct ctx *ctx, int64_t rate)
{
    if (rate < 0 || rate > PLACE_MILLI_MAX)
        return err_set(ctx, ERR_INVALID, NULL, "a rate of %" PRId64 " is not in 0..%" PRId64, rate,
                       PLACE_MILLI_MAX);
    return 0;
}

static int check_spec(struct ctx *ctx, const struct placement *placement,
                      const struct place_pipeline *spec)
{
    if (spec->id >= PLACE_PIPELINES_MAX || spec->tenant >= PLACE_TENANTS_MAX)
        return err_set(ctx, ERR_INVALID, NULL, "id %" PRIu32 " or tenant %" PRIu32 " is too large",
                       spec->id, spec->tenant);
    if (spec->priority < 0 || spec->priority > PLACE_PRIORITY_MAX)
        return err_set(ctx, ERR_INVALID, NULL, "priority %" PRId32 " is not in 0..%d",
                       spec->priority, PLACE_PRIORITY_MAX);
    if (spec->stage_count < 1 || spec->stage_count > PLACE_STAGES_MAX)
        return err_set(ctx, ERR_INVALID, NULL, "%" PRIu32 " stages are not 1..%d",
                       spec->stage_count, PLACE_STAGES_MAX);
    for (uint32_t at = 0; at < spec->stage_count; at++) {
        uint32_t class_id = spec->stages[at].class_id;
        TRY(check_rate(ctx, spec->stages[at].rate));
        if (class_id >= PLACE_CLASSES_MAX || !placement->classes[class_id])
            return err_set(ctx, ERR_INVALID, NULL, "there is no class %" PRIu32, class_id);
    }
    if (state_pipeline(placement, spec->id))
        return err_set(ctx, ERR_ALREADY_EXISTS, NULL, "there is a pipeline %" PRIu32, spec->id);
    return 0;
}

int admit_new(struct ctx *ctx, struct placement *placement, const struct place_pipeline *spec)
{
    TRY(check_spec(ctx, placement, spec));
    memory_grow_pipelines(placement, spec->id);
    struct pipeline *pipeline = &placement->pipelines[spec->id];
    *pipeline = (struct pipeline){.stages = memory_new(spec->stage_count, sizeof(struct stage)),
                                  .stage_count = spec->stage_count,
                                  .tenant = spec->tenant,
                                  .priority = spec->priority,
                                  .age = spec->age,
                                  .view = {.stage = PLACE_NONE},
                                  .next_changed = pipeline->next_changed};
    for (uint32_t at = 0; at < spec->stage_count; at++)
        pipeline->stages[at] = (struct stage){.class_id = spec->stages[at].class_id,
                                              .shares = PLACE_NONE,
                                              .rate = spec->stages[at].rate};
    return 0;
}

int placement_admit(struct ctx *ctx, struct placement *placement, const struct place_pipeline *spec,
                    int64_t now_s)
{
    TRY(admit_new(ctx, placement, spec));
    placement->journal_count = 0;
    admit_try(placement, spec->id, now_s);
    return 0;
}

int placement_remove(struct ctx *ctx, struct placement *placement, uint32_t id)
{
    struct pipeline *pipeline = state_pipeline(placement, id);
    if (!pipeline)
        return err_set(ctx, ERR_NOT_FOUND, NULL, "there is no pipeline %" PRIu32, id);
    placement->journal_count = 0;
    phase_line(placement, id, PLACE_NONE, 0);
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        state_clear(placement, id, at, true);
    room_made(placement, pipeline);
    phase_admitted(placement, id, false);
    free(pipeline->stages);
    pipeline->stages = NULL;
    pipeline->view = (struct place_view){.stage = PLACE_NONE};
    phase_changed(placement, id);
    return 0;
}

static void rates_swap(struct placement *placement, struct pipeline *pipeline, const int64_t *rates)
{
    if (pipeline->admitted)
        quota_charge(placement, pipeline, -1);
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        pipeline->stages[at].rate = rates[at];
    if (pipeline->admitted)
        quota_charge(placement, pipeline, 1);
}

/* More than before, for stages that had less to do: the one that does not fit and why. */
static enum place_reason try_raise(struct placement *placement, uint32_t id, int64_t now_s,
                                   uint32_t *ret_stage)
{
    struct pipeline *pipeline = &placement->pipelines[id];
    quota_charge(placement, pipeline, -1);
    enum place_reason reason = admit_refusal(placement, id, now_s, ret_stage);
    quota_charge(placement, pipeline, 1);
    if (reason != PLACE_FITS)
        return reason;
    *ret_stage = fit_all(placement, id);
    return *ret_stage == PLACE_NONE ? PLACE_FITS : PLACE_NO_CAPACITY;
}

static void shrink(struct placement *placement, uint32_t id)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        if (pipeline->stages[at].placed > pipeline->stages[at].rate)
            fit_shrink(placement, id, at);
}

int placement_rates_set(struct ctx *ctx, struct placement *placement, uint32_t id,
                        const int64_t *rates, int64_t now_s, struct place_view *ret_refusal,
                        bool *ret_done)
{
    struct pipeline *pipeline = state_pipeline(placement, id);
    int64_t old[PLACE_STAGES_MAX];
    uint32_t stage = PLACE_NONE;
    bool raises = false;
    if (!pipeline)
        return err_set(ctx, ERR_NOT_FOUND, NULL, "there is no pipeline %" PRIu32, id);
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        TRY(check_rate(ctx, rates[at]));
        old[at] = pipeline->stages[at].rate;
        raises |= rates[at] > old[at];
    }
    placement->journal_count = 0;
    rates_swap(placement, pipeline, rates);
    *ret_done = true;
    if (!pipeline->admitted) {
        admit_try(placement, id, now_s);
        return 0;
    }
    shrink(placement, id);
    enum place_reason reason = raises ? try_raise(placement, id, now_s, &stage) : PLACE_FITS;
    if (reason != PLACE_FITS) {
        *ret_refusal = phase_lacking(placement, id, stage, reason, now_s);
        *ret_done = false;
        state_undo(placement, 0);
        rates_swap(placement, pipeline, old);
    }
    room_made(placement, pipeline);
    phase_settle(placement, id, now_s);
    return 0;
}
