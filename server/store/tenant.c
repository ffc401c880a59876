/* Each function runs the statement of its name; the comments are in the header and in the SQL. */
#include "server/store/tenant.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <inttypes.h>

static char *limit_of(struct ctx *ctx, const struct store_page *page)
{
    return arena_printf(ctx->arena, "%d", page->limit);
}

int store_key_find(struct ctx *ctx, struct pg *pg, const char *prefix, struct store_key *ret,
                   bool *ret_found)
{
    const char *values[] = {prefix};
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "key_find", ARRAY_SIZE(values), values, &rows));
    *ret_found = rows.rows == 1;
    if (*ret_found)
        *ret = (struct store_key){.id = pg_field(&rows, 0, "id"),
                                  .secret_hash = pg_field(&rows, 0, "secret_hash"),
                                  .provider = str_equal(pg_field(&rows, 0, "role"), "provider"),
                                  .tenant = pg_field(&rows, 0, "tenant_id")};
    return 0;
}

static char *number(struct ctx *ctx, int64_t value)
{
    return arena_printf(ctx->arena, "%" PRId64, value);
}

int store_tenant_insert(struct ctx *ctx, struct pg *pg, const struct store_tenant *tenant,
                        const struct store_actor *actor)
{
    const char *values[] = {tenant->id,
                            tenant->name,
                            number(ctx, tenant->registry_limit),
                            number(ctx, tenant->key_limit),
                            number(ctx, tenant->pipeline_limit),
                            number(ctx, tenant->document_limit),
                            actor->name,
                            actor->request_id};
    return store_query(ctx, pg, "tenant_insert", ARRAY_SIZE(values), values, NULL);
}

int store_tenant_change(struct ctx *ctx, struct pg *pg, const struct store_tenant *tenant,
                        const struct store_actor *actor)
{
    const char *values[] = {tenant->id,
                            number(ctx, tenant->registry_limit),
                            number(ctx, tenant->key_limit),
                            number(ctx, tenant->pipeline_limit),
                            number(ctx, tenant->document_limit),
                            actor->name,
                            actor->request_id};
    return store_query(ctx, pg, "tenant_change", ARRAY_SIZE(values), values, NULL);
}

int store_tenant_lock(struct ctx *ctx, struct pg *pg, const char *tenant)
{
    const char *values[] = {tenant};
    return store_query(ctx, pg, "tenant_lock", ARRAY_SIZE(values), values, NULL);
}

int store_quota_check(struct ctx *ctx, const struct pg_rows *rows, const char *what)
{
    if (pg_field(rows, 0, "id"))
        return 0;
    return err_set(ctx, ERR_FORBIDDEN, "QuotaExceeded", "the tenant has %s %s and may have %s",
                   pg_field(rows, 0, "used"), what, pg_field(rows, 0, "may"));
}

int store_tenant_view(struct ctx *ctx, struct pg *pg, const char *id, const char **ret_body)
{
    const char *values[] = {id};
    return store_body(ctx, pg, "tenant_view", ARRAY_SIZE(values), values, ret_body);
}

int store_tenant_list(struct ctx *ctx, struct pg *pg, const struct store_page *page,
                      struct pg_rows *ret)
{
    const char *values[] = {page->after, limit_of(ctx, page)};
    return store_query(ctx, pg, "tenant_list", ARRAY_SIZE(values), values, ret);
}

int store_api_key_insert(struct ctx *ctx, struct pg *pg, const struct store_new_key *key,
                         const struct store_actor *actor)
{
    const char *values[] = {
        key->id,     key->prefix, key->secret_hash, key->tenant ? "tenant" : "provider",
        key->tenant, key->name,   actor->name,      actor->request_id};
    struct pg_rows rows;
    if (key->tenant)
        TRY(store_tenant_lock(ctx, pg, key->tenant));
    TRY(store_query(ctx, pg, "api_key_insert", ARRAY_SIZE(values), values, &rows));
    return store_quota_check(ctx, &rows, "API keys");
}

int store_api_key_view(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                       const char **ret_body)
{
    const char *values[] = {tenant, id};
    return store_body(ctx, pg, "api_key_view", ARRAY_SIZE(values), values, ret_body);
}

int store_api_key_list(struct ctx *ctx, struct pg *pg, const char *tenant,
                       const struct store_page *page, struct pg_rows *ret)
{
    const char *values[] = {tenant, page->after, limit_of(ctx, page)};
    return store_query(ctx, pg, "api_key_list", ARRAY_SIZE(values), values, ret);
}

int store_api_key_revoke(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                         const struct store_actor *actor, bool *ret_found)
{
    const char *values[] = {tenant, id, actor->name, actor->request_id};
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "api_key_revoke", ARRAY_SIZE(values), values, &rows));
    *ret_found = rows.rows == 1;
    return 0;
}
