/*
 * collect: brings statuses back. At most one batch per cell and tick goes into the database as one
 * statement, under the epoch of our lease on the cell; what is equal is not written. On the way it
 * compares each custom resource with its row and asks for a publish where they differ.
 */
#pragma once

#include "reconcilers/fleet/cells.h"

struct ctx;
struct pg_pool;

enum { COLLECT_TICK_MS = 200, COLLECT_BATCH = 500 };

/* One batch of one cell, if its lease is ours and its cache is complete. A failure is in ctx->err;
 * what was not written comes again. */
int collect_cell(struct ctx *ctx, struct pg_pool *pool, const char *owner, struct cell *cell);

/* Takes or renews the leases of all cells; a cell that is newly ours is scanned as a whole. */
int collect_lease(struct ctx *ctx, struct pg_pool *pool, const char *owner, int duration_ms,
                  bool force, struct cells *cells);
/* Forgets the leases: they may have run out. */
void collect_drop(struct cells *cells);
