/* Each function runs the statement of its name; the comments are in the header and in the SQL. */
#include "server/store/registry.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <inttypes.h>

int store_registry_insert(struct ctx *ctx, struct pg *pg, const struct store_new_registry *row,
                          const struct store_actor *actor, bool *ret_made)
{
    const char *values[] = {row->id,
                            row->tenant,
                            row->name,
                            row->identity,
                            row->spec,
                            row->operation,
                            actor->name,
                            actor->request_id,
                            row->secret.label.id,
                            row->secret.label.purpose,
                            row->secret.envelope.kek,
                            row->secret.envelope.wrapped_dek,
                            row->secret.envelope.sealed};
    struct pg_rows rows;
    TRY(store_tenant_lock(ctx, pg, row->tenant));
    TRY(store_query(ctx, pg, "registry_insert", ARRAY_SIZE(values), values, &rows));
    *ret_made = rows.rows == 1;
    return *ret_made ? store_quota_check(ctx, &rows, "registries, closed ones included,") : 0;
}

int store_registry_view(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                        struct store_registry_view *ret)
{
    const char *values[] = {tenant, id};
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "registry_view", ARRAY_SIZE(values), values, &rows));
    *ret = (struct store_registry_view){0};
    if (rows.rows)
        *ret = (struct store_registry_view){
            .body = pg_field(&rows, 0, "body"),
            .generation = pg_field(&rows, 0, "generation"),
            .deleted = str_equal(pg_field(&rows, 0, "deleted"), "t"),
        };
    return 0;
}

int store_registry_list(struct ctx *ctx, struct pg *pg, const char *tenant,
                        const struct store_page *page, struct pg_rows *ret)
{
    const char *values[] = {tenant, page->after, arena_printf(ctx->arena, "%d", page->limit)};
    return store_query(ctx, pg, "registry_list", ARRAY_SIZE(values), values, ret);
}

int store_registry_lock(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                        struct store_registry *ret, bool *ret_found)
{
    const char *values[] = {tenant, id};
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "registry_lock", ARRAY_SIZE(values), values, &rows));
    *ret_found = rows.rows == 1;
    if (!*ret_found)
        return 0;
    *ret = (struct store_registry){
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

int store_registry_change(struct ctx *ctx, struct pg *pg,
                          const struct store_registry_change *change,
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
    return store_query(ctx, pg, "registry_change", ARRAY_SIZE(values), values, NULL);
}
