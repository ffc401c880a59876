/*
 * Registries: what a customer wants. A change is a new generation of the row, an operation, an
 * outbox row and an audit row in one transaction; the fleet layer does the rest. Reads are the
 * view's JSON.
 */
#include "server/store/registry.h"
#include "api/registry_request.h"
#include "api/rotation_request.h"
#include "server/adapters/crypto.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/handlers/app.h"
#include "server/store/operation.h"
#include "server/store/place.h"

#include <inttypes.h>
#include <string.h>

enum {
    DAY_SECONDS = 86400,
    GRACE_DEFAULT_SECONDS = 30 * DAY_SECONDS,
    GRACE_MAX_SECONDS = 90 * DAY_SECONDS,
};

static const struct taken registry_taken[] = {
    {"registry_name_taken", "/name", "NameTaken", "there is a registry of this name"},
    {"registry_host_taken", "/spec/host", "HostTaken", "another registry answers to this host"},
    {0},
};

/* ---- answers ---- */

static int answer(struct ctx *ctx, struct api_call *call, struct pg *pg, const char *id, int status)
{
    struct store_registry_view view;
    TRY(store_registry_view(ctx, pg, call->param[0], id, &view));
    if (!view.body)
        return call_not_found(ctx);
    if (view.deleted)
        return err_set(ctx, ERR_PURGED, "RegistryPurged", "this registry was purged");
    const char *etag = arena_printf(ctx->arena, "\"g%s\"", view.generation);
    response_header(call->response, "ETag", etag);
    api_answer_json(call, status, view.body);
    if (status == 200 && str_equal(request_header(call->request, "If-None-Match"), etag)) {
        call->response->status = 304;
        call->response->body_bytes = 0;
    }
    return 0;
}

/* 202, with where to look: the operation, which outlives this call. */
static int accept(struct ctx *ctx, struct api_call *call, struct pg *pg, const char *id,
                  const char *operation)
{
    if (operation)
        response_header(
            call->response, "Operation-Location",
            arena_printf(ctx->arena, "/v1/tenants/%s/operations/%s", call->param[0], operation));
    response_header(call->response, "Retry-After", "1");
    return answer(ctx, call, pg, id, 202);
}

/* Nothing is to be changed: the newest operation is the one to look at. */
static int accept_again(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    const char *operation;
    TRY(store_operation_latest(ctx, pg, call->param[0], call->param[1], &operation));
    return accept(ctx, call, pg, call->param[1], operation);
}

/* ---- the first admin password ---- */

/*
 * Made here and sealed before it is stored: the fleet hands it over to the cell, and forgets it
 * when the cell has it (reconcilers/fleet/handover.h).
 */
static int make_password(struct ctx *ctx, const struct api_call *call,
                         const struct store_new_registry *row, struct store_sealed *ret,
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

static int check_if_match(struct ctx *ctx, const struct api_call *call, int64_t generation)
{
    const char *wanted = request_header(call->request, "If-Match");
    if (!wanted || str_equal(wanted, "*") ||
        str_equal(wanted, arena_printf(ctx->arena, "\"g%" PRId64 "\"", generation)))
        return 0;
    return err_set(ctx, ERR_PRECONDITION, NULL, "the registry is at generation %" PRId64,
                   generation);
}

static int lock(struct ctx *ctx, struct api_call *call, struct pg *pg, struct store_registry *ret)
{
    bool found;
    TRY(store_registry_lock(ctx, pg, call->param[0], call->param[1], ret, &found));
    if (!found)
        return call_not_found(ctx);
    if (ret->deleted)
        return err_set(ctx, ERR_PURGED, "RegistryPurged", "this registry was purged");
    if (ret->diverged) /* else a change could be accepted that is never carried out */
        return err_set(ctx, ERR_CONFLICT, "Diverged",
                       "the registry is not what we have on record; the provider has to decide");
    return check_if_match(ctx, call, ret->generation);
}

static int refuse_purging(struct ctx *ctx)
{
    return err_set(ctx, ERR_CONFLICT, "PurgeStarted",
                   "the grace period is over and the registry is being purged");
}

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

static int change(struct ctx *ctx, struct api_call *call, struct pg *pg,
                  struct store_registry_change *wanted)
{
    struct store_actor actor = call_actor(ctx, call);
    wanted->tenant = call->param[0];
    wanted->id = call->param[1];
    wanted->operation = crypto_id(ctx->arena, "op");
    TRY(store_registry_change(ctx, pg, wanted, &actor));
    return accept(ctx, call, pg, wanted->id, wanted->operation);
}

/* ---- in the transaction ---- */

static int list(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    return call_list_of_tenant(ctx, call, pg, store_registry_list);
}

static int get(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    return answer(ctx, call, pg, call->param[1], 200);
}

static int create(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json;
    struct registry_request request;
    TRY(call_body(ctx, call, &json));
    TRY(registry_request_create(ctx, call_audience(call), json, &request, &call->errors));
    TRY(check_plan(ctx, call, pg, request.plan));
    struct store_new_registry row = {
        .id = crypto_id(ctx->arena, "reg"),
        .tenant = call->param[0],
        .name = request.name,
        .identity = crypto_random_base32(ctx->arena, 16),
        .spec = registry_request_spec(ctx, &request),
        .operation = crypto_id(ctx->arena, "op"),
    };
    const char *password;
    TRY(make_password(ctx, call, &row, &row.secret, &password));
    struct store_actor actor = call_actor(ctx, call);
    bool made;
    int rc = store_registry_insert(ctx, pg, &row, &actor, &made);
    TRY(call_taken(ctx, call, rc, registry_taken));
    if (!made)
        return call_not_found(ctx);
    response_header(call->response, "Location",
                    arena_printf(ctx->arena, "%s/%s", call->request->path, row.id));
    TRY(accept(ctx, call, pg, row.id, row.operation));
    return show_password(ctx, call, password);
}

static int patch(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json;
    struct store_registry row;
    struct registry_request current, wanted;
    TRY(call_body(ctx, call, &json));
    TRY(lock(ctx, call, pg, &row));
    TRY(registry_request_of(ctx, row.spec, row.name, &current));
    TRY(registry_request_patch(ctx, call_audience(call), json, &current, row.runs, &wanted,
                               &call->errors));
    TRY(check_plan(ctx, call, pg, wanted.plan));
    if (row.purging)
        return refuse_purging(ctx);
    if (row.closed)
        return refuse_closed(ctx);
    struct store_registry_change update = {.kind = "update",
                                           .spec = registry_request_spec(ctx, &wanted)};
    if (str_equal(update.spec, registry_request_spec(ctx, &current)))
        return answer(ctx, call, pg, call->param[1], 200);
    return change(ctx, call, pg, &update);
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
    struct store_registry row;
    struct store_registry_change close = {.kind = "close"};
    TRY(grace_of(ctx, call, &close.grace_seconds));
    TRY(lock(ctx, call, pg, &row));
    if (row.purging || (row.closed && !request_query(call->request, "graceSeconds")))
        return accept_again(ctx, call, pg);
    close.spec = row.spec;
    return change(ctx, call, pg, &close);
}

static int undo(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    struct store_registry row;
    TRY(lock(ctx, call, pg, &row));
    if (row.purging)
        return refuse_purging(ctx);
    if (!row.closed)
        return accept_again(ctx, call, pg);
    struct store_registry_change undone = {.kind = "undo", .spec = row.spec};
    return change(ctx, call, pg, &undone);
}

/* Without a body: all kinds. Each request is another number, so that it asks for new ones again. */
static int rotate(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json = NULL;
    struct store_registry row;
    struct rotation_request request;
    if (call->request->body_bytes > 0)
        TRY(call_body(ctx, call, &json));
    TRY(rotation_request_bind(ctx, call_audience(call), json, &request, &call->errors));
    TRY(lock(ctx, call, pg, &row));
    if (row.purging)
        return refuse_purging(ctx);
    if (row.closed)
        return refuse_closed(ctx);
    struct store_registry_change rotation = {
        .kind = "rotate", .spec = row.spec, .renewed = rotation_request_kinds(ctx, &request)};
    return change(ctx, call, pg, &rotation);
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
