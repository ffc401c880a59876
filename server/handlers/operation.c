/* Operations: how far a change is, at once or when it has ended. */
#include "server/store/operation.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/handlers/app.h"
#include "server/http/waiters.h"

enum { WAIT_MAX_SECONDS = 60 };

static int get(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    const char *wait = request_query(call->request, "wait"), *body;
    int64_t seconds = 0;
    bool open;
    if (wait && !str_to_int(wait, 0, WAIT_MAX_SECONDS, &seconds)) {
        field_errors_add(&call->errors, "?wait", "BadParameter", "seconds, from 0 to 60");
        return err_set(ctx, ERR_INVALID, "InvalidParameter", "wait: seconds, from 0 to 60");
    }
    TRY(store_operation_view(ctx, pg, call->param[0], call->param[1], &body, &open));
    if (!body)
        return call_not_found(ctx);
    api_answer_json(call, 200, body);
    if (open)
        response_header(call->response, "Retry-After", "1");
    call->response->parked = open && seconds && !call->request->resumed;
    return 0;
}

/* Waits only after the transaction's end: a request that is handed back may be gone at once. */
int operation_get(struct ctx *ctx, struct api_call *call)
{
    const struct app *app = call->app;
    int64_t seconds = 0;
    TRY(transaction_read(ctx, call, get));
    if (!call->response->parked)
        return 0;
    (void)str_to_int(request_query(call->request, "wait"), 0, WAIT_MAX_SECONDS, &seconds);
    call->response->parked = waiters_add(app->waiters, call->request, api_payer(&call->principal),
                                         call->param[1], clock_boottime_ms() + seconds * 1000);
    return 0;
}
