#include "server/handlers/resource.h"

#include "server/adapters/crypto.h"
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/store/operation.h"

#include <inttypes.h>

/* ---- answers ---- */

int resource_list(struct ctx *ctx, struct api_call *call, struct pg *pg,
                  const struct resource_kind *kind)
{
    struct page page;
    struct pg_rows rows;
    TRY(cursor_read(ctx, call, &page));
    TRY(call_tenant_exists(ctx, call, pg));
    TRY(store_resource_list(ctx, pg, kind->name, call->param[0],
                            &(struct store_page){page.after, page.limit + 1}, &rows));
    call_answer_page(ctx, call, &rows, &page);
    return 0;
}

int resource_read(struct ctx *ctx, struct api_call *call, struct pg *pg,
                  const struct resource_kind *kind, const char *id, struct store_resource_view *ret)
{
    TRY(store_resource_view(ctx, pg, kind->name, call->param[0], id, ret));
    if (!ret->body)
        return call_not_found(ctx);
    return ret->deleted ? kind->refuse_gone(ctx) : 0;
}

int resource_answer(struct ctx *ctx, struct api_call *call, struct pg *pg,
                    const struct resource_kind *kind, const char *id, int status)
{
    struct store_resource_view view;
    TRY(resource_read(ctx, call, pg, kind, id, &view));
    api_answer_json(call, status, view.body);
    call_etag(ctx, call, arena_printf(ctx->arena, "g%s", view.generation));
    return 0;
}

/* 202, with where to look: the operation, which outlives this call. A dry run leaves none. */
static int accept(struct ctx *ctx, struct api_call *call, struct pg *pg,
                  const struct resource_kind *kind, const char *id, const char *operation)
{
    if (call->dry_run)
        return resource_answer(ctx, call, pg, kind, id, 200);
    if (operation)
        response_header(
            call->response, "Operation-Location",
            arena_printf(ctx->arena, "/v1/tenants/%s/operations/%s", call->param[0], operation));
    response_header(call->response, "Retry-After", "1");
    return resource_answer(ctx, call, pg, kind, id, 202);
}

int resource_accept_again(struct ctx *ctx, struct api_call *call, struct pg *pg,
                          const struct resource_kind *kind)
{
    const char *operation;
    TRY(store_operation_latest(ctx, pg, call->param[0], call->param[1], &operation));
    return accept(ctx, call, pg, kind, call->param[1], operation);
}

/* ---- changes ---- */

int resource_insert(struct ctx *ctx, struct api_call *call, struct pg *pg,
                    const struct resource_kind *kind, struct store_new_resource *row)
{
    struct store_actor actor = call_actor(ctx, call);
    bool made;
    row->operation = crypto_id(ctx->arena, "op");
    row->counted = kind->counted;
    int rc = store_resource_insert(ctx, pg, row, &actor, &made);
    TRY(call_taken(ctx, call, rc, kind->taken));
    return made ? 0 : call_not_found(ctx);
}

int resource_create(struct ctx *ctx, struct api_call *call, struct pg *pg,
                    const struct resource_kind *kind, struct store_new_resource *row)
{
    TRY(resource_insert(ctx, call, pg, kind, row));
    if (!call->dry_run)
        response_header(call->response, "Location",
                        arena_printf(ctx->arena, "%s/%s", call->request->path, row->id));
    return accept(ctx, call, pg, kind, row->id, row->operation);
}

static int check_if_match(struct ctx *ctx, const struct api_call *call,
                          const struct resource_kind *kind, int64_t generation)
{
    const char *wanted = request_header(call->request, "If-Match");
    if (!wanted || str_equal(wanted, "*") ||
        str_equal(wanted, arena_printf(ctx->arena, "\"g%" PRId64 "\"", generation)))
        return 0;
    return err_set(ctx, ERR_PRECONDITION, NULL, "the %s is at generation %" PRId64, kind->name,
                   generation);
}

int resource_lock(struct ctx *ctx, struct api_call *call, struct pg *pg,
                  const struct resource_kind *kind, struct store_resource *ret)
{
    bool found;
    TRY(store_resource_lock(ctx, pg, kind->name, call->param[0], call->param[1], ret, &found));
    if (!found)
        return call_not_found(ctx);
    if (ret->deleted)
        return kind->refuse_gone(ctx);
    if (ret->diverged) /* else a change could be accepted that is never carried out */
        return err_set(ctx, ERR_CONFLICT, "Diverged",
                       "the %s is not what we have on record; the provider has to decide",
                       kind->name);
    return check_if_match(ctx, call, kind, ret->generation);
}

int resource_refuse_purging(struct ctx *ctx, const struct resource_kind *kind)
{
    return err_set(ctx, ERR_CONFLICT, "PurgeStarted",
                   "the grace period is over and the %s is being purged", kind->name);
}

int resource_change(struct ctx *ctx, struct api_call *call, struct pg *pg,
                    const struct resource_kind *kind, struct store_resource_change *wanted)
{
    struct store_actor actor = call_actor(ctx, call);
    wanted->tenant = call->param[0];
    wanted->id = call->param[1];
    wanted->operation = crypto_id(ctx->arena, "op");
    TRY(store_resource_change(ctx, pg, wanted, &actor));
    return accept(ctx, call, pg, kind, wanted->id, wanted->operation);
}
