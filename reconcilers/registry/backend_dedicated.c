/*
 * Redis of a registry's own: a StatefulSet of its stack (manifests/redis-*.yaml), where the pool
 * says `mode: dedicated`. Nobody logs in from here: an operator need not reach pods. The pod's
 * readiness probe does, with the kept password, and so a ready pod is the proof. What is outside of
 * the stack is its volume, which outlives the StatefulSet and goes with the purge; whose it is says
 * the label with the identity. docs/adr/0014-a-redis-of-its-own.md
 */
#include "reconcilers/registry/rotation.h"

#include "reconcilers/engine/engine.h"
#include "server/adapters/crypto.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { PORT = 6379 };

static const char *name(struct ctx *ctx, const struct backend_work *work)
{
    return arena_printf(ctx->arena, "redis-%s", work->identity);
}

/* ---- one registry's part: its volume ---- */

static int begin(struct ctx *ctx, struct backend_work *work)
{
    work->session = arena_json(ctx->arena, json_array());
    return 0;
}

static void end(struct backend_work *work)
{
    work->session = NULL;
}

/* In whatever namespace: the Registry that named it may be gone. */
static int observe(struct ctx *ctx, struct backend_work *work)
{
    json_t *volumes = NULL;
    const char *selector = arena_printf(ctx->arena, LABEL_IDENTITY "=%s", work->identity);
    TRY(kube_list(ctx, CALL_KUBE_VOLUME_LIST, work->kube, KIND_VOLUME_CLAIM, NULL, selector,
                  &volumes));
    work->session = volumes;
    work->any = work->data = json_array_size(volumes) > 0;
    return 0;
}

/* The stack makes and ends it: with the pods at zero nobody can log in. */
static int converge(struct ctx *ctx, struct backend_work *work)
{
    (void)ctx;
    (void)work;
    return 0;
}

static int remove_volume(struct ctx *ctx, const struct backend_work *work, const json_t *volume)
{
    if (json_at(volume, "metadata.deletionTimestamp"))
        return 0;
    return kube_delete(ctx, CALL_KUBE_VOLUME_DELETE, work->kube, KIND_VOLUME_CLAIM,
                       json_str(volume, "metadata.namespace"), json_str(volume, "metadata.name"),
                       json_str(volume, "metadata.uid"), NULL);
}

static int remove_all(struct ctx *ctx, struct backend_work *work)
{
    size_t at;
    json_t *volume;
    TRY(observe(ctx, work));
    json_array_foreach((const json_t *)work->session, at, volume)
        TRY(remove_volume(ctx, work, volume));
    TRY(observe(ctx, work));
    if (work->any)
        return err_set(ctx, ERR_UNAVAILABLE, "VolumeRemains", "the volume of '%s' is being removed",
                       name(ctx, work));
    return 0;
}

static int changes(const struct backend_work *work)
{
    (void)work;
    return 0;
}

/* While it starts, a registry that is open again is what it was: closed. */
static void look(struct ctx *ctx, struct pass *pass, struct registry_backend *backend,
                 enum external_state before)
{
    const struct registry_scope *scope = pass->scope;
    const json_t *own = pass_get(ctx, pass, KIND_STATEFUL_SET, scope->namespace,
                                 arena_printf(ctx->arena, "%s-redis", scope->name));
    if (registry_closed(scope))
        return;
    if (json_int_or(own, "status.readyReplicas", 0) > 0) {
        backend->external = EXTERNAL_OPEN;
        return;
    }
    backend->external = before ? before : EXTERNAL_PENDING;
    backend->error = "the registry's own Redis has no pod that is ready";
}

/* ---- facts ---- */

static const char *hash_of(struct ctx *ctx, const char *password)
{
    char hex[SHA256_HEX_BYTES];
    if (!password)
        return NULL;
    crypto_sha256_hex(password, strlen(password), hex);
    return arena_printf(ctx->arena, "#%s", hex);
}

/* "#<sha256> #<sha256>", as a line of an ACL file has them. In order: Redis must not restart when
 * the two of a rotation change places. */
static const char *hashes(struct ctx *ctx, const struct backend_work *work)
{
    const char *one = hash_of(ctx, registry_secret_value(ctx, work->kept, KEPT_REDIS_PASSWORD));
    const char *other =
        hash_of(ctx, registry_secret_value(ctx, work->kept, KEPT_REDIS_PASSWORD KEPT_OTHER));
    if (!one || !other)
        return one;
    bool first = strcmp(one, other) < 0;
    return arena_printf(ctx->arena, "%s %s", first ? one : other, first ? other : one);
}

static void facts(struct ctx *ctx, const struct backend_work *work, json_t *facts)
{
    const char *registry = json_str_or(facts, "registry.name", "");
    const char *password = registry_secret_value(ctx, work->kept, KEPT_REDIS_PASSWORD);
    const char *host = arena_printf(ctx->arena, "%s-redis", registry);
    json_put(facts, "redis.dedicated", json_true());
    fact_put(facts, "redis.pool", pool_name(work->at->pool));
    fact_put(facts, "redis.storageClass", json_str(work->at->pool, "spec.storageClassName"));
    fact_put(facts, "redis.host", host);
    json_put(facts, "redis.port", json_integer(PORT));
    fact_put(facts, "redis.address", arena_printf(ctx->arena, "%s:%d", host, PORT));
    json_put(facts, "redis.tls", json_false());
    json_put(facts, "redis.peers",
             json_pack("[{s:{s:{s:s, s:s}}}]", "podSelector", "matchLabels", LABEL_REGISTRY,
                       registry, LABEL_COMPONENT, "redis"));
    json_put(facts, "redis.index", json_integer(0));
    fact_put(facts, "redis.scheme", "redis");
    fact_put(facts, "redis.user", "default");
    fact_put(facts, "redis.password", password);
    fact_put(facts, "redis.hashes", hashes(ctx, work));
    fact_put(facts, "redis.passwordAlone", password);
    fact_put(facts, "redis.userlessCache", "redis");
}

/* ---- the pool: how many there may be ---- */

static int check(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                 const json_t *pool, struct pool_health *ret)
{
    (void)ctx;
    (void)kube;
    (void)pool;
    *ret = (struct pool_health){.owner = home->cell,
                                .ours = true,
                                .message = "each registry gets a Redis of its own, in its stack"};
    return 0;
}

static int list(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                const json_t *pool, json_t **ret)
{
    json_t *volumes = NULL, *volume, *found = arena_json(ctx->arena, json_array());
    size_t at;
    const char *selector =
        arena_printf(ctx->arena, LABEL_IDENTITY "," LABEL_POOL "=%s", pool_name(pool));
    (void)home;
    TRY(kube_list(ctx, CALL_NONE, kube, KIND_VOLUME_CLAIM, NULL, selector, &volumes));
    json_array_foreach(volumes, at, volume)
        json_array_append_new(
            found, json_pack("{s:s, s:o, s:s}", "kind", "Volume", "name",
                             json_sprintf("%s/%s", json_str_or(volume, "metadata.namespace", ""),
                                          json_str_or(volume, "metadata.name", "")),
                             "identity", kube_label(volume, LABEL_IDENTITY)));
    *ret = found;
    return 0;
}

/* Without `lost`, as a shared one: jobs that waited may go with the volume, and an event says so.
 */
const struct backend_row backend_dedicated = {
    .type = BACKEND_REDIS,
    .port = PORT,
    .what = "Redis and its volume",
    .failed = "RedisFailed",
    .inside = true,
    .fenced = true,
    .name = name,
    .begin = begin,
    .end = end,
    .observe = observe,
    .converge = converge,
    .remove = remove_all,
    .changes = changes,
    .look = look,
    .facts = facts,
    .check = check,
    .list = list,
};
