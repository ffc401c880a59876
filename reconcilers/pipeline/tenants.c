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

/* Sorted, each once; returns how many. */
static size_t distinct(const char **names, size_t count)
{
    size_t kept = 0;
    qsort(names, count, sizeof *names, name_order);
    for (size_t at = 0; at < count; at++)
        if (kept == 0 || !str_equal(names[at], names[kept - 1]))
            names[kept++] = names[at];
    return kept;
}

static const char **find(const char *name, const char **names, size_t count)
{
    return bsearch(&name, names, count, sizeof *names, name_order);
}

static void read_quotas(struct board *board)
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
    board->tenant_count = distinct(board->tenants, count);
}

static void add_owner(struct board *board, const char *name)
{
    if (*name && !find(name, board->tenants, board->tenant_count))
        board->owners[board->owner_count++] = name;
}

/* Whom no quota names: for fair order. */
static void read_owners(struct board *board, const json_t *kept)
{
    const struct world *world = board->world;
    size_t at;
    json_t *pipeline;
    board->owners =
        arena_alloc(board->ctx->arena,
                    (world->pipeline_count + json_array_size(kept) + 1) * sizeof *board->owners);
    board->owner_count = 0;
    for (uint32_t nth = 0; nth < world->pipeline_count; nth++)
        add_owner(board, world->pipelines[nth].tenant);
    json_array_foreach(kept, at, pipeline)
        add_owner(board, json_str_or(pipeline, "tenant", ""));
    board->owner_count = distinct(board->owners, board->owner_count);
}

void tenants_read(struct board *board, const json_t *kept)
{
    read_quotas(board);
    read_owners(board, kept);
}

uint32_t tenant_number(const struct board *board, const char *name)
{
    const char **found = find(name, board->tenants, board->tenant_count);
    if (*name && found) {
        size_t number = (size_t)(found - board->tenants) + 1;
        return number < TENANT_BEYOND ? (uint32_t)number : TENANT_BEYOND;
    }
    found = find(name, board->owners, board->owner_count);
    if (!*name || !found)
        return 0;
    size_t number = board->tenant_count + (size_t)(found - board->owners) + 1;
    return number < TENANT_BEYOND ? (uint32_t)number : 0;
}

/* What stands there is bounded here, too: a field of an older CRD must not stop a namespace. */
static int64_t milli_of(const json_t *quota, const char *field)
{
    int64_t documents = json_int_or(quota, field, 0);
    return (documents < 0 ? 0 : documents > QUOTA_MAX ? QUOTA_MAX : documents) * MILLI;
}

static struct place_quota limit_of(const json_t *quota, uint32_t tenant)
{
    if (tenant == TENANT_BEYOND)
        return (struct place_quota){0};
    return (struct place_quota){.nominal = milli_of(quota, "documentsPerSecond"),
                                .borrow = milli_of(quota, "borrowDocumentsPerSecond")};
}

int tenants_limit(struct board *board, uint32_t class_id)
{
    const struct workers *workers = board->classes[class_id].workers;
    size_t at;
    json_t *quota;
    json_array_foreach(workers ? workers->class.quotas : NULL, at, quota) {
        uint32_t tenant = tenant_number(board, json_str_or(quota, "tenant", ""));
        struct place_quota limit = limit_of(quota, tenant);
        if (tenant > 0)
            TRY(placement_quota_set(board->ctx, board->placement, tenant, class_id, &limit));
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
                  struct place_quota *ret_limit)
{
    const struct workers *workers = board->classes[pipeline->stages[stage].class_id].workers;
    const json_t *quota = workers ? quota_of(workers->class.quotas, pipeline->tenant) : NULL;
    uint32_t tenant = tenant_number(board, pipeline->tenant);
    if (!quota && tenant != TENANT_BEYOND)
        return false;
    *ret_limit = limit_of(quota, tenant);
    return true;
}
