/*
 * layers: where each stage of a graph stands. A stage is in the column behind its last predecessor
 * (longest way from the entrance), and has a lane from there to the column before the last of its
 * next ones, so that a line over several columns crosses no box.
 */
#pragma once

#include "reconcilers/pipeline/graph/graph.h"

struct layers {
    uint32_t columns, rows; /* rows: of the fullest column */
    uint32_t column[PLACE_STAGES_MAX];
    uint32_t until[PLACE_STAGES_MAX]; /* column of the last of its next ones; its own without any */
    uint32_t filled[PLACE_STAGES_MAX];                /* by column: rows in it */
    uint32_t row[PLACE_STAGES_MAX][PLACE_STAGES_MAX]; /* of a stage's lane, by column */
};

/* Has the stage its box, or its lane, in that column? */
bool layers_has(const struct layers *layers, uint32_t stage, uint32_t column);

/* The graph has no cycle, and all its stages are reached from one. */
void layers_make(const struct graph *graph, struct layers *ret);
