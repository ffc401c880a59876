#include "reconcilers/fleet/ask.h"

#include "reconcilers/fleet/place.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"
#include "server/store/fleet.h"
#include "server/store/preview.h"

#include <string.h>

enum { SETTLE_MS = 10000, WAIT_MS = 500 };

/* What one try knows. */
struct answer {
    struct cell *cell;
    json_t *placement, *result;
    bool gone; /* somebody else has answered, or its time is over */
};

/* As a creation would; but one for which no cell has room waits, and this is told at once. */
static int choose_cell(struct ctx *ctx, const struct ask *ask, struct answer *ret)
{
    json_t *cells;
    const char *name;
    TRY(store_fleet_cells(ctx, ask->pool, ask->id, &cells));
    place_choose(ctx, cells, &name, &ret->placement);
    if (!name)
        return err_set(ctx, ERR_OVERLOADED, "NoCell", "%s", json_str(ret->placement, "reason"));
    ret->cell = cells_find(ask->cells, name);
    if (!ret->cell)
        return err_set(ctx, ERR_UNAVAILABLE, "CellUnknown", "cell %s is not open here", name);
    return 0;
}

/* What is in a namespace that is not the tenant's is not the tenant's to hear of. Where there is
 * none yet nothing is in it. */
static int check_fence(struct ctx *ctx, const struct cell *cell, const json_t *row)
{
    const char *name = json_str(row, "object.metadata.namespace");
    json_t *found;
    TRY(kube_get(ctx, CALL_FLEET_NAMESPACE_GET, cell->kube, KIND_NAMESPACE, NULL, name, &found));
    if (found && !resource_owns_fence(row, found))
        return err_set(ctx, ERR_TAKEN, "NamespaceNotOurs",
                       "namespace %s does not carry the labels of the tenant", name);
    return 0;
}

/* Of all questions to a cell that is away one at a time waits for it: there are few workers for
 * them, and other cells answer. */
static int check_away(struct ctx *ctx, const struct cell *cell)
{
    if (clock_boottime_ms() >= cell->unasked_until_ms)
        return 0;
    return err_set(ctx, ERR_UNAVAILABLE, "CellUnreachable", "it did not answer a moment ago");
}

static void note_reach(struct cell *cell, int rc)
{
    bool is_away = rc == -ERR_UNAVAILABLE || rc == -ERR_TIMEOUT;
    cell->unasked_until_ms = is_away ? clock_boottime_ms() + ASK_PAUSE_MS : 0;
}

static int ask_cell(struct ctx *ctx, const struct ask *ask, const json_t *row, struct answer *ret)
{
    TRY(check_fence(ctx, ret->cell, row));
    TRY(ask->preview(ctx, ret->cell->kube, json_object_get(row, "object"), &ret->result));
    size_t bytes = strlen(json_text(ctx->arena, ret->result));
    if (bytes > ASK_RESULT_BYTES)
        return err_set(ctx, ERR_TOO_LARGE, "PreviewTooLarge",
                       "what the cell would do takes %zu bytes, and %d are kept", bytes,
                       ASK_RESULT_BYTES);
    return 0;
}

/* What a cell's answer is called. The rest keep their word, as what is the fleet's own trouble. */
static const struct fault_name {
    enum err_code code;
    const char *reason;
} fault_names[] = {
    {ERR_DENIED, "CellDenied"},
    {ERR_NOT_FOUND, "CellWithoutPipelines"},
    {ERR_UNAVAILABLE, "CellUnreachable"},
    {ERR_TIMEOUT, "CellUnreachable"},
    {ERR_RATE_LIMITED, "CellUnreachable"},
    {ERR_REFUSED, "CellUnreachable"},
    {ERR_PROTOCOL, "CellUnreachable"},
    {ERR_CONFLICT, "CellUnreachable"},
    {ERR_GONE, "CellUnreachable"},
};

/* The operation's code is all that a tenant sees: in words that tell whose turn it is. When the
 * cell wants to be asked again stays as it said. */
static int name_fault(struct ctx *ctx, const struct cell *cell, int rc)
{
    int retry_after_ms = ctx->err.retry_after_ms;
    for (size_t at = 0; at < ARRAY_SIZE(fault_names); at++)
        if (-rc == (int)fault_names[at].code) {
            const char *told =
                arena_printf(ctx->arena, "cell %s: %s", cell->name, ctx->err.message);
            err_set(ctx, fault_names[at].code, fault_names[at].reason, "%s", told);
            ctx->err.retry_after_ms = retry_after_ms;
            break;
        }
    return rc;
}

static int run(struct ctx *ctx, const struct ask *ask, const struct store_preview_item *item,
               struct answer *ret)
{
    json_t *row;
    TRY(store_fleet_preview_read(ctx, ask->pool, item, &row));
    ret->gone = !row;
    if (ret->gone)
        return 0;
    TRY(choose_cell(ctx, ask, ret));
    int rc = check_away(ctx, ret->cell);
    if (rc == 0) {
        rc = ask_cell(ctx, ask, row, ret);
        note_reach(ret->cell, rc);
    }
    return rc < 0 ? name_fault(ctx, ret->cell, rc) : 0;
}

/* May the same question have an answer in a moment? As errors.def says of the error; but who asks
 * is told at once of what lasts longer than a question. */
static bool may_ask_again(const struct err *failure)
{
    static const struct {
        enum err_code code;
        const char *reason; /* NULL = each */
        const char *why;
    } lasting[] = {
        {ERR_DENIED, NULL, "rights are given by people"},
        {ERR_OVERLOADED, "NoCell", "so is room in the cells"},
    };
    enum retry_class retry = err_row(failure->code)->retry;
    for (size_t at = 0; at < ARRAY_SIZE(lasting); at++)
        if (failure->code == (int)lasting[at].code &&
            (!lasting[at].reason || str_equal(lasting[at].reason, failure->reason)))
            return false;
    return retry == RETRY_NOW || retry == RETRY_BACKOFF;
}

static int settle(struct ctx *ctx, const struct ask *ask, const struct store_preview_item *item,
                  const struct answer *answer, int rc)
{
    bool is_ours;
    struct err failure = ctx->err;
    const struct store_preview_answer end = {.result = rc < 0 ? NULL : answer->result,
                                             .placement = answer->placement,
                                             .reason = failure.reason,
                                             .message = failure.message};
    ctx->deadline_ms = clock_boottime_ms() + SETTLE_MS;
    if (answer->gone)
        return 0;
    if (rc == 0 || !may_ask_again(&failure))
        return store_fleet_preview_end(ctx, ask->pool, item, &end, &is_ours);
    int at_least_ms = failure.retry_after_ms > WAIT_MS ? failure.retry_after_ms : WAIT_MS;
    return store_fleet_preview_retry(ctx, ask->pool, item, at_least_ms, failure.reason,
                                     failure.message, &is_ours);
}

void ask_item(struct ctx *ctx, const struct ask *ask)
{
    const struct store_preview_item item = {.id = ask->id, .owner = ask->owner};
    struct answer answer = {0};
    log_field(ctx, "operation", ask->id);
    int rc = run(ctx, ask, &item, &answer);
    const char *cell = answer.cell ? answer.cell->name : "";
    if (rc < 0) {
        log_field(ctx, "cell", cell);
        log_failure(ctx, "ask");
    }
    if (!answer.gone)
        metric_add(METRIC_PREVIEWS, 1, cell, rc < 0 ? ctx->err.reason : "Answered");
    /* Its lease runs out, then it comes again. One line a try: the first failure is the cause. */
    if (settle(ctx, ask, &item, &answer, rc) < 0 && rc == 0)
        log_failure(ctx, "settle a dry run");
}
