/* scope: what the files of this folder share: names, bindings as the ledger wants them, statuses.
 */
#pragma once

#include "reconcilers/pipeline/decide.h"
#include "reconcilers/pipeline/pipeline.h"
#include "reconcilers/pipeline/requests.h"
#include "reconcilers/pipeline/routes.h"
#include "reconcilers/pipeline/weights.h"

/* The ledger of each namespace. */
#define LEDGER_NAME "placement"

/* Events wake the placement of a namespace at most so often. */
enum { PLACER_PACE_MS = 50 };
/* Of pods that are read live: eight times of what a cache keeps of a namespace. */
enum { PODS_MAX_BYTES = 32 << 20 };

struct pipeline_operator {
    struct bundle *bundle; /* of a PipelineBinding */
    struct requests *requests;
};

/* Bindings that Pipelines own, by the owner's uid and then by name. */
struct binding_row {
    const char *uid;
    const json_t *object, *entry; /* entry: of its pipeline in a ledger; NULL = none */
};

struct bindings {
    uint32_t count;
    struct binding_row *rows;
};

/* The objects of one namespace, as arrays. */
struct scene {
    const json_t *classes, *pods, *pipelines, *bindings;
    const json_t *ledger; /* its spec; NULL = there is none */
    /* Whose pods those of classes are, and who else scales; NULL = that is not looked at. */
    const json_t *stateful_sets, *worker_sets, *autoscalers;
    int64_t now_s;
};

/* What came of asking for the pods of a class. */
struct scale_outcome {
    const char *reason, *message; /* of condition Scaled; NULL = as asked for */
    bool asked;                   /* nobody refused: it waits */
};

/* What one pass of `placement` keeps. */
struct placer_scope {
    struct scene scene;
    struct world world;
    struct bindings bindings; /* of the namespace */
    struct decision decision;
    const char *refused;            /* why the ledger was not believed; NULL = it was */
    bool committed;                 /* the decision, and so what everything else is to be */
    struct scale_outcome *outcomes; /* by class of the world */
    struct refusals scale_refusals;
    bool *taken; /* by pipeline of the world: an object of a binding's name is not ours */
};

extern const struct reconciler placement_reconciler, binding_reconciler, workerset_reconciler;

/* A pod that a binding leads to. `left`: since when it carries nothing; NULL = it does. */
struct binding_pod {
    const char *name, *address, *left;
    bool ready;
};

/* Of what a binding becomes: its own objects, or those of one pod. */
struct binding_part {
    const char *name; /* NULL = the binding's */
    const struct binding_pod *pod;
    json_t *backends; /* of its HTTPRoute, taken; NULL = it has none */
};

/* What manifests/ may name: pure, so that a golden test can render without a cluster. */
json_t *binding_facts(struct ctx *ctx, const json_t *binding, const struct binding_part *part);
struct binding_pod binding_pod_of(const json_t *share);
/* A pod of the class of the pass's binding has that name and address. */
bool binding_has_pod(struct ctx *ctx, struct pass *pass, const struct binding_pod *wanted);

/* ---- a decision (scene.c), pure ---- */

/* The scene to the world, and the bindings by owner. */
void scene_look(struct ctx *ctx, struct placer_scope *scope);
/* Behind it: what the ledger says next. */
int scene_decide(struct ctx *ctx, struct placer_scope *scope);

/* ---- what is taken from pods (lost.c) ---- */

/* Pure: from one ledger to the next a pod that served, and does not as the world has it, carries
 * less. */
bool lost_takes(struct ctx *ctx, const struct world *world, const json_t *before,
                const json_t *after);
/* If the pass's decision does so: it is made anew with the pods that the server tells now. */
int lost_ask(struct ctx *ctx, struct pass *pass);

/* ---- who comes back (misled.c) ---- */

/* Pure: the pods, as "<name> <address>", to which something leads beyond what the ledger lets them
 * serve. Behind bindings_settled(). */
struct pod_names misled_pods(struct ctx *ctx, const struct bindings *bindings,
                             const struct routes *routes);
/* Such pods that are new to the ledger, or were lost, stay out of the world as if they started: for
 * UNSETTLED_S_MAX at most, by when they became ready. */
int misled_hold(struct ctx *ctx, struct pass *pass);

/* What is asked of the server before the pass's world is believed; behind each scene_look(). */
int placer_verify(struct ctx *ctx, struct pass *pass);
/* The ledger of the pass's namespace, if there is none yet. */
int placer_ledger_make(struct ctx *ctx, struct pass *pass);
/* A Pipeline of the pass's namespace as the server has it now; NULL = the one of that uid went. */
int placer_pipeline_live(struct ctx *ctx, struct pass *pass, const char *name, const char *uid,
                         json_t **ret);

/* 0 also for what the server refuses one object; what would meet all the others is returned. */
int refusals_note(struct ctx *ctx, struct refusals *refusals, int rc);
/* The first refusal, or 0. */
int refusals_end(struct ctx *ctx, const struct refusals *refusals);

/* ---- bindings (bindings.c), pure but for the last two ---- */

/* `list`: an array of PipelineBindings. */
void bindings_index(struct arena *arena, const json_t *list, struct bindings *ret);
/* Those of one owner. */
struct binding_row *bindings_of(const struct bindings *bindings, const char *uid,
                                uint32_t *ret_count);
/* Each is routed as it says, and none gives a pod more than the ledger does. One of a pipeline that
 * went leads somewhere as long as it is there. */
bool bindings_settled(struct bindings *bindings, const json_t *ledger);
/* Behind that: what its ledger lets a pod serve of the binding's stage, in milli-documents. */
int64_t binding_lets(const struct binding_row *binding, const char *pod);
/* One of the binding's shares is more than that. */
bool binding_exceeds(const struct binding_row *binding, const json_t *share);

/* "<pipeline>-<stage>", or where that is too long or could be another's, its beginning and a hash.
 */
const char *binding_name(struct arena *arena, const char *pipeline, const char *stage);
/* What the PipelineBinding of a stage is to be: `row` is the ledger's of the stage. */
json_t *binding_wanted(struct arena *arena, const struct world *world,
                       const struct pipeline_wish *wish, const json_t *row);
/* By the ledger's row of a stage: some worker of it serves. */
bool binding_serves(const struct world *world, const json_t *row);
/* It is as it is to be, and its route as well. */
bool binding_is_routed(struct arena *arena, const struct world *world,
                       const struct pipeline_wish *wish, const json_t *row, const json_t *binding);
/* Brings the PipelineBindings of the namespace to the decision. */
int bindings_apply(struct ctx *ctx, struct pass *pass);
/* Nothing could be decided: they show what their pods are, and lose those that are gone. */
int bindings_follow_pods(struct ctx *ctx, struct pass *pass);

/* ---- how many pods there are (scale.c, scale_ask.c); the first is pure ---- */

/* "StatefulSet" or "WorkerSet". */
const char *scale_kind(const struct scaling *scaling);
/* Who is scaled by us, what bindings lead to, and which pods are not asked for. */
void scale_look(struct ctx *ctx, struct placer_scope *scope);
/* Of pods that are new to the ledger only those stay in the world that were seen alive live. */
int scale_verify(struct ctx *ctx, struct pass *pass);
/* Asks for what was committed. */
int scale_ask(struct ctx *ctx, struct pass *pass);
/* Pods that are marked to go may, where nothing is or leads there (release.c). */
int release_pods(struct ctx *ctx, struct pass *pass);
/* At the end of a pass: the first refusal. */
int scale_end(struct ctx *ctx, struct pass *pass);
/* `at`: of a class of the world; its status is changed in place. */
void scale_status(struct ctx *ctx, struct pass *pass, uint32_t at, json_t *status);

/* ---- statuses (tell.c writes them; status.c and stages.c are pure) ---- */

/* Those of pipelines, and those of classes, of which the load is written every 5 s at most. */
int tell_all(struct ctx *ctx, struct pass *pass);

/* Of milli-documents; a part counts as a whole one. */
int64_t documents(int64_t milli);

/* The conditions and the phase of a Pipeline, in its status, which is changed in place. */
void pipeline_status(struct ctx *ctx, const struct world *world, uint32_t at,
                     const struct placer_scope *scope, json_t *status);
/* Its `stages`: none where it is not drawn well, or nothing was decided about it. */
void stages_status(struct ctx *ctx, const struct world *world, uint32_t at,
                   const struct decision *decision, json_t *status);
/* Which stage serves less than the pipeline's minimum, in numbers; NULL = none. */
const char *stages_below(struct ctx *ctx, const struct world *world, uint32_t at,
                         const struct decision *decision);
void class_status(struct ctx *ctx, const struct workers *workers,
                  const struct place_class_view *view, const struct class_note *note,
                  json_t *status);
