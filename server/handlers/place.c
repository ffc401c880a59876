/* Plans, cells and the fleet's status: what the provider offers, and where. */
#include "server/store/place.h"
#include "api/account_request.h"
#include "server/base/ctx.h"
#include "server/handlers/app.h"

static const struct taken cell_taken[] = {
    {"cell_pkey", "/name", "NameTaken", "there is a cell of this name"},
    {0},
};

static int plans(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    struct pg_rows rows;
    TRY(store_plan_list(ctx, pg, &rows));
    const struct page all = {.after = "", .limit = rows.rows};
    call_answer_page(ctx, call, &rows, &all);
    return 0;
}

static int cells(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    return call_list(ctx, call, pg, store_cell_list);
}

static int create(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    json_t *json;
    struct cell_request request;
    TRY(call_body(ctx, call, &json));
    TRY(cell_request_bind(ctx, call_audience(call), json, &request, &call->errors));
    struct store_actor actor = call_actor(ctx, call);
    const char *body;
    int rc = store_cell_insert(ctx, pg, request.name, request.kubeconfig, request.capacity, &actor);
    TRY(call_taken(ctx, call, rc, cell_taken));
    TRY(store_cell_view(ctx, pg, request.name, &body));
    api_answer_json(call, 201, body);
    return 0;
}

static int status(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    const char *body;
    TRY(store_status_view(ctx, pg, &body));
    api_answer_json(call, 200, body);
    return 0;
}

int plan_list(struct ctx *ctx, struct api_call *call)
{
    return transaction_read(ctx, call, plans);
}

int cell_list(struct ctx *ctx, struct api_call *call)
{
    return transaction_read(ctx, call, cells);
}

int cell_create(struct ctx *ctx, struct api_call *call)
{
    return transaction_write(ctx, call, create);
}

int status_get(struct ctx *ctx, struct api_call *call)
{
    return transaction_read(ctx, call, status);
}
