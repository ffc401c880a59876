/*
 * ask: carries a dry run to the cell that a creation would choose, and what the cell would do back
 * into its operation. The cell is only read. Many processes may ask the same: the answer that is
 * written first is the one.
 */
#pragma once

#include "reconcilers/fleet/cells.h"
#include "reconcilers/fleet/fleet.h"

struct ctx;
struct pg_pool;

/* An operation, not a row that is published. */
#define ASK_ID_PREFIX "op_"

enum {
    ASK_DEADLINE_MS = 8000,        /* one try; the question itself has 30 s (table `preview`) */
    ASK_PAUSE_MS = 10000,          /* a cell that did not answer holds up no other cell's */
    ASK_RESULT_BYTES = 128 * 1024, /* of an answer: 32 stages with 8 pods each, and their classes */
};

struct ask {
    struct pg_pool *pool;
    struct cells *cells;
    fleet_preview preview; /* what decides; NULL = this process answers nothing */
    const char *owner;     /* of the lease */
    const char *id;
};

/*
 * Ends the operation with the answer, or with the reason why there is none; or it is asked again
 * later, where that may help. Never fails, as publish_item().
 */
void ask_item(struct ctx *ctx, const struct ask *ask);
