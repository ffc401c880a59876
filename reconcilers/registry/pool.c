/*
 * BackendPool on the shard `cluster`: can its administrator log in, is the server ours, how many
 * slots are used. Claims wake it (the number of used slots changes), but the server is asked only
 * every POOL_CHECK_MS or when the spec changed.
 */
#include "reconcilers/engine/conditions.h"
#include "reconcilers/registry/identity_reconciler.h"
#include "reconcilers/registry/room.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

enum { COUNT_MS = 1000 }; /* a hundred claims at once are two writes of the status */

struct pool_scope {
    bool checked; /* in this pass */
    struct pool_health health;
};

static const char *health_reason(const struct pool_health *health)
{
    if (!health->ours)
        return "OwnedByOtherCluster";
    return health->blocked ? health->blocked : "Healthy";
}

static const char *health_message(const struct pool_health *health)
{
    if (!health->ours)
        return "the server carries the mark of another cluster; no slot is used";
    if (health->blocked)
        return health->blocked_why;
    return health->message ? health->message : "the administrator logs in, and the server is ours";
}

/* What was checked and what was found: it counts only while the status says the same. */
static uint64_t wish_of(const struct pass *pass, const char *found)
{
    return json_hash(json_at(pass->root, "spec")) ^ str_hash(found);
}

/* Another pool of the same server that was there before. */
static const json_t *elder_of(struct ctx *ctx, struct pass *pass, enum backend_type type)
{
    size_t at;
    json_t *other;
    const json_t *pools = pass_list(ctx, pass, KIND_BACKEND_POOL, NULL, NULL, NULL);
    json_array_foreach(pools, at, other)
        if (backend_type_of(json_str(other, "spec.type")) == type &&
            str_equal(pool_host(other), pool_host(pass->root)) &&
            pool_port(other) == pool_port(pass->root) && registry_is_older(other, pass->root))
            return other;
    return NULL;
}

static int check_alone(struct ctx *ctx, struct pass *pass, enum backend_type type)
{
    const struct backend_row *row = backend_row_of(type, pass->root);
    const json_t *elder = row->slots_are_places ? elder_of(ctx, pass, type) : NULL;
    if (!elder)
        return 0;
    return err_set(ctx, ERR_WAITING, "ServerTaken",
                   "pool '%s' gives out the slots of this server; two would give each twice",
                   pool_name(elder));
}

static int check(struct ctx *ctx, struct pass *pass)
{
    struct pool_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const char *uid = json_str_or(pass->root, "metadata.uid", "");
    const char *told = json_str_or(condition_get(pass->status, "Ready"), "reason", "");
    int64_t age = verify_age_ms(home->verified, uid, wish_of(pass, told));
    if (age >= 0 && age < POOL_CHECK_MS) {
        pass_requeue(pass, POOL_CHECK_MS - age);
        return 0;
    }
    enum backend_type type = backend_type_of(json_str(pass->root, "spec.type"));
    if (type == BACKEND_TYPES)
        return err_set(ctx, ERR_INVALID, NULL, "the type of the pool is not known here");
    pass_requeue(pass, POOL_CHECK_MS);
    TRY(check_alone(ctx, pass, type));
    const struct backend_row *row = backend_row_of(type, pass->root);
    int rc = row->check(ctx, pass_kube(pass), home, pass->root, &scope->health);
    TRY(backend_busy(ctx, pass, pass->root, rc));
    verify_done(home->verified, uid, wish_of(pass, health_reason(&scope->health)));
    scope->checked = true;
    return 0;
}

static void set_health(struct ctx *ctx, const struct pass *pass, int64_t generation)
{
    const struct pool_scope *scope = pass->scope;
    const struct pool_health *health = &scope->health;
    if (health->version)
        json_put(pass->status, "serverVersion", json_string(health->version));
    if (health->owner)
        json_put(pass->status, "ownerMark", json_string(health->owner));
    if (health->connections)
        json_put(pass->status, "connections.limit",
                 json_integer(json_int_or(pass->root, "spec.connections", health->connections)));
    condition_set(ctx, pass->status, "Ready", health->ours && !health->blocked ? "True" : "False",
                  health_reason(health), generation, "%s", health_message(health));
    for (int at = 0; at < POOL_WARNINGS_MAX && health->warnings[at].type; at++) {
        const struct pool_warning *warning = &health->warnings[at];
        condition_set(ctx, pass->status, warning->type, warning->status, warning->reason,
                      generation, "%s", warning->message);
    }
}

static void set_failure(struct ctx *ctx, const struct pass *pass, int64_t generation)
{
    static const char *const own_words[] = {"SecretMissing", "ServerTaken"};
    const char *reason = "Unreachable";
    if (str_equal(pass->failure->reason, "BreakerOpen"))
        return; /* tells less than the failure that opened it */
    for (size_t at = 0; at < ARRAY_SIZE(own_words); at++)
        if (str_equal(pass->failure->reason, own_words[at]))
            reason = own_words[at];
    condition_set(ctx, pass->status, "Ready", "False", reason, generation, "%s",
                  pass->failure->message);
}

static void set_promised(struct ctx *ctx, struct pass *pass)
{
    int64_t promised = room_promised(ctx, pass, pass->key.name);
    json_put(pass->status, "connections.promised", json_integer(promised));
    metric_set(METRIC_POOL_CONNECTIONS, (double)promised, pass->key.name, "promised");
    metric_set(METRIC_POOL_CONNECTIONS, (double)json_int_or(pass->status, "connections.limit", 0),
               pass->key.name, "limit");
}

static int status(struct ctx *ctx, struct pass *pass)
{
    const struct pool_scope *scope = pass->scope;
    int64_t generation = json_int_or(pass->root, "metadata.generation", 0);
    if (pass->rc == -ERR_CONFLICT || (pass->rc < 0 && str_equal(pass->failure->reason, "PoolBusy")))
        return 0;
    size_t used =
        json_array_size(pass_list(ctx, pass, KIND_BACKEND_CLAIM, NULL, LABEL_POOL, pass->key.name));
    json_put(pass->status, "observedGeneration", json_integer(generation));
    json_put(pass->status, "usedSlots", json_integer((json_int_t)used));
    if (scope->checked) {
        set_health(ctx, pass, generation);
    } else if (pass->rc < 0) {
        set_failure(ctx, pass, generation);
    }
    if (json_at(pass->status, "connections"))
        set_promised(ctx, pass);
    return 0;
}

static bool claim_to_pool(const json_t *claim, struct key *ret)
{
    const char *pool = json_str(claim, "spec.pool");
    if (!pool)
        return false;
    snprintf(ret->name, sizeof ret->name, "%s", pool);
    return true;
}

static const struct phase phases[] = {
    {.name = "check", .run = check, .why = "log in as administrator, read the owner mark"},
    {.name = "status", .run = status, .flags = PHASE_ALWAYS, .why = "health and used slots"},
    {0},
};

const struct reconciler pool_reconciler = {
    .name = "backendpool",
    .kind = KIND_BACKEND_POOL,
    .shard = SHARD_CLUSTER,
    .scope_bytes = sizeof(struct pool_scope),
    .sources = {{.kind = KIND_BACKEND_CLAIM, .map = claim_to_pool, .wake_every_ms = COUNT_MS}},
    .source_count = 1,
    .phases = phases,
    .resync_ms = 600000,
};
