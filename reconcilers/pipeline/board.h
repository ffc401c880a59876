/*
 * board: one decision at work, shared by decide.c (what happens) and ledger.c (read and written).
 * Classes and pipelines have their place in an array as the engine's id.
 */
#pragma once

#include "reconcilers/pipeline/decide.h"
#include "reconcilers/pipeline/placement/placement.h"

struct board_class {
    const char *name;
    const struct workers *workers; /* NULL = the WorkerClass is gone */
    const json_t *kept;            /* its entry of the ledger; NULL = new */
    uint32_t zone_count;
    const char *zones[PLACE_ZONES_MAX]; /* by the engine's number */
    const char *kept_zones; /* a digit for each ordinal; "" when the class did not mind */
    const char *kept_pods;  /* a letter for each ordinal; "" when new */
    int64_t compacted_s;    /* when something was last moved to lower pods; 0 = never */
    uint32_t kept_count;    /* ordinals of which the ledger speaks, planned ones among them */
};

struct board_stage {
    const char *name;
    uint32_t class_id;
    int64_t rate;
};

struct board_pipeline {
    const char *name, *uid, *tenant;
    uint64_t age;
    int32_t priority;
    uint32_t stage_count;
    struct board_stage stages[PLACE_STAGES_MAX];
    const struct pipeline_wish *wish; /* NULL = gone, no longer valid, or drawn anew */
    bool refused, taken_out;
    struct place_view refusal;
};

struct board {
    struct ctx *ctx;
    const struct world *world;
    struct placement *placement;
    uint32_t class_count, pipeline_count;
    struct board_class *classes;
    struct board_pipeline *pipelines;
    uint32_t *class_of_world; /* by class of the world: its place here */
    bool *stays;              /* by pipeline of the world: it is here already */
    uint32_t *redraws;        /* by pipeline of the world: who is here is drawn otherwise */
    size_t tenant_count;      /* whom quotas name, in order; the engine's number is one more */
    const char **tenants;
    size_t owner_count; /* other tenants that have pipelines, in order, with the numbers behind */
    const char **owners;
    uint64_t next_age;
    bool settled; /* routing is as the ledger was: what leaves has as long as it takes to drain */
};

/* believe.c: -ERR_INVALID names the first number that cannot be; `name` is that of the value, NULL
 * at the top. */
int ledger_check(struct ctx *ctx, const json_t *ledger, const char *name, int64_t now_s);
/* The same where a ledger says which pods it asks for, and places something on others. */
int ledger_check_asked(struct ctx *ctx, const json_t *ledger);
/* zones.c. Does the class mind in which zones its pods are? */
bool zones_matter(const struct board_class *class);
int zones_read(struct board *board, struct board_class *class);
/* The number of a pod's zone: now, and as the ledger has it. */
uint32_t zone_now(struct board_class *class, const struct worker *worker,
                  const struct place_pod *known);
uint32_t zone_kept(struct board_class *class, uint32_t ordinal);
/* Into the ledger's entry of the class, of its first `pods` pods. */
void zones_write(const struct board *board, uint32_t class_id, uint32_t pods, json_t *ret);
void zones_note(const struct board *board, uint32_t class_id, struct class_note *note);
/* tenants.c: numbers those whom quotas name, then those who have pipelines; `kept`: a ledger's. */
void tenants_read(struct board *board, const json_t *kept);
/* The engine's number of a tenant; 0 = nobody. The engine knows PLACE_TENANTS_MAX - 2 of them:
 * those behind that a quota names are one to it, which may use nothing of a class that names any;
 * the others are nobody. */
uint32_t tenant_number(const struct board *board, const char *name);
/* What tenants may use of a class, to the engine. */
int tenants_limit(struct board *board, uint32_t class_id);
/* What a pipeline's tenant may use of the class of a stage; false: as much as there is. */
bool tenant_quota(const struct board *board, const struct board_pipeline *pipeline, uint32_t stage,
                  struct place_quota *ret_limit);
/* compaction.c: moves what may move, and notes of each class why no more. */
int compact(struct board *board, struct decision *decision);
/* ledger.c: the board as a ledger left it; its classes and pipelines are in the engine. */
int ledger_read(struct board *board, const json_t *ledger);
/* When what is leaving a pod has left, in the world's time: it drains from when the board is
 * settled for the first time, which UNSETTLED_S_MAX bounds. `leaving` is its entry. */
int64_t ledger_until(const struct board *board, uint32_t class_id, const json_t *leaving);
/* The board as a ledger, in the arena, but for `decision` and `time`. */
json_t *ledger_write(struct board *board);
/* Of a new class, or one that changed: tells the engine. */
int board_class_set(struct board *board, uint32_t class_id);
