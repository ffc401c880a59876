/* Each function runs the statement of its name; the comments are in the header and in the SQL. */
#include "server/store/preview.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/store/fleet.h"
#include "server/store/statement.h"

enum { ASK_AGAIN_MS = 10000 }; /* who has as many as it may: some end soon */

int store_preview_insert(struct ctx *ctx, struct pg *pg, const struct store_new_preview *row,
                         const struct store_actor *actor, bool *ret_made)
{
    const char *values[] = {row->operation,
                            row->tenant,
                            row->name,
                            row->spec,
                            actor->name,
                            actor->request_id,
                            statement_number(ctx, PREVIEWS_WAITING_MAX),
                            statement_number(ctx, PREVIEWS_KEPT_MAX)};
    struct pg_rows rows;
    TRY(store_tenant_lock(ctx, pg, row->tenant));
    TRY(store_query(ctx, pg, "preview_insert", ARRAY_SIZE(values), values, &rows));
    *ret_made = rows.rows == 1;
    if (!*ret_made || pg_field(&rows, 0, "id"))
        return 0;
    int rc = err_set(ctx, ERR_RATE_LIMITED, "TooManyPreviews",
                     "%s dry runs of the tenant wait for their cell and %d may, %s of the last "
                     "hour are kept and %d may be",
                     pg_field(&rows, 0, "waiting"), PREVIEWS_WAITING_MAX,
                     pg_field(&rows, 0, "kept"), PREVIEWS_KEPT_MAX);
    ctx->err.retry_after_ms = ASK_AGAIN_MS;
    return rc;
}

int store_fleet_preview_take(struct ctx *ctx, struct pg_pool *pool,
                             const struct store_fleet_take *take, json_t **ret)
{
    const struct statement statement = {
        "fleet_preview_take",
        CALL_FLEET_PREVIEW_TAKE,
        {take->owner, statement_number(ctx, take->limit), statement_number(ctx, take->lease_ms),
         statement_boolean(take->force), statement_json(ctx, take->busy)},
        5,
    };
    return statement_documents(ctx, pool, &statement, ret);
}

int store_fleet_preview_read(struct ctx *ctx, struct pg_pool *pool,
                             const struct store_preview_item *item, json_t **ret)
{
    const struct statement statement = {
        "fleet_preview_read", CALL_FLEET_PREVIEW_READ, {item->id, item->owner}, 2};
    json_t *rows;
    TRY(statement_documents(ctx, pool, &statement, &rows));
    *ret = json_array_get(rows, 0);
    return 0;
}

int store_fleet_preview_end(struct ctx *ctx, struct pg_pool *pool,
                            const struct store_preview_item *item,
                            const struct store_preview_answer *answer, bool *ret_changed)
{
    const struct statement statement = {
        "fleet_preview_end",
        CALL_FLEET_PREVIEW_END,
        {item->id, item->owner, answer->result ? json_text(ctx->arena, answer->result) : NULL,
         statement_json(ctx, answer->placement), answer->reason, answer->message},
        6,
    };
    return statement_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_preview_retry(struct ctx *ctx, struct pg_pool *pool,
                              const struct store_preview_item *item, int at_least_ms,
                              const char *reason, const char *message, bool *ret_changed)
{
    const struct statement statement = {
        "fleet_preview_retry",
        CALL_FLEET_PREVIEW_RETRY,
        {item->id, item->owner, statement_number(ctx, at_least_ms), reason, message},
        5,
    };
    return statement_guarded(ctx, pool, &statement, ret_changed);
}
