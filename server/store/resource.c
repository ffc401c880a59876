/* Each function runs the statement of its name; the comments are in the header and in the SQL. */
#include "server/store/resource.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <inttypes.h>

int store_resource_insert(struct ctx *ctx, struct pg *pg, const struct store_new_resource *row,
                          const struct store_actor *actor, bool *ret_made)
{
    static const struct store_sealed none;
    const struct store_sealed *secret = row->secret ? row->secret : &none;
    const char *values[] = {row->id,
                            row->tenant,
                            row->name,
                            row->identity,
                            row->spec,
                            row->operation,
                            actor->name,
                            actor->request_id,
                            secret->label.id,
                            secret->label.purpose,
                            secret->envelope.kek,
                            secret->envelope.wrapped_dek,
                            secret->envelope.sealed};
    struct pg_rows rows;
    TRY(store_tenant_lock(ctx, pg, row->tenant));
    TRY(store_query(ctx, pg, "resource_insert", ARRAY_SIZE(values), values, &rows));
    *ret_made = rows.rows == 1;
    return *ret_made ? store_quota_check(ctx, &rows, row->counted) : 0;
}

int store_resource_view(struct ctx *ctx, struct pg *pg, const char *kind, const char *tenant,
                        const char *id, struct store_resource_view *ret)
{
    const char *values[] = {kind, tenant, id};
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "resource_view", ARRAY_SIZE(values), values, &rows));
    *ret = (struct store_resource_view){0};
    if (rows.rows)
        *ret = (struct store_resource_view){
            .body = pg_field(&rows, 0, "body"),
            .generation = pg_field(&rows, 0, "generation"),
            .deleted = str_equal(pg_field(&rows, 0, "deleted"), "t"),
        };
    return 0;
}

int store_resource_list(struct ctx *ctx, struct pg *pg, const char *kind, const char *tenant,
                        const struct store_page *page, struct pg_rows *ret)
{
    const char *values[] = {kind, tenant, page->after, arena_printf(ctx->arena, "%d", page->limit)};
    return store_query(ctx, pg, "resource_list", ARRAY_SIZE(values), values, ret);
}

int store_resource_lock(struct ctx *ctx, struct pg *pg, const char *kind, const char *tenant,
                        const char *id, struct store_resource *ret, bool *ret_found)
{
    const char *values[] = {kind, tenant, id};
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "resource_lock", ARRAY_SIZE(values), values, &rows));
    *ret_found = rows.rows == 1;
    if (!*ret_found)
        return 0;
    *ret = (struct store_resource){
        .spec = pg_field(&rows, 0, "spec"),
        .name = pg_field(&rows, 0, "name"),
        .closed = str_equal(pg_field(&rows, 0, "lifecycle"), "closed"),
        .deleted = str_equal(pg_field(&rows, 0, "deleted"), "t"),
        .diverged = str_equal(pg_field(&rows, 0, "diverged"), "t"),
        .purging = str_equal(pg_field(&rows, 0, "purging"), "t"),
        .runs = pg_field(&rows, 0, "runs"),
    };
    (void)str_to_int(pg_field(&rows, 0, "generation"), 1, INT64_MAX, &ret->generation);
    return 0;
}

int store_resource_change(struct ctx *ctx, struct pg *pg,
                          const struct store_resource_change *change,
                          const struct store_actor *actor)
{
    const char *values[] = {
        change->tenant,
        change->id,
        change->kind,
        change->spec,
        arena_printf(ctx->arena, "%" PRId64, change->grace_seconds),
        change->operation,
        actor->name,
        actor->request_id,
        change->renewed,
    };
    return store_query(ctx, pg, "resource_change", ARRAY_SIZE(values), values, NULL);
}

int store_pipeline_quota(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                         int64_t documents_per_second)
{
    const char *values[] = {tenant, id, arena_printf(ctx->arena, "%" PRId64, documents_per_second)};
    struct pg_rows rows;
    TRY(store_tenant_lock(ctx, pg, tenant));
    TRY(store_query(ctx, pg, "pipeline_quota", ARRAY_SIZE(values), values, &rows));
    return rows.rows ? store_quota_check(ctx, &rows, "documents per second in its other pipelines")
                     : 0;
}
