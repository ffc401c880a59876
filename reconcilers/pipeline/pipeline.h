/*
 * The operator of pipelines: three reconcilers. `placement` decides for a whole namespace at once
 * and is the only one that changes a PlacementLedger; `pipelinebinding` routes one stage;
 * `pipeline` sees to it that its namespace has a ledger, and tells events.
 */
#pragma once

#include "reconcilers/engine/engine.h"

enum { PIPELINE_RECONCILERS = 3 };
extern const struct reconciler *const pipeline_reconcilers[PIPELINE_RECONCILERS];

struct pipeline_operator;

/* The engine, which outlives it but for its workers, is asked whose shards are ours. */
int pipeline_operator_new(struct ctx *ctx, struct engine *engine, struct pipeline_operator **ret);
void pipeline_operator_free(struct pipeline_operator *home);
