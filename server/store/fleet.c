#include "server/store/fleet.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/store/statement.h"

int store_fleet_cells(struct ctx *ctx, struct pg_pool *pool, const char *id, json_t **ret)
{
    const struct statement statement = {"fleet_cells", CALL_FLEET_CELLS_READ, {id}, 1};
    return statement_documents(ctx, pool, &statement, ret);
}

int store_fleet_lease(struct ctx *ctx, struct pg_pool *pool, const json_t *cells, const char *owner,
                      int duration_ms, bool force, json_t **ret)
{
    const struct statement statement = {
        "fleet_lease",
        CALL_FLEET_CELL_LEASE,
        {statement_json(ctx, cells), owner, statement_number(ctx, duration_ms),
         statement_boolean(force)},
        4,
    };
    return statement_documents(ctx, pool, &statement, ret);
}

int store_fleet_outbox_take(struct ctx *ctx, struct pg_pool *pool,
                            const struct store_fleet_take *take, json_t **ret)
{
    const struct statement statement = {
        "fleet_outbox_take",
        CALL_FLEET_OUTBOX_TAKE,
        {take->owner, statement_number(ctx, take->limit), statement_number(ctx, take->lease_ms),
         statement_boolean(take->force), statement_json(ctx, take->full),
         statement_json(ctx, take->busy)},
        6,
    };
    return statement_documents(ctx, pool, &statement, ret);
}

int store_fleet_outbox_done(struct ctx *ctx, struct pg_pool *pool,
                            const struct store_fleet_item *item, int64_t handled, int64_t published)
{
    const struct statement statement = {
        "fleet_outbox_done",
        CALL_FLEET_OUTBOX_DONE,
        {item->id, item->owner, statement_number(ctx, handled), statement_number(ctx, published)},
        4,
    };
    struct pg_rows rows;
    return statement_run(ctx, pool, &statement, &rows);
}

int store_fleet_outbox_retry(struct ctx *ctx, struct pg_pool *pool,
                             const struct store_fleet_item *item,
                             const struct store_fleet_retry *retry)
{
    const struct statement statement = {
        "fleet_outbox_retry",
        CALL_FLEET_OUTBOX_RETRY,
        {item->id, item->owner, statement_number(ctx, retry->at_least_ms), retry->reason,
         retry->message, statement_number(ctx, retry->failed),
         statement_number(ctx, retry->at_most_ms), statement_number(ctx, retry->published)},
        8,
    };
    struct pg_rows rows;
    return statement_run(ctx, pool, &statement, &rows);
}

int store_fleet_enqueue(struct ctx *ctx, struct pg_pool *pool, const json_t *ids,
                        const json_t *urgent)
{
    const struct statement statement = {
        "fleet_enqueue",
        CALL_FLEET_ENQUEUE,
        {statement_json(ctx, ids), statement_json(ctx, urgent)},
        2,
    };
    struct pg_rows rows;
    return statement_run(ctx, pool, &statement, &rows);
}

int store_fleet_sweep(struct ctx *ctx, struct pg_pool *pool, int64_t *ret_depth,
                      int64_t *ret_expired)
{
    const struct statement statement = {"fleet_sweep", CALL_FLEET_SWEEP, {NULL}, 0};
    struct pg_rows rows;
    TRY(statement_run(ctx, pool, &statement, &rows));
    *ret_depth = statement_integer(&rows, 0);
    *ret_expired = statement_integer(&rows, 1);
    return 0;
}

static int read_rows(struct ctx *ctx, struct pg_pool *pool, enum call call, const json_t *ids,
                     const char *after_id, json_t **ret)
{
    const struct statement statement = {
        "fleet_rows", call, {ids ? json_text(ctx->arena, ids) : NULL, after_id}, 2};
    return statement_documents(ctx, pool, &statement, ret);
}

int store_fleet_rows(struct ctx *ctx, struct pg_pool *pool, const json_t *ids, const char *after_id,
                     json_t **ret)
{
    return read_rows(ctx, pool, CALL_FLEET_ROWS_LIST, ids, after_id, ret);
}

static int read_row(struct ctx *ctx, struct pg_pool *pool, enum call call, const char *id,
                    json_t **ret)
{
    json_t *ids = arena_json(ctx->arena, json_array());
    json_array_append_new(ids, json_string(id));
    json_t *rows;
    TRY(read_rows(ctx, pool, call, ids, "", &rows));
    *ret = json_array_get(rows, 0);
    return 0;
}

int store_fleet_row(struct ctx *ctx, struct pg_pool *pool, const char *id, json_t **ret)
{
    return read_row(ctx, pool, CALL_FLEET_ROW_READ, id, ret);
}

int store_fleet_row_again(struct ctx *ctx, struct pg_pool *pool, const char *id, json_t **ret)
{
    return read_row(ctx, pool, CALL_FLEET_ROW_REREAD, id, ret);
}

int store_fleet_cell_rows(struct ctx *ctx, struct pg_pool *pool, const char *cell,
                          const char *after_id, json_t **ret)
{
    const struct statement statement = {
        "fleet_cell_rows", CALL_FLEET_ROWS_LIST, {cell, after_id}, 2};
    return statement_documents(ctx, pool, &statement, ret);
}

/* Counting and taking are two statements: the second sees what was committed before the lock. */
static int place_locked(struct ctx *ctx, struct pg *pg, const char *const values[3],
                        struct pg_rows *ret)
{
    TRY(store_begin(ctx, pg, NULL));
    const char *const locked[] = {values[1], values[0]};
    TRY(store_query(ctx, pg, "fleet_place_lock", 2, locked, NULL));
    TRY(store_query(ctx, pg, "fleet_place", 3, values, ret));
    return store_end(ctx, pg);
}

int store_fleet_place(struct ctx *ctx, struct pg_pool *pool, const char *id, const char *cell,
                      const json_t *placement, bool *ret_changed)
{
    const char *const values[] = {id, cell, statement_json(ctx, placement)};
    struct pg_rows rows;
    struct pg *pg;
    TRY(FAILPOINT_BEFORE(ctx, CALL_FLEET_PLACE));
    TRY(pg_pool_take(ctx, pool, &pg));
    int rc = place_locked(ctx, pg, values, &rows);
    pg_pool_give(pool, pg);
    TRY(rc);
    *ret_changed = rows.rows > 0;
    return FAILPOINT_AFTER(ctx, CALL_FLEET_PLACE);
}

int store_fleet_diverge(struct ctx *ctx, struct pg_pool *pool, const char *id, int64_t generation,
                        int64_t live, const char *message, bool *ret_changed)
{
    const struct statement statement = {
        "fleet_diverge",
        CALL_FLEET_DIVERGE,
        {id, statement_number(ctx, generation), statement_number(ctx, live), message},
        4,
    };
    return statement_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_raise(struct ctx *ctx, struct pg_pool *pool, const char *id, int64_t generation,
                      int64_t live, bool *ret_changed)
{
    const struct statement statement = {
        "fleet_raise",
        CALL_FLEET_RAISE,
        {id, statement_number(ctx, generation), statement_number(ctx, live)},
        3};
    return statement_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_purging(struct ctx *ctx, struct pg_pool *pool, const char *id, int64_t generation,
                        bool *ret_changed)
{
    const struct statement statement = {
        "fleet_purging", CALL_FLEET_PURGING, {id, statement_number(ctx, generation)}, 2};
    return statement_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_tombstone(struct ctx *ctx, struct pg_pool *pool, const char *id, int64_t generation,
                          bool *ret_changed)
{
    const struct statement statement = {
        "fleet_tombstone", CALL_FLEET_TOMBSTONE, {id, statement_number(ctx, generation)}, 2};
    return statement_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_collect(struct ctx *ctx, struct pg_pool *pool,
                        const struct store_fleet_batch *batch, bool *ret_held, int64_t *ret_written)
{
    const struct statement statement = {
        "fleet_collect",
        CALL_FLEET_COLLECT,
        {batch->cell, batch->owner, statement_number(ctx, batch->epoch),
         statement_json(ctx, batch->projections)},
        4,
    };
    struct pg_rows rows;
    TRY(statement_run(ctx, pool, &statement, &rows));
    *ret_held = statement_integer(&rows, 0) > 0;
    *ret_written = statement_integer(&rows, 1);
    return 0;
}

int store_fleet_resolve(struct ctx *ctx, struct pg_pool *pool, const char *id, const char *cell,
                        const json_t *live, bool take_live, bool *ret_changed)
{
    const struct statement statement = {
        take_live ? "fleet_resolve_cluster" : "fleet_resolve_row",
        CALL_FLEET_RESOLVE,
        {id, cell, live ? json_text(ctx->arena, live) : NULL},
        3,
    };
    return statement_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_release(struct ctx *ctx, struct pg_pool *pool, const char *owner)
{
    const struct statement statement = {"fleet_release", CALL_FLEET_RELEASE, {owner}, 1};
    struct pg_rows rows;
    return statement_run(ctx, pool, &statement, &rows);
}
