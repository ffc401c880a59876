/* Whose pipelines they are, and what each tenant may use of a class. */
#include "reconcilers/pipeline/board.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>

enum { QUOTA_MAX = 100000000 }; /* documents per second, as in the CRD */

/* The engine's number of all whose names come behind those that have one: they get nothing. */
enum { TENANT_BEYOND = PLACE_TENANTS_MAX - 1 };

static int name_order(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Only whom some quota names: to whom none applies is nobody to the engine. */
void tenants_read(struct board *board)
{
    const struct world *world = board->world;
    size_t count = 0, at;
    json_t *quota;
    for (uint32_t class_at = 0; class_at < world->class_count; class_at++)
        count += json_array_size(world->classes[class_at].class.quotas);
    board->tenants = arena_alloc(board->ctx->arena, (count + 1) * sizeof *board->tenants);
    count = 0;
    for (uint32_t class_at = 0; class_at < world->class_count; class_at++)
        json_array_foreach(world->classes[class_at].class.quotas, at, quota)
            board->tenants[count++] = json_str_or(quota, "tenant", "");
    qsort(board->tenants, count, sizeof *board->tenants, name_order);
    board->tenant_count = 0;
    for (at = 0; at < count; at++)
        if (at == 0 || !str_equal(board->tenants[at], board->tenants[at - 1]))
            board->tenants[board->tenant_count++] = board->tenants[at];
}

uint32_t tenant_number(const struct board *board, const char *name)
{
    const char **found =
        bsearch(&name, board->tenants, board->tenant_count, sizeof *board->tenants, name_order);
    if (!*name || !found)
        return 0;
    size_t number = (size_t)(found - board->tenants) + 1;
    return number < TENANT_BEYOND ? (uint32_t)number : TENANT_BEYOND;
}

/* What stands there is bounded here, too: a field of an older CRD must not stop a namespace. */
static int64_t limit_of(const json_t *quota, uint32_t tenant)
{
    if (tenant == TENANT_BEYOND)
        return 0;
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
                                    limit_of(quota, tenant)));
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

bool tenant_quota(const struct board *board, const struct board_pipeline *pipeline, uint32_t stage,
                  int64_t *ret_limit)
{
    const struct workers *workers = board->classes[pipeline->stages[stage].class_id].workers;
    const json_t *quota = workers ? quota_of(workers->class.quotas, pipeline->tenant) : NULL;
    uint32_t tenant = tenant_number(board, pipeline->tenant);
    if (!quota && tenant != TENANT_BEYOND)
        return false;
    *ret_limit = limit_of(quota, tenant);
    return true;
}
