/* fit: how a stage is fitted onto pods. Only choose.c, fit.c and zones.c see it. */
#pragma once

#include "reconcilers/pipeline/placement/state.h"

/* What is looked for: room for so much on at most `split` pods; equal parts: on `least` at least.
 */
struct want {
    int64_t milli;
    uint32_t split, least;
};

/* What a choice found: pods in the order of choice. */
struct choice {
    uint32_t count;
    uint32_t pods[PLACE_SPLIT_MAX];
    int64_t milli[PLACE_SPLIT_MAX];
};

/* choose.c: pods on the shelves of `mask`. */
bool choose(const struct class *class, uint32_t mask, const struct want *want, struct choice *ret);
uint32_t choose_ceiling(const struct class *class, uint32_t mask, int64_t room, uint32_t ordinal);

/* fit.c, zones.c: true when the stage has got what was asked for, in milli; each leaves everything
 * as it was when it returns false. `zone`: PLACE_NONE = any. */
/* How far is looked: pods that serve, those to come, those that can be asked for; while
 * placement->serving not beyond the first. */
enum reach { REACH_READY, REACH_COMING, REACH_PLANNED };
/* Shares of so much; the stage's own pods may be among those that get them. */
bool fit_place(struct placement *placement, uint32_t id, uint32_t stage, uint32_t zone,
               const struct want *want, enum reach reach);
/* `lacks` more on its own pods (in `zone`) and beside them. */
bool fit_beside(struct placement *placement, uint32_t id, uint32_t stage, uint32_t zone,
                int64_t lacks, enum reach reach);
/* One pod more, if that keeps the parts equal: what a lost one leaves behind. */
bool fit_one_more(struct placement *placement, uint32_t id, uint32_t stage, uint32_t zone,
                  enum reach reach);
/* What the stage lacks, beside what it has, or if it has nothing, anywhere. */
bool fit_rest(struct placement *placement, uint32_t id, uint32_t stage);
uint32_t fit_share_count(const struct placement *placement, const struct stage *stage);
/* The whole stage, which has nothing yet, in even parts in spec.zones_min zones. */
bool zones_place(struct placement *placement, uint32_t id, uint32_t stage);
/* What it lacks: what each zone lacks of its part, and parts in zones where it has nothing. */
bool zones_more(struct placement *placement, uint32_t id, uint32_t stage);
/* Equal parts: one pod more where a lost one leaves a zone with fewer than the others have. */
bool zones_one_more(struct placement *placement, uint32_t id, uint32_t stage);
/* In enough zones, with as many pods in each. */
bool zones_are_even(const struct placement *placement, const struct stage *stage);
/* The zone that has most beyond its part, *ret_over of it; PLACE_NONE and 0 = none has more. */
uint32_t zones_fullest(const struct placement *placement, const struct stage *stage,
                       int64_t *ret_over);
