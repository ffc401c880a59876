/* Each function runs the statement of its name; the comments are in the header and in the SQL. */
#include "server/store/place.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"

#include <inttypes.h>

int store_plan_list(struct ctx *ctx, struct pg *pg, struct pg_rows *ret)
{
    return store_query(ctx, pg, "plan_list", 0, NULL, ret);
}

int store_plan_find(struct ctx *ctx, struct pg *pg, const char *name, bool *ret_found)
{
    const char *values[] = {name};
    struct pg_rows rows;
    TRY(store_query(ctx, pg, "plan_find", ARRAY_SIZE(values), values, &rows));
    *ret_found = rows.rows == 1;
    return 0;
}

int store_cell_insert(struct ctx *ctx, struct pg *pg, const char *name, const char *kubeconfig,
                      int64_t capacity, const struct store_actor *actor)
{
    const char *values[] = {name, kubeconfig, arena_printf(ctx->arena, "%" PRId64, capacity),
                            actor->name, actor->request_id};
    return store_query(ctx, pg, "cell_insert", ARRAY_SIZE(values), values, NULL);
}

int store_cell_view(struct ctx *ctx, struct pg *pg, const char *name, const char **ret_body)
{
    const char *values[] = {name};
    return store_body(ctx, pg, "cell_view", ARRAY_SIZE(values), values, ret_body);
}

int store_cell_list(struct ctx *ctx, struct pg *pg, const struct store_page *page,
                    struct pg_rows *ret)
{
    const char *values[] = {page->after, arena_printf(ctx->arena, "%d", page->limit)};
    return store_query(ctx, pg, "cell_list", ARRAY_SIZE(values), values, ret);
}

int store_status_view(struct ctx *ctx, struct pg *pg, const char **ret_body)
{
    return store_body(ctx, pg, "status_view", 0, NULL, ret_body);
}
