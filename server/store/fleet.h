/*
 * The fleet's statements: one function per sql/queries/fleet_*.sql, each one round trip and one
 * transaction, each surrounded by its failpoints. Rows come back as one JSON document each, built
 * by the statement. All run as the role flotilla_fleet, which sees every tenant.
 *
 * Each write is guarded by what its caller read (generation, outbox version, lease epoch) and tells
 * by *ret_changed whether it still held; false means: somebody else was first, read again.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct pg_pool;

/* A taken outbox row: its lease is `owner`'s. */
struct store_fleet_item {
    const char *id;
    const char *owner;
    int64_t generation; /* as it was when it was taken */
};

/* Cells: array of {name, kubeconfig, state, capacity, used, elsewhere}, the last two as they are
 * for the resource `id`, NULL = a registry. */
int store_fleet_cells(struct ctx *ctx, struct pg_pool *pool, const char *id, json_t **ret);
/* Takes or renews `cells` (array of names) for `owner`; `force`: also from a holder that is alive.
 * Array of {cell, epoch} of those that are now held. */
int store_fleet_lease(struct ctx *ctx, struct pg_pool *pool, const json_t *cells, const char *owner,
                      int duration_ms, bool force, json_t **ret);

/* What to take: rows of `full` cells (array of names) and rows in `busy` (array of ids) are left;
 * `force` takes also what another owner has leased. */
struct store_fleet_take {
    const char *owner;
    int limit;
    int lease_ms;
    bool force;
    const json_t *full;
    const json_t *busy;
};

/* Array of {id, generation, cell}. */
int store_fleet_outbox_take(struct ctx *ctx, struct pg_pool *pool,
                            const struct store_fleet_take *take, json_t **ret);
/* Dealt with up to `handled`: forgets the outbox row unless it is newer or its lease was revoked.
 * `published` > 0 is recorded, and operations up to it become running. */
int store_fleet_outbox_done(struct ctx *ctx, struct pg_pool *pool,
                            const struct store_fleet_item *item, int64_t handled,
                            int64_t published);

/* Not now: due again after a back-off with full jitter. failed > 0 also fails the operations up to
 * that generation: the same input will never do. published as in store_fleet_outbox_done(). */
struct store_fleet_retry {
    int at_least_ms;
    int at_most_ms;
    const char *reason;
    const char *message;
    int64_t failed;
    int64_t published;
};
int store_fleet_outbox_retry(struct ctx *ctx, struct pg_pool *pool,
                             const struct store_fleet_item *item,
                             const struct store_fleet_retry *retry);
/* Puts work into the outbox for `ids` that have none there; who works on one of `urgent`, a subset,
 * loses his lease, so that what just happened in the cell is looked at once more. */
int store_fleet_enqueue(struct ctx *ctx, struct pg_pool *pool, const json_t *ids,
                        const json_t *urgent);
/* The same for rows whose grace period has passed. *ret_depth: rows that wait now; *ret_expired:
 * dry runs that ended because nobody answered, and of which there is no other error. */
int store_fleet_sweep(struct ctx *ctx, struct pg_pool *pool, int64_t *ret_depth,
                      int64_t *ret_expired);

/* Rows as resource.h describes them: those of `ids`, or with NULL all behind `after_id`; at most
 * 1000, by id. */
int store_fleet_rows(struct ctx *ctx, struct pg_pool *pool, const json_t *ids, const char *after_id,
                     json_t **ret);
/* The one row, or NULL. Again: once more, after something was made in the cell that a purge of the
 * row in between would not have seen. */
int store_fleet_row(struct ctx *ctx, struct pg_pool *pool, const char *id, json_t **ret);
int store_fleet_row_again(struct ctx *ctx, struct pg_pool *pool, const char *id, json_t **ret);
/* Array of {id, namespace, name}: published, living rows of a cell, at most 1000, by id. */
int store_fleet_cell_rows(struct ctx *ctx, struct pg_pool *pool, const char *cell,
                          const char *after_id, json_t **ret);

/* The row goes to `cell`, unless it has one or the cell is full: placements of one cell come one
 * after the other. */
int store_fleet_place(struct ctx *ctx, struct pg_pool *pool, const char *id, const char *cell,
                      const json_t *placement, bool *ret_changed);
/* The row is behind its custom resource, and a person has to decide. */
int store_fleet_diverge(struct ctx *ctx, struct pg_pool *pool, const char *id, int64_t generation,
                        int64_t live, const char *message, bool *ret_changed);
/* generation becomes `live` + 1: a stranger had set the live revision. */
int store_fleet_raise(struct ctx *ctx, struct pg_pool *pool, const char *id, int64_t generation,
                      int64_t live, bool *ret_changed);
/* The point of no return: from here on nobody can undo the closing. */
int store_fleet_purging(struct ctx *ctx, struct pg_pool *pool, const char *id, int64_t generation,
                        bool *ret_changed);
int store_fleet_tombstone(struct ctx *ctx, struct pg_pool *pool, const char *id, int64_t generation,
                          bool *ret_changed);

/* One batch of projections (project.h) of a cell. *ret_held false: the epoch is no longer ours and
 * nothing was written. *ret_written: rows that differed. */
struct store_fleet_batch {
    const char *cell;
    const char *owner;
    int64_t epoch;
    const json_t *projections;
};
int store_fleet_collect(struct ctx *ctx, struct pg_pool *pool,
                        const struct store_fleet_batch *batch, bool *ret_held,
                        int64_t *ret_written);

/* Ends a divergence. `live` is the custom resource, NULL if there is none: with take_live the row
 * takes its spec and generation (and is made if there is none), else the row wins. */
int store_fleet_resolve(struct ctx *ctx, struct pg_pool *pool, const char *id, const char *cell,
                        const json_t *live, bool take_live, bool *ret_changed);

/* Ends every lease of `owner`, of cells and of outbox rows: the next one need not wait for them. */
int store_fleet_release(struct ctx *ctx, struct pg_pool *pool, const char *owner);
