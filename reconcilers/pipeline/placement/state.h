/* state: what the placement keeps, by index, so that a copy is a copy. For this room alone. */
#pragma once

#include "reconcilers/pipeline/placement/placement.h"
#include "reconcilers/pipeline/placement/shelf.h"

#include <stddef.h>

/* A class's shelves: per zone, pods that serve or are to come, in use or idle. A set of shelves is
 * a mask. */
enum { SHELF_IDLE = 1, SHELF_COMING = 2, SHELVES_PER_ZONE = 4, SHELVES = 32 };
#define SHELVES_ALL UINT32_C(0xffffffff)
#define SHELVES_READY UINT32_C(0x33333333)
#define SHELVES_OPEN UINT32_C(0x55555555) /* in use already */
#define SHELVES_ZONE(zone) (UINT32_C(0xf) << ((zone)*SHELVES_PER_ZONE))

struct pod {
    int64_t capacity, used, leaving; /* used <= capacity, always */
    uint32_t shares;                 /* the first one */
    uint32_t zone;
    enum pod_state state;
    uint8_t shelf; /* SHELVES = on none: no room, or not to be used */
};

struct share {
    int64_t milli;
    uint32_t pipeline, stage, class_id, pod;
    uint32_t pod_next, pod_previous, stage_next; /* a stage's by ordinal, a pod's in no order */
    int64_t held;                                /* of milli: not to be served yet */
};

struct class
{
    struct place_class spec;
    struct pod *pods; /* pods_size of each */
    struct shelf_node *nodes;
    uint32_t pods_size, ready, coming, planned;
    uint32_t roots[SHELVES];
    uint32_t shelves; /* mask of those that are not empty */
    int64_t free;     /* on pods that serve */
    int64_t used;
    uint32_t absent;   /* no pod below is absent */
    uint32_t lines[2]; /* stages that stand in line, in no order: see pipeline.lined; [1] of those
                          who hold room */
    int64_t refused;   /* for a stage of so much no pod that serves has room: sooner_look() */
};

struct stage {
    uint32_t class_id, shares;
    uint32_t line_next, line_previous; /* see class.lines: pipeline * PLACE_STAGES_MAX + stage */
    int64_t rate, placed;
};

struct pipeline {
    struct stage *stages; /* NULL = no such pipeline */
    uint32_t stage_count, tenant;
    int32_t priority;
    bool admitted;
    bool lined_holding; /* in which of its classes' lines it stands */
    uint64_t age;
    struct place_view view;
    uint32_t lined; /* mask of the stages that wait for room of their class: of one that waits
                       view.stage, else those that lack something, or a pod */
    uint32_t next_changed; /* the next one's id + 1; its own = last; 0 = not listed */
};

struct quota {
    struct place_quota may;
    int64_t used; /* what pipelines of the tenant that hold room have there */
};

struct tenant {
    int64_t dominant; /* its largest part of any class, in 4096ths; -1 = to be summed up anew */
    struct quota quotas[PLACE_CLASSES_MAX];
};

/* One change of one share: what undoes it. */
struct change {
    uint32_t pipeline, stage, pod;
    int64_t milli, held, leaving;
};

struct placement {
    struct class *classes[PLACE_CLASSES_MAX];
    struct tenant *tenants[PLACE_TENANTS_MAX]; /* NULL = not seen */
    struct pipeline *pipelines;
    struct share *shares;
    struct change *journal; /* of the decision at hand */
    uint32_t pipelines_size, shares_size, share_free, journal_size, journal_count;
    uint32_t changed_first, changed_last;
    bool holding;   /* what is added now waits until victims have drained */
    bool serving;   /* what is placed now comes on pods that serve, or nowhere */
    bool news;      /* others are due, or not any more, than when the tick at hand looked last */
    uint32_t work;  /* shares that preemption changed on trial, and stages, since the last tick */
    bool postponed; /* the try at hand had to do without preemption: that is spent */
    bool behind;    /* placement_is_behind() */
};

/* state.c */
struct pipeline *state_pipeline(const struct placement *placement,
                                uint32_t id); /* NULL = unknown */
bool pod_serves(const struct pod *pod);
/* The stage's share on a pod; PLACE_NONE = none. */
uint32_t state_share(const struct placement *placement, const struct stage *stage, uint32_t pod);
/* What may be added; 0 where nothing may. */
int64_t pod_room(const struct pod *pod);
/* Puts the pod on the shelf where it belongs, after anything that this depends on. */
void state_shelve(struct class *class, uint32_t pod);
void state_pod(struct class *class, uint32_t pod, enum pod_state state, uint32_t zone,
               int64_t capacity);
/* The lowest pod that is not there, and would come in `zone` (PLACE_NONE = any), planned;
 * PLACE_NONE = the class may have no more. */
uint32_t state_plan(struct class *class, uint32_t zone);
void state_add(struct placement *placement, uint32_t id, uint32_t stage, uint32_t pod,
               int64_t milli);
/* Takes `milli` of a share away; `leaves`: what served is charged until it has drained. */
void state_take(struct placement *placement, uint32_t share, int64_t milli, bool leaves);
void state_clear(struct placement *placement, uint32_t id, uint32_t stage, bool leaves);
/* The journal: undoes all changes of shares since `mark`, a former journal_count. */
void state_undo(struct placement *placement, uint32_t mark);

/* memory.c */
void *memory_new(size_t count, size_t bytes);
void memory_grow_shares(struct placement *placement);
void memory_grow_journal(struct placement *placement);
void memory_grow_pipelines(struct placement *placement, uint32_t id);
void memory_grow_pods(struct class *class, uint32_t count);

/* phase.c */
/* The phase anew from the shares; a stage that lacks something keeps reason and retry. */
void phase_settle(struct placement *placement, uint32_t id, int64_t now_s);
/* The first stage that lacks a part, or, with `drains`, must leave a pod; PLACE_NONE = none. */
uint32_t phase_lacks(const struct placement *placement, uint32_t id, bool drains);
/* How it is seen when a try just failed: what it lacks of which stage, why, when it is tried again.
 */
struct place_view phase_lacking(const struct placement *placement, uint32_t id, uint32_t stage,
                                enum place_reason reason, int64_t now_s);
/* Refused for good, as things are. */
bool phase_never(enum place_reason reason);
/* Makes it so: phase_lacking(). */
void phase_wait(struct placement *placement, uint32_t id, uint32_t stage, enum place_reason reason,
                int64_t now_s);
void phase_admitted(struct placement *placement, uint32_t id, bool admitted);
void phase_changed(struct placement *placement, uint32_t id);
/* view.stage; the stages that stand in the lines of their classes, as a mask. */
void phase_line(struct placement *placement, uint32_t id, uint32_t stage, uint32_t lined);
/* The stages that would stand in line as things are. */
uint32_t phase_lacking_all(const struct placement *placement, uint32_t id);
/* There is more room in the class, or leave to use it: who lacks some, or waits for pods, is due.
 */
void phase_room(struct placement *placement, const struct class *class);
/* Has it waited so long for room that its equals do not overtake it? */
bool phase_holds(const struct place_view *view, int64_t now_s);
/* The first of those there; PLACE_NONE = none. */
uint32_t phase_first(const struct placement *placement, const struct class *class, int64_t now_s);

/* fit.c: each leaves everything as it was when it returns false. */
/* What the stage lacks: in place, beside its shares, or the stage anew. */
bool fit_stage(struct placement *placement, uint32_t id, uint32_t stage);
/* More than its rate is placed: shrinks. */
void fit_shrink(struct placement *placement, uint32_t id, uint32_t stage);
/* All stages, large ones first; returns the first that does not fit, PLACE_NONE = all do. */
uint32_t fit_all(struct placement *placement, uint32_t id);
/* Best fit among the pods that do not carry the stage already. */
uint32_t fit_other_pod(const struct placement *placement, const struct stage *stage, uint32_t mask,
                       int64_t milli);
/* `fit` for each stage, large ones first, until one returns false: that one, PLACE_NONE = none. */
uint32_t fit_each_of(struct placement *placement, uint32_t id,
                     bool (*fit)(struct placement *, uint32_t id, uint32_t stage));
/* A share elsewhere, off its pod; what served there leaves when the new one serves. */
bool fit_move(struct placement *placement, uint32_t share);

/* admit.c: a pipeline without shares, checked; nothing is decided about it yet. */
int admit_new(struct ctx *ctx, struct placement *placement, const struct place_pipeline *spec);
/* The reason for which it is not even tried; PLACE_FITS = none. */
enum place_reason admit_refusal(const struct placement *placement, uint32_t id, int64_t now_s,
                                uint32_t *ret_stage);
/* The pipeline that waits, or lacks something, once more. */
void admit_try(struct placement *placement, uint32_t id, int64_t now_s);
/* The one that has its place, and waits for pods, once more. */
void admit_sooner(struct placement *placement, uint32_t id, int64_t now_s);
/* sooner.c: what is reserved on pods to come goes to pods that serve: of one that never ran all of
 * it or nothing, else what fits of each stage, whole. True: something went. */
bool sooner(struct placement *placement, uint32_t id);
/* May there be room for that? Not where a stage that asked for no more was refused since
 * sooner_look(), behind which there is only less room. */
bool sooner_may(const struct placement *placement, uint32_t id);
void sooner_look(struct placement *placement);

/* pods.c: the pipelines on a pod, those to be served first in front; each once. To be freed. */
uint32_t *pods_pipelines(struct placement *placement, const struct pod *pod, uint32_t *ret_count);
/* preempt.c: makes room by taking it from pipelines of lower priority, and from those of tenants
 * that have borrowed it. False: that does not help, or it borrows itself, or placement->postponed.
 */
bool preempt(struct placement *placement, uint32_t id, int64_t now_s);

/* What changes [from, to) of the journal took leaves its pods from now on; what came in its place
 * waits where that would be too much. */
void preempt_charge(struct placement *placement, uint32_t id, uint32_t from, uint32_t to);
