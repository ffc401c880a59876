#include "server/store/fleet.h"

#include "server/base/ctx.h"
#include "server/base/failpoint.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/store/store.h"

#include <inttypes.h>
#include <string.h>

enum { PARAMETERS_MAX = 8, DOCUMENTS_MAX_BYTES = 4 << 20 };

/* A statement, its failpoints and its parameters; a NULL among them is SQL NULL. */
struct statement {
    const char *name;
    enum call call;
    const char *values[PARAMETERS_MAX];
    int count;
};

static char *number(struct ctx *ctx, int64_t value)
{
    return arena_printf(ctx->arena, "%" PRId64, value);
}

static const char *boolean(bool value)
{
    return value ? "true" : "false";
}

static const char *json_param(struct ctx *ctx, const json_t *value)
{
    return value ? json_text(ctx->arena, value) : "[]";
}

/* One autocommitted statement on a session of the pool. */
static int run(struct ctx *ctx, struct pg_pool *pool, const struct statement *statement,
               struct pg_rows *ret)
{
    TRY(FAILPOINT_BEFORE(ctx, statement->call));
    struct pg *pg;
    TRY(pg_pool_take(ctx, pool, &pg));
    int rc = store_query(ctx, pg, statement->name, statement->count, statement->values, ret);
    pg_pool_give(pool, pg);
    TRY(rc);
    return FAILPOINT_AFTER(ctx, statement->call);
}

/* The rows' first column, a JSON document each, as an array. */
static int run_documents(struct ctx *ctx, struct pg_pool *pool, const struct statement *statement,
                         json_t **ret)
{
    struct pg_rows rows;
    TRY(run(ctx, pool, statement, &rows));
    json_t *array = arena_json(ctx->arena, json_array());
    for (int row = 0; row < rows.rows; row++) {
        const char *text = pg_value(&rows, row, 0);
        json_t *document;
        if (!text)
            continue;
        TRY(json_parse(ctx, text, strlen(text), DOCUMENTS_MAX_BYTES, &document));
        json_array_append(array, document);
    }
    *ret = array;
    return 0;
}

/* The first row's column, 0 when there is no row. */
static int64_t integer_at(const struct pg_rows *rows, int column)
{
    int64_t value = 0;
    const char *text = rows->rows > 0 ? pg_value(rows, 0, column) : NULL;
    if (text)
        str_to_int(text, INT64_MIN, INT64_MAX, &value);
    return value;
}

/* For statements that end in `returning` or count their rows: did any row change? */
static int run_guarded(struct ctx *ctx, struct pg_pool *pool, const struct statement *statement,
                       bool *ret_changed)
{
    struct pg_rows rows;
    TRY(run(ctx, pool, statement, &rows));
    *ret_changed = rows.rows > 0;
    return 0;
}

int store_fleet_cells(struct ctx *ctx, struct pg_pool *pool, json_t **ret)
{
    const struct statement statement = {"fleet_cells", CALL_FLEET_CELLS_READ, {NULL}, 0};
    return run_documents(ctx, pool, &statement, ret);
}

int store_fleet_lease(struct ctx *ctx, struct pg_pool *pool, const json_t *cells, const char *owner,
                      int duration_ms, bool force, json_t **ret)
{
    const struct statement statement = {
        "fleet_lease",
        CALL_FLEET_CELL_LEASE,
        {json_param(ctx, cells), owner, number(ctx, duration_ms), boolean(force)},
        4,
    };
    return run_documents(ctx, pool, &statement, ret);
}

int store_fleet_outbox_take(struct ctx *ctx, struct pg_pool *pool,
                            const struct store_fleet_take *take, json_t **ret)
{
    const struct statement statement = {
        "fleet_outbox_take",
        CALL_FLEET_OUTBOX_TAKE,
        {take->owner, number(ctx, take->limit), number(ctx, take->lease_ms), boolean(take->force),
         json_param(ctx, take->full), json_param(ctx, take->busy)},
        6,
    };
    return run_documents(ctx, pool, &statement, ret);
}

int store_fleet_outbox_done(struct ctx *ctx, struct pg_pool *pool,
                            const struct store_fleet_item *item, int64_t handled, int64_t published)
{
    const struct statement statement = {
        "fleet_outbox_done",
        CALL_FLEET_OUTBOX_DONE,
        {item->id, item->owner, number(ctx, handled), number(ctx, published)},
        4,
    };
    struct pg_rows rows;
    return run(ctx, pool, &statement, &rows);
}

int store_fleet_outbox_retry(struct ctx *ctx, struct pg_pool *pool,
                             const struct store_fleet_item *item,
                             const struct store_fleet_retry *retry)
{
    const struct statement statement = {
        "fleet_outbox_retry",
        CALL_FLEET_OUTBOX_RETRY,
        {item->id, item->owner, number(ctx, retry->at_least_ms), retry->reason, retry->message,
         number(ctx, retry->failed), number(ctx, retry->at_most_ms), number(ctx, retry->published)},
        8,
    };
    struct pg_rows rows;
    return run(ctx, pool, &statement, &rows);
}

int store_fleet_enqueue(struct ctx *ctx, struct pg_pool *pool, const json_t *ids,
                        const json_t *urgent)
{
    const struct statement statement = {
        "fleet_enqueue",
        CALL_FLEET_ENQUEUE,
        {json_param(ctx, ids), json_param(ctx, urgent)},
        2,
    };
    struct pg_rows rows;
    return run(ctx, pool, &statement, &rows);
}

int store_fleet_sweep(struct ctx *ctx, struct pg_pool *pool, int64_t *ret_depth)
{
    const struct statement statement = {"fleet_sweep", CALL_FLEET_SWEEP, {NULL}, 0};
    struct pg_rows rows;
    TRY(run(ctx, pool, &statement, &rows));
    *ret_depth = integer_at(&rows, 0);
    return 0;
}

static int read_rows(struct ctx *ctx, struct pg_pool *pool, enum call call, const json_t *ids,
                     const char *after_id, json_t **ret)
{
    const struct statement statement = {
        "fleet_rows", call, {ids ? json_text(ctx->arena, ids) : NULL, after_id}, 2};
    return run_documents(ctx, pool, &statement, ret);
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
    return run_documents(ctx, pool, &statement, ret);
}

/* Counting and taking are two statements: the second sees what was committed before the lock. */
static int place_locked(struct ctx *ctx, struct pg *pg, const char *const values[3],
                        struct pg_rows *ret)
{
    TRY(store_begin(ctx, pg, NULL));
    TRY(store_query(ctx, pg, "fleet_place_lock", 1, &values[1], NULL));
    TRY(store_query(ctx, pg, "fleet_place", 3, values, ret));
    return store_end(ctx, pg);
}

int store_fleet_place(struct ctx *ctx, struct pg_pool *pool, const char *id, const char *cell,
                      const json_t *placement, bool *ret_changed)
{
    const char *const values[] = {id, cell, json_param(ctx, placement)};
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
        {id, number(ctx, generation), number(ctx, live), message},
        4,
    };
    return run_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_raise(struct ctx *ctx, struct pg_pool *pool, const char *id, int64_t generation,
                      int64_t live, bool *ret_changed)
{
    const struct statement statement = {
        "fleet_raise", CALL_FLEET_RAISE, {id, number(ctx, generation), number(ctx, live)}, 3};
    return run_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_purging(struct ctx *ctx, struct pg_pool *pool, const char *id, int64_t generation,
                        bool *ret_changed)
{
    const struct statement statement = {
        "fleet_purging", CALL_FLEET_PURGING, {id, number(ctx, generation)}, 2};
    return run_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_tombstone(struct ctx *ctx, struct pg_pool *pool, const char *id, int64_t generation,
                          bool *ret_changed)
{
    const struct statement statement = {
        "fleet_tombstone", CALL_FLEET_TOMBSTONE, {id, number(ctx, generation)}, 2};
    return run_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_collect(struct ctx *ctx, struct pg_pool *pool,
                        const struct store_fleet_batch *batch, bool *ret_held, int64_t *ret_written)
{
    const struct statement statement = {
        "fleet_collect",
        CALL_FLEET_COLLECT,
        {batch->cell, batch->owner, number(ctx, batch->epoch), json_param(ctx, batch->projections)},
        4,
    };
    struct pg_rows rows;
    TRY(run(ctx, pool, &statement, &rows));
    *ret_held = integer_at(&rows, 0) > 0;
    *ret_written = integer_at(&rows, 1);
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
    return run_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_release(struct ctx *ctx, struct pg_pool *pool, const char *owner)
{
    const struct statement statement = {"fleet_release", CALL_FLEET_RELEASE, {owner}, 1};
    struct pg_rows rows;
    return run(ctx, pool, &statement, &rows);
}
