/*
 * placement: which pods carry how much of each stage of each pipeline. Pure: no I/O, no clock, no
 * randomness; the result depends on the calls alone, in their order. Not thread-safe: one owner at
 * a time.
 *
 * Units: rates and capacities are milli-documents per second; times are seconds of the caller's
 * choice, given to each call that needs them and never decreasing. Ids are the caller's: small
 * numbers, kept in its ledger. An ordinal is a pod's place in its class (a StatefulSet's, or a
 * WorkerSet's slot).
 *
 * Guarantees, each with its reason (tests/prove pipeline-properties tries them):
 *  - No pod is over its capacity: the shares without what is `held`, plus what is leaving, never
 * exceed it; but for a pod that becomes smaller while it empties.
 *  - Weighted: with arrivals only, equal capacities c and the split limit not reached, ceil(R/c)
 * pods carry rates of sum R: a pod is opened only if the open ones lack room, and no more than
 * needed (McNaughton's wrap-around, 1959).
 *  - Equal: k pods take r iff the k-th largest free capacity is at least ceil(r/k); all k are
 * tried, so a refusal means free_(k) < r/k for each k: less than r*H_m (harmonic number) is free in
 * total.
 *  - Whole: best fit, asymptotically at most 1.7 times the optimum (Johnson, Demers, Ullman, Garey,
 * Graham 1974).
 *  - Zones: each stage that is placed whole has the same in each zone, a milli more or less; with
 * equal parts as many pods in each (a Service knows of no zones). What was placed while the class
 * asked for fewer zones stays until it must move; a rate that falls while a stage lacks a part
 * takes from what serves no more than that.
 *  - Losing a pod moves its own shares and nothing else, unless a stage cannot otherwise be whole
 * again.
 *  - Admission is one step over all stages: nothing is held while waiting, so no two pipelines wait
 * for each other (Coffman's hold-and-wait, 1971, cannot occur). What waits has a reason, numbers
 * and a time of its next try.
 *  - Who is reserved on pods to come is due when the class has room on pods that serve, and has it
 * then: all stages at once if it never ran. What it had reserved is room for others.
 */
#pragma once

#include "reconcilers/pipeline/placement/facts.h"

struct ctx;
struct placement;

struct placement *placement_new(void);
void placement_free(struct placement *placement);
/* The same state, to try a change on: what it decides is what the original would. O(everything). */
struct placement *placement_copy(const struct placement *placement);

/*
 * Creates a class or changes it for decisions to come; placed shares stay. -ERR_INVALID names the
 * limit. A lower pods_max stops growth; pods beyond it are emptied by draining them.
 */
int placement_class_set(struct ctx *ctx, struct placement *placement, uint32_t class_id,
                        const struct place_class *spec);

/*
 * What all pipelines of the tenant together may use of the class. Without a call: no limit, and
 * nothing is lent. Who borrows displaces nobody; who asks for no more than is its own displaces
 * pipelines of those who have borrowed, whatever their priority, until they have no more than is
 * theirs. A smaller quota takes nothing from who runs, unless it allows to borrow.
 */
int placement_quota_set(struct ctx *ctx, struct placement *placement, uint32_t tenant,
                        uint32_t class_id, const struct place_quota *quota);

/*
 * What became of a pod. Lost: its shares are placed anew, by priority and age. Draining: the same,
 * while it serves on (make before break). A pod that comes smaller than what is placed on it, or in
 * another zone of a class that minds, counts as lost and then as new. O(shares of the pod * log
 * pods).
 */
int placement_pod_set(struct ctx *ctx, struct placement *placement, const struct place_pod *pod,
                      int64_t now_s);

/* What left the pod (in milli, at most what is leaving) serves no more; its room is free again. */
int placement_drained(struct ctx *ctx, struct placement *placement, uint32_t class_id,
                      uint32_t ordinal, int64_t milli, int64_t now_s);

/*
 * A new pipeline: placed, reserved, waiting or rejected as a whole; placement_look() tells.
 * -ERR_ALREADY_EXISTS for an id in use, -ERR_INVALID with the limit's name. O(stages * (split * log
 * pods + who waits for the class)), without preemption.
 */
int placement_admit(struct ctx *ctx, struct placement *placement, const struct place_pipeline *spec,
                    int64_t now_s);

/*
 * Other rates for the same stages. Lower: shrinks where it is. Higher: grows on its pods, then
 * beside them, then places that stage anew; other stages stay. If one does not fit, nothing
 * changes, the old rates go on, *ret_refusal tells why, and the caller asks again. `rates` has the
 * pipeline's count of stages.
 */
int placement_rates_set(struct ctx *ctx, struct placement *placement, uint32_t id,
                        const int64_t *rates, int64_t now_s, struct place_view *ret_refusal,
                        bool *ret_done);

/*
 * The pipeline `spec` in the place of `old`, which is taken out: other stages, another priority.
 * from[stage]: the old stage that it still is (same class), PLACE_NONE = it is new. Stages that
 * stay keep their shares; the others are placed beside what the old ones had, or else where those
 * were, once they have drained, or else on pods to come; or it waits as a new one, and all leaves.
 * Errors as of placement_admit(), -ERR_NOT_FOUND without `old`.
 */
int placement_redraw(struct ctx *ctx, struct placement *placement, uint32_t old,
                     const struct place_pipeline *spec, const uint32_t *from, int64_t now_s);

/* Takes the pipeline out; its shares leave their pods. */
int placement_remove(struct ctx *ctx, struct placement *placement, uint32_t id);

/*
 * Time passes: reservations beyond their deadline are given back, up to PLACE_WAKE_MAX pipelines
 * that wait, or are reserved, are tried: repairs first, then by priority, their tenant's dominant
 * share (Ghodsi et al., NSDI 2011), age. Returns how many were tried.
 */
uint32_t placement_tick(struct placement *placement, int64_t now_s);
/* The last tick ended at PLACE_WAKE_MAX or PLACE_WORK_MAX: who is still due is the next one's. */
bool placement_is_behind(const struct placement *placement);

/*
 * Moves whole pods' loads from the highest ordinals into room at lower ones, at most `budget` milli
 * in this call; the old shares leave after the new ones serve. Pods below `keep` stay as they are.
 * *ret_moved: what was moved.
 */
int placement_compact(struct ctx *ctx, struct placement *placement, uint32_t class_id,
                      uint32_t keep, int64_t budget, int64_t now_s, int64_t *ret_moved);

struct place_view placement_look(const struct placement *placement, uint32_t id);
/* Up to PLACE_SPLIT_MAX shares of a stage by ordinal; returns how many. */
uint32_t placement_shares(const struct placement *placement, uint32_t id, uint32_t stage,
                          struct place_share shares[PLACE_SPLIT_MAX]);
/* What is free, in milli, on pods of the class that serve. */
int64_t placement_room(const struct placement *placement, uint32_t class_id);
/* O(pipelines + pods): once for each class at the end of a decision, not for each pod. */
struct place_class_view placement_class_look(const struct placement *placement, uint32_t class_id);
/* State, zone, capacity; `*ret_used` shares, `*ret_leaving` what has not drained yet. */
struct place_pod placement_pod_look(const struct placement *placement, uint32_t class_id,
                                    uint32_t ordinal, int64_t *ret_used, int64_t *ret_leaving);
/* The next pipeline whose shares or phase changed, once each, in order; PLACE_NONE when there is no
 * more. */
uint32_t placement_next_changed(struct placement *placement);

/*
 * From a ledger into a placement that has its classes: first the pods that exist (starting, ready
 * or draining, with what is leaving them), then the pipelines, each with its shares and what was
 * seen of it. A share on a pod that was not restored is a reservation. Nothing is decided: the
 * calls that follow decide as they would have in the placement that was written down. -ERR_INVALID
 * when a ledger says what cannot be; the placement is of no use then.
 */
int placement_pod_restore(struct ctx *ctx, struct placement *placement, const struct place_pod *pod,
                          int64_t leaving);
int placement_restore(struct ctx *ctx, struct placement *placement,
                      const struct place_pipeline *spec, const struct place_kept *kept);

/* "WaitingForScale" and the like; never NULL. */
const char *place_reason_word(enum place_reason reason);
