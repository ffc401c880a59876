/*
 * Pipelines: a graph and a rate that a customer wants. How it is drawn, and whether the tenant may
 * ask for so much, is answered at once; whether there is room, its cell decides, and the operation
 * tells, that of a dry run of a POST as well. It holds no data: a DELETE is for good.
 */
#include "server/handlers/pipeline.h"
#include "api/pipeline_request.h"
#include "reconcilers/pipeline/graph/graph.h"
#include "server/adapters/crypto.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/handlers/app.h"
#include "server/handlers/resource.h"
#include "server/store/operation.h"
#include "server/store/preview.h"

static const struct taken pipeline_taken[] = {
    {"resource_name_taken", "/name", "NameTaken", "there is a pipeline of this name"},
    {0},
};

static int refuse_gone(struct ctx *ctx)
{
    return err_set(ctx, ERR_PURGED, "PipelineDeleted", "this pipeline was deleted");
}

static const struct resource_kind kind = {
    .name = "pipeline",
    .counted = "pipelines",
    .refuse_gone = refuse_gone,
    .taken = pipeline_taken,
};

static int list(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    return resource_list(ctx, call, pg, &kind);
}

static int get(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    return resource_answer(ctx, call, pg, &kind, call->param[1], 200);
}

/* In the controller's own words: what passes here is refused there for its classes only. */
static int check_graph(struct ctx *ctx, struct api_call *call,
                       const struct pipeline_request *request)
{
    struct graph graph;
    json_t *spec = arena_json(ctx->arena, json_pack("{s:I, s:O}", "documentsPerSecond",
                                                    (json_int_t)request->documents_per_second,
                                                    "workers", request->workers));
    graph_shape(ctx, spec, &graph);
    if (!graph.reason)
        return 0;
    const char *pointer = graph.stage ? arena_printf(ctx->arena, "/spec/workers/%.*s",
                                                     (int)str_fit(graph.stage, 63), graph.stage)
                                      : "/spec/workers";
    return schema_refuse(ctx, &call->errors, pointer, graph.reason, graph.message);
}

/*
 * A dry run: the row is made, so that everything that could refuse it had its say, and undone. What
 * is kept is the question to the cell, an operation of its own.
 */
static int ask_cell(struct ctx *ctx, struct api_call *call, struct pg *pg,
                    struct store_new_resource *row)
{
    struct store_actor actor = call_actor(ctx, call);
    const struct store_new_preview question = {.operation = crypto_id(ctx->arena, "op"),
                                               .tenant = row->tenant,
                                               .name = row->name,
                                               .spec = row->spec};
    const char *path =
        arena_printf(ctx->arena, "/v1/tenants/%s/operations/%s", row->tenant, question.operation);
    const char *body;
    bool made, open;
    TRY(store_savepoint(ctx, pg));
    TRY(resource_insert(ctx, call, pg, &kind, row));
    TRY(store_undo(ctx, pg));
    TRY(store_preview_insert(ctx, pg, &question, &actor, &made));
    if (!made)
        return call_not_found(ctx);
    TRY(store_operation_view(ctx, pg, row->tenant, question.operation, &body, &open));
    response_header(call->response, "Location", path);
    response_header(call->response, "Operation-Location", path);
    response_header(call->response, "Retry-After", "1");
    api_answer_json(call, 202, body);
    call->kept = true;
    return 0;
}

static int create(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json;
    struct pipeline_request request;
    TRY(call_body(ctx, call, &json));
    TRY(pipeline_request_create(ctx, call_audience(call), json, &request, &call->errors));
    TRY(check_graph(ctx, call, &request));
    TRY(store_pipeline_quota(ctx, pg, call->param[0], NULL, request.documents_per_second));
    struct store_new_resource row = {
        .id = crypto_id(ctx->arena, "pl"),
        .tenant = call->param[0],
        .name = request.name,
        .spec = pipeline_request_spec(ctx, &request),
    };
    return call->dry_run ? ask_cell(ctx, call, pg, &row)
                         : resource_create(ctx, call, pg, &kind, &row);
}

/*
 * A closed pipeline is one that ends: its DELETE may be younger than this transaction, so that its
 * time of purge is not yet past here. The tenant's lock comes before the row's, as in every
 * other change that a quota counts.
 */
static int patch(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json;
    struct store_resource row;
    struct pipeline_request current, wanted;
    TRY(call_body(ctx, call, &json));
    TRY(store_tenant_lock(ctx, pg, call->param[0]));
    TRY(resource_lock(ctx, call, pg, &kind, &row));
    TRY(pipeline_request_of(ctx, row.spec, row.name, &current));
    TRY(pipeline_request_patch(ctx, call_audience(call), json, &current, &wanted, &call->errors));
    if (row.closed)
        return resource_refuse_purging(ctx, &kind);
    if (wanted.documents_per_second == current.documents_per_second)
        return resource_answer(ctx, call, pg, &kind, call->param[1], 200);
    if (wanted.documents_per_second > current.documents_per_second)
        TRY(store_pipeline_quota(ctx, pg, call->param[0], call->param[1],
                                 wanted.documents_per_second));
    struct store_resource_change update = {.kind = "update",
                                           .spec = pipeline_request_spec(ctx, &wanted)};
    return resource_change(ctx, call, pg, &kind, &update);
}

static int delete (struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    struct store_resource row;
    TRY(resource_lock(ctx, call, pg, &kind, &row));
    if (row.closed)
        return resource_accept_again(ctx, call, pg, &kind);
    struct store_resource_change end = {.kind = "delete", .spec = row.spec};
    return resource_change(ctx, call, pg, &kind, &end);
}

int pipeline_read(struct ctx *ctx, struct api_call *call, struct pg *pg,
                  struct store_resource_view *ret)
{
    return resource_read(ctx, call, pg, &kind, call->param[1], ret);
}

/* ---- routes ---- */

int pipeline_list(struct ctx *ctx, struct api_call *call)
{
    return transaction_read(ctx, call, list);
}

int pipeline_create(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, create);
}

int pipeline_get(struct ctx *ctx, struct api_call *call)
{
    return transaction_read(ctx, call, get);
}

int pipeline_patch(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, patch);
}

int pipeline_delete(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, delete);
}
