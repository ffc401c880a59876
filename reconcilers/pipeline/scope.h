/* scope: what the files of this folder share: names, bindings as the ledger wants them, statuses.
 */
#pragma once

#include "reconcilers/pipeline/decide.h"
#include "reconcilers/pipeline/pipeline.h"

/* The ledger of each namespace. */
#define LEDGER_NAME "placement"

struct pipeline_operator {
    struct bundle *bundle; /* of a PipelineBinding */
};

/* What one pass of `placement` keeps. */
struct placer_scope {
    struct world world;
    json_t *bindings; /* of the namespace */
    bool settled;     /* routing is as the ledger says */
    struct decision decision;
    bool *taken; /* by pipeline of the world: an object of a binding's name is not ours */
};

extern const struct reconciler placement_reconciler, binding_reconciler;

/* What manifests/ may name: pure, so that a golden test can render without a cluster. */
json_t *binding_facts(struct ctx *ctx, const json_t *binding);

/* The ledger of the pass's namespace, if there is none yet. */
int ledger_make(struct ctx *ctx, struct pass *pass);

/* ---- bindings (bindings.c), pure but for the last ---- */

/* "<pipeline>-<stage>", or where that is too long or could be another's, its beginning and a hash.
 */
const char *binding_name(struct arena *arena, const char *pipeline, const char *stage);
/* What the PipelineBinding of a stage is to be: `row` is the ledger's of the stage. */
json_t *binding_wanted(struct arena *arena, const struct world *world,
                       const struct pipeline_wish *wish, const json_t *row);
/* Brings the PipelineBindings of the namespace to the decision. */
int bindings_apply(struct ctx *ctx, struct pass *pass);

/* ---- statuses (status.c), pure ---- */

/* The conditions and the phase of a Pipeline, in its status, which is changed in place. */
void pipeline_status(struct ctx *ctx, const struct world *world, uint32_t at,
                     const struct placer_scope *scope, json_t *status);
void class_status(const struct workers *workers, const struct place_class_view *view,
                  json_t *status);
