/*
 * Registries: what a customer wants. A change is a new generation of the row, an operation, an
 * outbox row and an audit row in one transaction; the fleet layer does the rest. Reads are the
 * view's JSON.
 */
#include "api/registry_request.h"
#include "api/rotation_request.h"
#include "server/adapters/crypto.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/handlers/app.h"
#include "server/handlers/resource.h"
#include "server/store/place.h"

#include <inttypes.h>
#include <string.h>

enum {
    DAY_SECONDS = 86400,
    GRACE_DEFAULT_SECONDS = 30 * DAY_SECONDS,
    GRACE_MAX_SECONDS = 90 * DAY_SECONDS,
};

static const struct taken registry_taken[] = {
    {"resource_name_taken", "/name", "NameTaken", "there is a registry of this name"},
    {"resource_host_taken", "/spec/host", "HostTaken", "another registry answers to this host"},
    {0},
};

static int refuse_gone(struct ctx *ctx)
{
    return err_set(ctx, ERR_PURGED, "RegistryPurged", "this registry was purged");
}

static const struct resource_kind kind = {
    .name = "registry",
    .counted = "registries, closed ones included,",
    .refuse_gone = refuse_gone,
    .taken = registry_taken,
};

/* ---- the first admin password ---- */

/*
 * Made here and sealed before it is stored: the fleet hands it over to the cell, and forgets it
 * when the cell has it (reconcilers/fleet/handover.h).
 */
static int make_password(struct ctx *ctx, const struct api_call *call,
                         const struct store_new_resource *row, struct store_sealed *ret,
                         const char **ret_password)
{
    const struct app *app = call->app;
    *ret = (struct store_sealed){
        .label = {.tenant = row->tenant,
                  .owner = arena_printf(ctx->arena, SEALED_OF_REGISTRY, row->id),
                  .purpose = SEALED_ADMIN_PASSWORD,
                  .id = crypto_id(ctx->arena, "sec")},
    };
    *ret_password = crypto_random_password(ctx->arena, SEALED_PASSWORD_LENGTH);
    return envelope_seal(ctx, app->keks, &ret->label, *ret_password, &ret->envelope);
}

/* In this one answer; who repeats the request gets what GET says, as no stored row has more. */
static int show_password(struct ctx *ctx, struct api_call *call, const char *password)
{
    struct response *response = call->response;
    json_t *body;
    TRY(json_parse(ctx, response->body, response->body_bytes, JSON_TEXT_MAX_BYTES, &body));
    json_object_set_new(body, "adminPassword", json_string(password));
    char *text = json_text(ctx->arena, body);
    crypto_wipe_later(ctx->arena, text);
    call->kept_body = response->body;
    api_answer_json(call, response->status, text);
    response_header(response, "Cache-Control", "no-store");
    return 0;
}

/* ---- what a change may count on ---- */

/* A change of what is shut could not be carried out before it is open again. */
static int refuse_closed(struct ctx *ctx)
{
    return err_set(ctx, ERR_CONFLICT, "Closed",
                   "the registry is closed; :undo opens it, then it can be changed");
}

static int check_plan(struct ctx *ctx, struct api_call *call, struct pg *pg, const char *plan)
{
    bool found;
    TRY(store_plan_find(ctx, pg, plan, &found));
    if (found)
        return 0;
    field_errors_add(&call->errors, "/spec/plan", "UnknownPlan", "GET /v1/plans lists them");
    return err_set(ctx, ERR_INVALID, "InvalidFields", "/spec/plan: there is no such plan");
}

/* ---- in the transaction ---- */

static int list(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    return resource_list(ctx, call, pg, &kind);
}

static int get(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    return resource_answer(ctx, call, pg, &kind, call->param[1], 200);
}

static int create(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json;
    struct registry_request request;
    TRY(call_body(ctx, call, &json));
    TRY(registry_request_create(ctx, call_audience(call), json, &request, &call->errors));
    TRY(check_plan(ctx, call, pg, request.plan));
    struct store_new_resource row = {
        .id = crypto_id(ctx->arena, "reg"),
        .tenant = call->param[0],
        .name = request.name,
        .identity = crypto_random_base32(ctx->arena, 16),
        .spec = registry_request_spec(ctx, &request),
    };
    struct store_sealed secret;
    const char *password;
    TRY(make_password(ctx, call, &row, &secret, &password));
    row.secret = &secret;
    TRY(resource_create(ctx, call, pg, &kind, &row));
    return show_password(ctx, call, password);
}

static int patch(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json;
    struct store_resource row;
    struct registry_request current, wanted;
    TRY(call_body(ctx, call, &json));
    TRY(resource_lock(ctx, call, pg, &kind, &row));
    TRY(registry_request_of(ctx, row.spec, row.name, &current));
    TRY(registry_request_patch(ctx, call_audience(call), json, &current, row.runs, &wanted,
                               &call->errors));
    TRY(check_plan(ctx, call, pg, wanted.plan));
    if (row.purging)
        return resource_refuse_purging(ctx, &kind);
    if (row.closed)
        return refuse_closed(ctx);
    struct store_resource_change update = {.kind = "update",
                                           .spec = registry_request_spec(ctx, &wanted)};
    if (str_equal(update.spec, registry_request_spec(ctx, &current)))
        return resource_answer(ctx, call, pg, &kind, call->param[1], 200);
    return resource_change(ctx, call, pg, &kind, &update);
}

static int grace_of(struct ctx *ctx, struct api_call *call, int64_t *ret)
{
    const char *text = request_query(call->request, "graceSeconds");
    int64_t least = call->principal.provider ? 0 : DAY_SECONDS;
    *ret = GRACE_DEFAULT_SECONDS;
    if (!text || str_to_int(text, least, GRACE_MAX_SECONDS, ret))
        return 0;
    const char *detail =
        arena_printf(ctx->arena, "a number from %" PRId64 " to %d", least, GRACE_MAX_SECONDS);
    field_errors_add(&call->errors, "?graceSeconds", "BadParameter", detail);
    return err_set(ctx, ERR_INVALID, "InvalidParameter", "graceSeconds: %s", detail);
}

static int close_registry(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    struct store_resource row;
    struct store_resource_change close = {.kind = "close"};
    TRY(grace_of(ctx, call, &close.grace_seconds));
    TRY(resource_lock(ctx, call, pg, &kind, &row));
    if (row.purging || (row.closed && !request_query(call->request, "graceSeconds")))
        return resource_accept_again(ctx, call, pg, &kind);
    close.spec = row.spec;
    return resource_change(ctx, call, pg, &kind, &close);
}

static int undo(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    struct store_resource row;
    TRY(resource_lock(ctx, call, pg, &kind, &row));
    if (row.purging)
        return resource_refuse_purging(ctx, &kind);
    if (!row.closed)
        return resource_accept_again(ctx, call, pg, &kind);
    struct store_resource_change undone = {.kind = "undo", .spec = row.spec};
    return resource_change(ctx, call, pg, &kind, &undone);
}

/* Without a body: all kinds. Each request is another number, so that it asks for new ones again. */
static int rotate(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json = NULL;
    struct store_resource row;
    struct rotation_request request;
    if (call->request->body_bytes > 0)
        TRY(call_body(ctx, call, &json));
    TRY(rotation_request_bind(ctx, call_audience(call), json, &request, &call->errors));
    TRY(resource_lock(ctx, call, pg, &kind, &row));
    if (row.purging)
        return resource_refuse_purging(ctx, &kind);
    if (row.closed)
        return refuse_closed(ctx);
    struct store_resource_change rotation = {
        .kind = "rotate", .spec = row.spec, .renewed = rotation_request_kinds(ctx, &request)};
    return resource_change(ctx, call, pg, &kind, &rotation);
}

/* ---- routes ---- */

int registry_list(struct ctx *ctx, struct api_call *call)
{
    return transaction_read(ctx, call, list);
}

int registry_create(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, create);
}

int registry_get(struct ctx *ctx, struct api_call *call)
{
    return transaction_read(ctx, call, get);
}

int registry_patch(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, patch);
}

int registry_close(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, close_registry);
}

int registry_undo(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, undo);
}

int registry_rotate_credentials(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, rotate);
}
