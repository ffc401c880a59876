#include "reconcilers/pipeline/placement/quota.h"
#include "server/base/ctx.h"

#include <inttypes.h>
#include <stdlib.h>

/* One pipeline in the place of another: what was drawn, and what is drawn now. */
struct redraw {
    uint32_t old, id;
    const uint32_t *from; /* by stage: the old one that it is; PLACE_NONE = it is new */
};

/* Stages that stay keep their shares, as far as their rate goes. */
static void keep(struct placement *placement, const struct redraw *redraw)
{
    const struct pipeline *pipeline = &placement->pipelines[redraw->id];
    const struct pipeline *old = &placement->pipelines[redraw->old];
    for (uint32_t stage = 0; stage < pipeline->stage_count; stage++) {
        uint32_t from = redraw->from[stage];
        while (from != PLACE_NONE && old->stages[from].shares != PLACE_NONE) {
            const struct share share = placement->shares[old->stages[from].shares];
            state_take(placement, old->stages[from].shares, share.milli, false);
            placement->holding = true;
            if (share.held > 0)
                state_add(placement, redraw->id, stage, share.pod, share.held);
            placement->holding = false;
            if (share.milli > share.held)
                state_add(placement, redraw->id, stage, share.pod, share.milli - share.held);
        }
        if (pipeline->stages[stage].placed > pipeline->stages[stage].rate)
            fit_shrink(placement, redraw->id, stage);
    }
}

static void clear(struct placement *placement, uint32_t id, bool leaves)
{
    for (uint32_t stage = 0; stage < placement->pipelines[id].stage_count; stage++)
        state_clear(placement, id, stage, leaves);
}

/* On pods that serve, though it may have to wait for something to drain. */
static bool can_run(const struct placement *placement, uint32_t id)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    for (uint32_t stage = 0; stage < pipeline->stage_count; stage++)
        for (uint32_t at = pipeline->stages[stage].shares; at != PLACE_NONE;
             at = placement->shares[at].stage_next)
            if (!pod_serves(&placement->classes[pipeline->stages[stage].class_id]
                                 ->pods[placement->shares[at].pod]))
                return false;
    return true;
}

/* Beside what it had, which leaves as soon as the new one serves. */
static bool fits_beside(struct placement *placement, const struct redraw *redraw)
{
    keep(placement, redraw);
    clear(placement, redraw->old, true);
    return fit_all(placement, redraw->id) == PLACE_NONE;
}

/* Where it was itself: the new one waits until the old one has drained. */
static bool fits_within(struct placement *placement, const struct redraw *redraw)
{
    keep(placement, redraw);
    uint32_t from = placement->journal_count;
    clear(placement, redraw->old, false);
    uint32_t to = placement->journal_count;
    placement->holding = true;
    bool fits = fit_all(placement, redraw->id) == PLACE_NONE && can_run(placement, redraw->id);
    placement->holding = false;
    if (fits)
        preempt_charge(placement, redraw->id, from, to);
    return fits;
}

/* Does it ask more of some class than it did? */
static bool asks_more(const struct pipeline *old, const struct pipeline *pipeline)
{
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        uint32_t class_id = pipeline->stages[at].class_id;
        if (quota_asked(pipeline, class_id) > quota_asked(old, class_id))
            return true;
    }
    return false;
}

/* It runs on, if it ran: only what is new of it may have to wait for a drain. */
static void settle(struct placement *placement, const struct redraw *redraw, bool runs,
                   int64_t now_s)
{
    phase_admitted(placement, redraw->id, true);
    placement->pipelines[redraw->id].view.ran = runs;
    if (phase_lacks(placement, redraw->id, true) != PLACE_NONE)
        admit_try(placement, redraw->id, now_s); /* a pod that it kept must be left */
    else
        phase_settle(placement, redraw->id, now_s);
}

static void take_over(struct placement *placement, const struct redraw *redraw, bool ran,
                      int64_t now_s)
{
    const struct pipeline *old = &placement->pipelines[redraw->old];
    uint32_t stage;
    enum place_reason reason = admit_refusal(placement, redraw->id, now_s, &stage);
    if (reason == PLACE_BEHIND && !asks_more(old, &placement->pipelines[redraw->id]))
        reason = PLACE_FITS; /* nobody is overtaken who was not behind it */
    if (reason == PLACE_FITS) {
        if (fits_beside(placement, redraw) && can_run(placement, redraw->id)) {
            settle(placement, redraw, ran, now_s);
            return;
        }
        state_undo(placement, 0);
        if (fits_within(placement, redraw)) {
            settle(placement, redraw, ran, now_s);
            return;
        }
        state_undo(placement, 0);
        if (fits_beside(placement, redraw)) { /* on pods that are to come */
            settle(placement, redraw, false, now_s);
            return;
        }
        state_undo(placement, 0);
    }
    clear(placement, redraw->old, true);
    admit_try(placement, redraw->id, now_s);
}

int placement_redraw(struct ctx *ctx, struct placement *placement, uint32_t old,
                     const struct place_pipeline *spec, const uint32_t *from, int64_t now_s)
{
    if (!state_pipeline(placement, old))
        return err_set(ctx, ERR_NOT_FOUND, NULL, "there is no pipeline %" PRIu32, old);
    TRY(admit_new(ctx, placement, spec));
    bool ran = placement->pipelines[old].view.ran, admitted = placement->pipelines[old].admitted;
    const struct redraw redraw = {old, spec->id, from};
    placement->journal_count = 0;
    phase_line(placement, old, PLACE_NONE, 0);
    phase_admitted(placement, old, false);
    if (admitted)
        take_over(placement, &redraw, ran, now_s);
    else
        admit_try(placement, spec->id, now_s);
    placement->journal_count = 0;
    return placement_remove(ctx, placement, old);
}
