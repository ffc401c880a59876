/* Redis: an index, which is the claim's slot + 1 (0 is where every connection starts), and a user
 * that is fenced into it. */
#include "reconcilers/registry/rotation.h"

#include "reconcilers/backends/redis.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum { PORT = 6379 };

struct session {
    struct redis_pool pool;
    struct redis *redis;
    struct redis_state state;
};

static int access_of(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                     const json_t *pool, struct redis_pool *ret)
{
    static const char *const keys[] = {"username", "password"};
    const char *values[2], *ca_pem;
    TRY(pool_administrator(ctx, kube, home, pool, keys, values));
    TRY(pool_authorities(ctx, kube, home, pool, &ca_pem));
    *ret = (struct redis_pool){
        .name = pool_name(pool),
        .host = pool_host(pool),
        .port = pool_port(pool),
        .ssl_mode = pool_ssl_mode(pool),
        .ca_pem = ca_pem,
        .user = values[0],
        .password = values[1],
        .cell = home->cell,
        .gates = home->gates,
    };
    return 0;
}

static int index_of(const struct backend_work *work)
{
    return (int)json_int_or(work->at->claim, "spec.slot", -1) + 1;
}

static const char *name(struct ctx *ctx, const struct backend_work *work)
{
    return redis_name(ctx, work->identity);
}

static int begin(struct ctx *ctx, struct backend_work *work)
{
    struct session *session = arena_alloc(ctx->arena, sizeof *session);
    work->session = session;
    TRY(access_of(ctx, work->kube, work->home, work->at->pool, &session->pool));
    TRY(redis_begin(ctx, &session->pool, work->identity, index_of(work), &session->redis));
    if (work->was_there)
        redis_own_index(session->redis);
    return 0;
}

static void end(struct backend_work *work)
{
    redis_end(((struct session *)work->session)->redis);
}

static void note(struct backend_work *work, const struct redis_state *state)
{
    work->any = work->data = state->user;
}

static int observe(struct ctx *ctx, struct backend_work *work)
{
    struct session *session = work->session;
    TRY(redis_observe(ctx, session->redis, &session->state));
    note(work, &session->state);
    return 0;
}

static int converge(struct ctx *ctx, struct backend_work *work)
{
    struct session *session = work->session;
    const struct redis_want want = {
        .passwords = {registry_secret_value(ctx, work->kept, KEPT_REDIS_PASSWORD),
                      registry_secret_value(ctx, work->kept, KEPT_REDIS_PASSWORD KEPT_OTHER)},
        .open = work->open,
        .retires = rotation_of(work->kept, CREDENTIAL_REDIS).phase == ROTATION_RETIRING,
    };
    if (want.open)
        TRY(redis_create(ctx, session->redis, &want, &session->state));
    TRY(redis_update(ctx, session->redis, &want, &session->state));
    note(work, &session->state);
    return 0;
}

static int remove_all(struct ctx *ctx, struct backend_work *work)
{
    return redis_remove(ctx, ((struct session *)work->session)->redis);
}

static int changes(const struct backend_work *work)
{
    return redis_changes(((const struct session *)work->session)->redis);
}

static void facts(struct ctx *ctx, const struct backend_work *work, json_t *facts)
{
    const json_t *pool = work->at->pool;
    bool plain = str_equal(pool_ssl_mode(pool), "disable");
    json_put(facts, "redis.dedicated", json_false());
    json_put(facts, "redis.index", json_integer(index_of(work)));
    fact_put(facts, "redis.user", redis_name(ctx, work->identity));
    fact_put(facts, "redis.password", registry_secret_value(ctx, work->kept, KEPT_REDIS_PASSWORD));
    fact_put(facts, "redis.scheme", plain ? "redis" : "rediss");
    /* What a registry that knows no user name can use: not this one. */
    fact_put(facts, "redis.userlessCache", "inmemory");
}

/* ---- the pool ---- */

static struct pool_warning persistence(const struct redis_health *health)
{
    if (health->acl_persisted)
        return (struct pool_warning){"AclNotPersisted", "False", "AclFile",
                                     "users are saved in the server's ACL file"};
    return (struct pool_warning){"AclNotPersisted", "True", "NoAclFile",
                                 "set `aclfile`: a restart forgets all users, registries lose "
                                 "their Redis until they are made anew"};
}

static struct pool_warning openness(const struct redis_health *health)
{
    if (health->default_open)
        return (struct pool_warning){"OpenToAll", "True", "DefaultUser",
                                     "the user `default` needs no password or reaches data: "
                                     "ACL SETUSER default off resetchannels -@all"};
    return (struct pool_warning){"OpenToAll", "False", "DefaultUserOff",
                                 "the user `default` reaches nothing"};
}

static struct pool_warning eviction(struct ctx *ctx, const struct redis_health *health)
{
    if (!health->evicting)
        return (struct pool_warning){"Evicting", "False", "NoEviction",
                                     "no key goes when memory is full"};
    return (struct pool_warning){
        "Evicting", "True", "EvictionPolicy",
        arena_printf(ctx->arena,
                     "maxmemory-policy %s drops queued jobs when memory is full: set noeviction",
                     health->evicting)};
}

static struct pool_warning room(struct ctx *ctx, const json_t *pool,
                                const struct redis_health *health)
{
    int64_t slots = json_int_or(pool, "spec.slots", 0);
    if (health->databases == 0)
        return (struct pool_warning){"TooFewDatabases", "Unknown", "NotTold",
                                     "the server does not tell how many databases it has"};
    if (slots < health->databases)
        return (struct pool_warning){"TooFewDatabases", "False", "EnoughDatabases",
                                     "there is a database for each slot"};
    return (struct pool_warning){
        "TooFewDatabases", "True", "SlotsBeyondDatabases",
        arena_printf(ctx->arena, "%lld slots need `databases %lld`, the server has %d",
                     (long long)slots, (long long)slots + 1, health->databases)};
}

static int check(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                 const json_t *pool, struct pool_health *ret)
{
    struct redis_pool access;
    struct redis_health health;
    TRY(access_of(ctx, kube, home, pool, &access));
    TRY(redis_check(ctx, &access, &health));
    *ret = (struct pool_health){
        .version = health.version,
        .owner = health.owner,
        .ours = health.ours,
        .warnings = {persistence(&health), openness(&health), eviction(ctx, &health),
                     room(ctx, pool, &health)},
    };
    return 0;
}

static int list(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                const json_t *pool, json_t **ret)
{
    struct redis_pool access;
    TRY(access_of(ctx, kube, home, pool, &access));
    return redis_list(ctx, &access, ret);
}

/*
 * Without `lost`: what Harbor keeps in Redis is a cache, sessions, and jobs that wait. A user or an
 * index that is gone is made anew, and an event tells that queued jobs may be lost; to stop a
 * registry until a person has agreed to that would be the greater loss.
 */
const struct backend_row backend_redis = {
    .type = BACKEND_REDIS,
    .port = PORT,
    .what = "Redis user and index",
    .failed = "RedisFailed",
    .slots_are_places = true, /* an index of the server */
    .fenced = true,
    .name = name,
    .begin = begin,
    .end = end,
    .observe = observe,
    .converge = converge,
    .remove = remove_all,
    .changes = changes,
    .facts = facts,
    .check = check,
    .list = list,
};
