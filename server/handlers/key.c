/* API keys of a tenant. The secret is in one answer and nowhere else, not even in the kept one. */
#include "api/account_request.h"
#include "server/adapters/crypto.h"
#include "server/base/ctx.h"
#include "server/handlers/app.h"
#include "server/http/auth.h"

static int list(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    return call_list_of_tenant(ctx, call, pg, store_api_key_list);
}

static int create(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json;
    struct name_request request;
    TRY(call_body(ctx, call, &json));
    TRY(name_request_bind(ctx, call_audience(call), json, &request, &call->errors));
    TRY(call_tenant_exists(ctx, call, pg));
    struct auth_key key = auth_key_make(ctx->arena);
    const struct store_new_key row = {
        .id = crypto_id(ctx->arena, "key"),
        .prefix = key.prefix,
        .secret_hash = key.secret_hash,
        .tenant = call->param[0],
        .name = request.name,
    };
    struct store_actor actor = call_actor(ctx, call);
    const char *body;
    TRY(store_api_key_insert(ctx, pg, &row, &actor));
    TRY(store_api_key_view(ctx, pg, row.tenant, row.id, &body));
    /* The view's text is an object; the secret becomes its first member. */
    call->kept_body = arena_printf(ctx->arena, "{\"key\": \"delivered\", %s", body + 1);
    response_header(call->response, "Cache-Control", "no-store");
    api_answer_json(call, 201,
                    arena_printf(ctx->arena, "{\"key\": \"%s\", %s", key.text, body + 1));
    return 0;
}

static int revoke(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    struct store_actor actor = call_actor(ctx, call);
    bool found;
    TRY(store_api_key_revoke(ctx, pg, call->param[0], call->param[1], &actor, &found));
    if (!found)
        return call_not_found(ctx);
    call->response->status = 204;
    call->response->body = "";
    return 0;
}

int key_list(struct ctx *ctx, struct api_call *call)
{
    return transaction_read(ctx, call, list);
}

int key_create(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, create);
}

int key_revoke(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, revoke);
}
