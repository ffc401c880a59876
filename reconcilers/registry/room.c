/*
 * Room on a PostgreSQL server: the connection limits of its registries may not add up to more than
 * it bears. A full server keeps even the operator out, who must log in to close a registry.
 *
 * A claim names the size that was granted (spec.size); what is promised is the sum over the claims
 * of a pool, also of closed registries, which may come back. A registry that wants a larger size
 * than there is room for runs on with what it has, and its Ready says so.
 */
#include "reconcilers/registry/room.h"

#include "server/base/json.h"
#include "server/base/str.h"

static int64_t connections_of(const struct registry_operator *home, const char *size)
{
    return size ? json_int_or(json_object_get(home->sizes, size), "connections", 0) : 0;
}

int64_t room_promised(struct ctx *ctx, struct pass *pass, const char *pool)
{
    size_t at;
    json_t *claim;
    int64_t sum = 0;
    const json_t *claims = pass_list(ctx, pass, KIND_BACKEND_CLAIM, NULL, LABEL_POOL, pool);
    json_array_foreach(claims, at, claim)
        sum += connections_of(pass->home, json_str(claim, "spec.size"));
    return sum;
}

int64_t room_limit(const json_t *pool)
{
    return json_int_or(pool, "spec.connections",
                       json_int_or(pool, "status.connections.limit", INT64_MAX));
}

bool room_for(struct ctx *ctx, struct pass *pass, const json_t *pool, const char *size,
              const char *granted)
{
    int64_t limit = room_limit(pool);
    int64_t more = connections_of(pass->home, size) - connections_of(pass->home, granted);
    return more <= 0 || limit == INT64_MAX ||
           room_promised(ctx, pass, pool_name(pool)) + more <= limit;
}

static int grant(struct ctx *ctx, struct pass *pass, const json_t **claim, const char *size)
{
    json_t *live = NULL;
    json_t *patch = arena_json(ctx->arena, json_pack("{s:{s:s}}", "spec", "size", size));
    TRY(pass_patch(ctx, pass, CALL_KUBE_CLAIM_UPDATE, *claim, NULL, patch, &live));
    *claim = live;
    return 0;
}

/* A claim that names no size was made before sizes were counted: what it has is noted. */
int room_grant(struct ctx *ctx, struct pass *pass, const json_t *pool, const json_t **claim)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const char *granted = json_str(*claim, "spec.size"), *wanted = scope->spec.size;
    scope->granted = granted;
    if (str_equal(granted, wanted) || !json_object_get(home->sizes, wanted))
        return 0;
    if (granted && !room_for(ctx, pass, pool, wanted, granted)) {
        pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* pools wake nobody */
        scope->cramped = arena_printf(
            ctx->arena,
            "size %s needs %lld connections, and pool '%s' has promised %lld of %lld; %s runs on",
            wanted, (long long)connections_of(home, wanted), pool_name(pool),
            (long long)room_promised(ctx, pass, pool_name(pool)), (long long)room_limit(pool),
            granted);
        return 0;
    }
    TRY(grant(ctx, pass, claim, wanted));
    scope->granted = wanted;
    return 0;
}
