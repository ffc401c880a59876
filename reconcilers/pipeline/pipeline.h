/*
 * The operator of pipelines: five reconcilers. `placement` decides for a whole namespace at once
 * and is the only one that changes a PlacementLedger; `pipelinebinding` routes one stage;
 * `pipeline` and `workerclass` see to it that their namespace has a ledger; `workerset` makes and
 * removes the pods of a WorkerSet.
 */
#pragma once

#include "reconcilers/engine/engine.h"

enum { PIPELINE_RECONCILERS = 5 };
extern const struct reconciler *const pipeline_reconcilers[PIPELINE_RECONCILERS];

struct pipeline_operator;

/* The engine, which outlives it but for its workers, is asked whose shards are ours. */
int pipeline_operator_new(struct ctx *ctx, struct engine *engine, struct pipeline_operator **ret);
void pipeline_operator_free(struct pipeline_operator *home);
