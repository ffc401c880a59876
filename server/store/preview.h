/*
 * Dry runs that ask a cell: questions that serve puts, and the fleet's statements about them, which
 * are like those about the outbox (store/fleet.h): leased, and ended by who has the lease.
 */
#pragma once

#include "server/store/store.h"
#include "server/store/tenant.h"

#include <jansson.h>

struct pg_pool;
struct store_fleet_take;

/* Of one tenant: so many wait for their cells, and so many of the last hour are kept. */
enum { PREVIEWS_WAITING_MAX = 10, PREVIEWS_KEPT_MAX = 200 };

struct store_new_preview {
    const char *operation, *tenant, *name;
    const char *spec; /* JSON */
};

/* The operation, and the question. *ret_made false: no such tenant. -ERR_RATE_LIMITED
 * TooManyPreviews. */
int store_preview_insert(struct ctx *ctx, struct pg *pg, const struct store_new_preview *row,
                         const struct store_actor *actor, bool *ret_made);

/* Array of {id}; there are no full cells, no cell is chosen yet. */
int store_fleet_preview_take(struct ctx *ctx, struct pg_pool *pool,
                             const struct store_fleet_take *take, json_t **ret);

/* A question: its operation, and who has leased it. */
struct store_preview_item {
    const char *id;
    const char *owner;
};

/* {id, fence, object} as store_fleet_row() has them; NULL = it is not ours any more. */
int store_fleet_preview_read(struct ctx *ctx, struct pg_pool *pool,
                             const struct store_preview_item *item, json_t **ret);
/* What a cell would do, and why this cell; result NULL: it cannot be told, because of reason and
 * message. */
struct store_preview_answer {
    const json_t *result, *placement;
    const char *reason, *message;
};
/* *ret_changed false: it is not ours any more. */
int store_fleet_preview_end(struct ctx *ctx, struct pg_pool *pool,
                            const struct store_preview_item *item,
                            const struct store_preview_answer *answer, bool *ret_changed);
/* Not now: once more after a back-off with full jitter, unless its time is over by then. */
int store_fleet_preview_retry(struct ctx *ctx, struct pg_pool *pool,
                              const struct store_preview_item *item, int at_least_ms,
                              const char *reason, const char *message, bool *ret_changed);
