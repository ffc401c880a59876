/*
 * publish: carries one row to its cell, whatever has to be done for that: place it, create or apply
 * its custom resource, revert drift, or (purge.c) end it. Many processes may do this for the same
 * row at the same time: every write is fenced by what was read (docs/architecture.md).
 */
#pragma once

#include "reconcilers/fleet/cells.h"
#include "reconcilers/fleet/resource.h"
#include "server/base/json.h"
#include "server/store/fleet.h"

struct ctx;
struct kek_ring;
struct pg_pool;

/* What one round knows. Rows and objects are read anew in each round. */
struct work {
    struct pg_pool *pool;
    struct cells *cells;
    const struct kek_ring *keks;
    const char *id;
    const struct published_kind *kind;
    json_t *row;
    struct cell *cell;
    json_t *live;      /* the custom resource, NULL = none */
    int64_t handled;   /* generation that was dealt with */
    int64_t published; /* generation that the cell has for sure, or 0 */
};

/* The generation that this round read; 0 = there is no row. */
static inline int64_t work_generation(const struct work *work)
{
    return json_int_or(work->row, "generation", 0);
}

/*
 * Does what is to be done for item->id and settles the outbox row: done, or due again later.
 * Never fails: what went wrong is logged (one line) and kept in the outbox row.
 */
void publish_item(struct ctx *ctx, struct pg_pool *pool, struct cells *cells,
                  const struct kek_ring *keks, const struct store_fleet_item *item);

/* For purge.c: -ERR_CONFLICT, upon which the round starts again by reading everything. */
int publish_again(struct ctx *ctx, const char *why);
/* Creates the custom resource of a row that has none; a registry's is fenced by its namespace. */
int publish_create(struct ctx *ctx, struct work *work);
/* Did anybody keep or begin to purge the registry's data? NULL = nothing is known of it. */
int publish_identity_state(struct ctx *ctx, const struct work *work, const char **ret_state);
