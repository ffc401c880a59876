/* Each function runs the statement of its name; the comments are in the header and in the SQL. */
#include "server/store/operation.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

int store_operation_view(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                         const char **ret_body, bool *ret_open)
{
    const char *values[] = {tenant, id};
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "operation_view", ARRAY_SIZE(values), values, &rows));
    *ret_body = rows.rows ? pg_field(&rows, 0, "body") : NULL;
    *ret_open = rows.rows && str_equal(pg_field(&rows, 0, "open"), "t");
    return 0;
}

int store_operation_latest(struct ctx *ctx, struct pg *pg, const char *tenant, const char *registry,
                           const char **ret_id)
{
    const char *values[] = {tenant, registry};
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "operation_latest", ARRAY_SIZE(values), values, &rows));
    *ret_id = rows.rows ? pg_field(&rows, 0, "id") : NULL;
    return 0;
}

int store_operation_ended(struct ctx *ctx, struct pg *pg, const char *ids, struct pg_rows *ret)
{
    const char *values[] = {ids};
    return store_query(ctx, pg, "operation_ended", ARRAY_SIZE(values), values, ret);
}

int store_idempotency_take(struct ctx *ctx, struct pg *pg, const struct store_idempotency *key,
                           bool *ret_first)
{
    const char *values[] = {key->tenant, key->principal, key->key, key->fingerprint};
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "idempotency_take", ARRAY_SIZE(values), values, &rows));
    *ret_first = rows.rows == 1;
    return 0;
}

int store_idempotency_find(struct ctx *ctx, struct pg *pg, const struct store_idempotency *key,
                           const char **ret_fingerprint, struct store_answer *ret)
{
    const char *values[] = {key->tenant, key->principal, key->key};
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "idempotency_find", ARRAY_SIZE(values), values, &rows));
    *ret_fingerprint = NULL;
    if (!rows.rows)
        return 0;
    int64_t status = 0;
    (void)str_to_int(pg_field(&rows, 0, "status"), 100, 599, &status);
    *ret_fingerprint = pg_field(&rows, 0, "fingerprint");
    *ret = (struct store_answer){.status = (int)status,
                                 .headers = pg_field(&rows, 0, "headers"),
                                 .body = pg_field(&rows, 0, "body")};
    return 0;
}

int store_idempotency_save(struct ctx *ctx, struct pg *pg, const struct store_idempotency *key,
                           const struct store_answer *answer)
{
    const char *values[] = {key->tenant,     key->principal,
                            key->key,        arena_printf(ctx->arena, "%d", answer->status),
                            answer->headers, answer->body};
    return store_query(ctx, pg, "idempotency_save", ARRAY_SIZE(values), values, NULL);
}

int store_idempotency_expire(struct ctx *ctx, struct pg *pg, bool *ret_more)
{
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "idempotency_expire", 0, NULL, &rows));
    *ret_more = str_equal(pg_field(&rows, 0, "more"), "t");
    return 0;
}
