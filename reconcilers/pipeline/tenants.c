/* Whose pipelines they are, and what each tenant may use of a class. */
#include "reconcilers/pipeline/board.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum { QUOTA_MAX = 100000000 }; /* documents per second, as in the CRD */

uint32_t tenant_number(struct board *board, const char *name)
{
    if (!board->tenants)
        board->tenants = arena_alloc(board->ctx->arena, PLACE_TENANTS_MAX * sizeof *board->tenants);
    if (board->tenant_count == 0)
        board->tenants[board->tenant_count++] = "";
    uint32_t at = 0;
    while (at < board->tenant_count && !str_equal(board->tenants[at], name))
        at++;
    if (at == PLACE_TENANTS_MAX)
        return 0;
    if (at == board->tenant_count)
        board->tenants[board->tenant_count++] = name;
    return at;
}

/* What stands there is bounded here, too: a field of an older CRD must not stop a namespace. */
static int64_t limit_of(const json_t *quota)
{
    int64_t documents = json_int_or(quota, "documentsPerSecond", 0);
    return (documents < 0 ? 0 : documents > QUOTA_MAX ? QUOTA_MAX : documents) * MILLI;
}

int tenants_limit(struct board *board, uint32_t class_id)
{
    const struct workers *workers = board->classes[class_id].workers;
    size_t at;
    json_t *quota;
    json_array_foreach(workers ? workers->class.quotas : NULL, at, quota) {
        uint32_t tenant = tenant_number(board, json_str_or(quota, "tenant", ""));
        if (tenant > 0)
            TRY(placement_quota_set(board->ctx, board->placement, tenant, class_id,
                                    limit_of(quota)));
    }
    return 0;
}

static const json_t *quota_of(const json_t *quotas, const char *tenant)
{
    size_t at;
    json_t *quota;
    json_array_foreach(quotas, at, quota)
        if (*tenant && str_equal(json_str(quota, "tenant"), tenant))
            return quota;
    return NULL;
}

bool tenant_quota(struct board *board, const struct board_pipeline *pipeline, uint32_t stage,
                  int64_t *ret_limit, int64_t *ret_used)
{
    uint32_t class_id = pipeline->stages[stage].class_id;
    const struct workers *workers = board->classes[class_id].workers;
    const json_t *quota = workers ? quota_of(workers->class.quotas, pipeline->tenant) : NULL;
    if (!quota)
        return false;
    *ret_limit = limit_of(quota);
    *ret_used =
        placement_quota_used(board->placement, tenant_number(board, pipeline->tenant), class_id);
    return true;
}
