/* Tenants: the provider makes them; each sees itself. */
#include "api/account_request.h"
#include "server/adapters/crypto.h"
#include "server/base/ctx.h"
#include "server/handlers/app.h"

static const struct taken tenant_taken[] = {
    {"tenant_name_key", "/name", "NameTaken", "there is a tenant of this name"},
    {0},
};

static struct store_tenant row_of(const struct tenant_request *request, const char *id)
{
    return (struct store_tenant){
        .id = id,
        .name = request->name,
        .registry_limit = request->registry_limit,
        .key_limit = request->key_limit,
        .pipeline_limit = request->pipeline_limit,
        .document_limit = request->document_limit,
    };
}

static int list(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    return call_list(ctx, call, pg, store_tenant_list);
}

static int create(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json;
    struct tenant_request request;
    TRY(call_body(ctx, call, &json));
    TRY(tenant_request_create(ctx, call_audience(call), json, &request, &call->errors));
    const char *id = crypto_id(ctx->arena, "tn"), *body;
    struct store_actor actor = call_actor(ctx, call);
    const struct store_tenant row = row_of(&request, id);
    TRY(call_taken(ctx, call, store_tenant_insert(ctx, pg, &row, &actor), tenant_taken));
    TRY(store_tenant_view(ctx, pg, id, &body));
    response_header(call->response, "Location", arena_printf(ctx->arena, "/v1/tenants/%s", id));
    api_answer_json(call, 201, body);
    return 0;
}

static int get(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    const char *body;
    TRY(store_tenant_view(ctx, pg, call->param[0], &body));
    if (!body)
        return call_not_found(ctx);
    api_answer_json(call, 200, body);
    return 0;
}

static int patch(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json;
    struct tenant_request request;
    TRY(call_body(ctx, call, &json));
    TRY(tenant_request_patch(ctx, call_audience(call), json, &request, &call->errors));
    struct store_actor actor = call_actor(ctx, call);
    const struct store_tenant row = row_of(&request, call->param[0]);
    TRY(store_tenant_change(ctx, pg, &row, &actor));
    return get(ctx, call, pg);
}

int tenant_list(struct ctx *ctx, struct api_call *call)
{
    return transaction_read(ctx, call, list);
}

int tenant_create(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, create);
}

int tenant_get(struct ctx *ctx, struct api_call *call)
{
    return transaction_read(ctx, call, get);
}

int tenant_patch(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, patch);
}
