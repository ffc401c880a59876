/*
 * RegistryIdentity on the shard `cluster`: retains what a Registry left behind that went without
 * its finalizer (orphan.c), ends what was retained when its time has come, and removes what is
 * Purging. Nothing else in the house drops data. Order: bucket, Redis index, database (only with
 * our mark, read back as gone), credentials, claims, identity. PostgreSQL's claim goes last of the
 * claims: its lock guards the other backends. Each step is idempotent; Purging is a state that the
 * API server lets nobody leave, so that a crash at any point is only a pause.
 */
#include "reconcilers/registry/identity_reconciler.h"

#include "reconcilers/engine/conditions.h"
#include "reconcilers/registry/scope.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum { RECHECK_MS = 3600000, CLOCKS_DIFFER_MS = 10000 };

static bool in_state(const struct pass *pass, const char *state)
{
    return str_equal(json_str(pass->root, "spec.state"), state);
}

/* ---- Retained to Purging ---- */

static int expire(struct ctx *ctx, struct pass *pass)
{
    int64_t end_ms;
    if (!in_state(pass, "Retained") || json_at(pass->root, "metadata.deletionTimestamp"))
        return 0;
    const char *end = json_str_or(pass->root, "spec.purgeAfter", "");
    if (clock_parse_rfc3339(end, &end_ms) < 0)
        return err_set(ctx, ERR_INVALID, NULL, "purgeAfter '%.40s' is no time", end);
    int64_t left_ms = end_ms - clock_wall_ms();
    if (left_ms > 0) {
        pass_requeue(pass, left_ms < RECHECK_MS ? left_ms : RECHECK_MS);
        return 0;
    }
    json_t *patch = json_pack("{s:{s:s}}", "spec", "state", "Purging");
    return pass_patch(ctx, pass, CALL_KUBE_IDENTITY_UPDATE, pass->root, NULL,
                      arena_json(ctx->arena, patch), NULL);
}

/* ---- Purging to gone ---- */

/* Under the lock: a pass that hung before it must not drop what a later registry made. */
static int still_purging(struct ctx *ctx, struct pass *pass)
{
    json_t *live = NULL;
    TRY(kube_get(ctx, CALL_KUBE_IDENTITY_READ, pass_kube(pass), KIND_REGISTRY_IDENTITY, NULL,
                 pass->key.name, &live));
    if (str_equal(json_str(live, "metadata.uid"), json_str(pass->root, "metadata.uid")) &&
        str_equal(json_str(live, "spec.state"), "Purging"))
        return 0;
    return err_set(ctx, ERR_CONFLICT, NULL, "the identity changed while this pass ran");
}

/* Our own clock brought us here; a clock that jumped must not shorten anybody's grace period. */
static int clocks_agree(struct ctx *ctx, struct pass *pass, struct postgres *pg)
{
    struct postgres_state state;
    const char *end = json_str(pass->root, "spec.purgeAfter");
    TRY(postgres_observe(ctx, pg, &state));
    if (!end || registry_time_passed(end, state.now_ms))
        return 0;
    pass_requeue(pass, CLOCKS_DIFFER_MS);
    return err_set(ctx, ERR_WAITING, "ClocksDiffer",
                   "purgeAfter has not passed by the clock of the pool");
}

static int drop_one(struct ctx *ctx, struct pass *pass, struct backend_work *work)
{
    (void)pass;
    return work->row->remove(ctx, work);
}

static int drop_backends(struct ctx *ctx, struct pass *pass,
                         const json_t *const claims[BACKEND_TYPES])
{
    struct registry_backend backends[BACKEND_TYPES];
    _cleanup_backend_lock_ struct backend_lock lock = {0};
    TRY(registry_resolve(ctx, pass, claims, backends));
    TRY(backend_lock(ctx, pass, &backends[BACKEND_POSTGRESQL], pass->key.name, &lock));
    TRY(still_purging(ctx, pass));
    TRY(clocks_agree(ctx, pass, lock.held));
    for (int type = BACKEND_TYPES - 1; type >= 0; type--) {
        struct backend_work work = {.row = backend_row_of(type, backends[type].pool),
                                    .home = pass->home,
                                    .kube = pass_kube(pass),
                                    .identity = pass->key.name,
                                    .at = &backends[type]};
        if (backends[type].claim)
            TRY(backend_run(ctx, pass, &lock, &work, drop_one));
    }
    return 0;
}

static int drop_credential(struct ctx *ctx, struct pass *pass)
{
    const struct registry_operator *home = pass->home;
    json_t *secret = NULL;
    TRY(kube_get(ctx, CALL_KUBE_SECRET_READ, pass_kube(pass), KIND_SECRET, home->namespace,
                 registry_secret_name(ctx, pass->key.name), &secret));
    if (!str_equal(kube_label(secret, LABEL_IDENTITY), pass->key.name))
        return 0; /* gone, or not ours */
    return pass_delete(ctx, pass, CALL_KUBE_SECRET_DELETE, secret);
}

/* Twice: what a list of the past lacks would be left for ever, and nobody would know of it. */
static int find_claims(struct ctx *ctx, struct pass *pass, const json_t *ret[BACKEND_TYPES])
{
    const json_t *again[BACKEND_TYPES];
    TRY(registry_claims_live(ctx, pass, pass->key.name, ret));
    TRY(registry_claims_live(ctx, pass, pass->key.name, again));
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        if (!ret[type] != !again[type])
            return err_set(ctx, ERR_CONFLICT, NULL, "a claim came or went while it was looked at");
    return 0;
}

static int purge(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const json_t *claims[BACKEND_TYPES];
    bool claimed = false;
    if (!in_state(pass, "Purging"))
        return 0;
    TRY(find_claims(ctx, pass, claims));
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        claimed |= claims[type] != NULL;
    if (claimed)
        TRY(drop_backends(ctx, pass, claims));
    TRY(drop_credential(ctx, pass));
    for (int type = BACKEND_TYPES - 1; type >= 0; type--)
        if (claims[type])
            TRY(pass_delete(ctx, pass, CALL_KUBE_CLAIM_DELETE, claims[type]));
    TRY(pass_delete(ctx, pass, CALL_KUBE_IDENTITY_DELETE, pass->root));
    scope->let_go = true;
    return 0;
}

/* ---- status: only where there is something to tell; a thousand held identities stay as they are
 */

static int status(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    const char *state = json_str_or(pass->root, "spec.state", "");
    int64_t generation = json_int_or(pass->root, "metadata.generation", 0);
    bool gone = str_equal(state, "Held") && scope->deleting; /* and not retained yet */
    bool held = str_equal(state, "Held") && !scope->deleting;
    if (scope->let_go || pass->rc == -ERR_CONFLICT || (held && pass->rc < 0) ||
        (held && !condition_get(pass->status, "Ready")))
        return 0;
    json_put(pass->status, "observedGeneration", json_integer(generation));
    condition_set(ctx, pass->status, "Ready", held ? "True" : "False",
                  gone ? "RegistryGone" : state, generation, "%s",
                  pass->rc < 0                  ? pass->failure->message
                  : held                        ? "a live registry holds the identity"
                  : str_equal(state, "Purging") ? "the data is being removed"
                                                : "the data is kept until purgeAfter");
    return 0;
}

static bool set_name(struct key *ret, const char *identity)
{
    if (!registry_identity_valid(identity))
        return false;
    snprintf(ret->name, sizeof ret->name, "%s", identity);
    return true;
}

static bool claim_to_identity(const json_t *claim, struct key *ret)
{
    return set_name(ret, json_str(claim, "spec.identity"));
}

static bool registry_to_identity(const json_t *registry, struct key *ret)
{
    return set_name(ret, json_str(registry, "spec.identity"));
}

static const struct phase phases[] = {
    {.name = "orphan", .run = identity_orphan, .why = "a deletion that we missed is made good"},
    {.name = "expire", .run = expire, .why = "the time of what was retained may have come"},
    {.name = "purge", .run = purge, .why = "the one place that removes data"},
    {.name = "status", .run = status, .flags = PHASE_ALWAYS, .why = "what is kept, what is left"},
    {0},
};

const struct reconciler identity_reconciler = {
    .name = "registryidentity",
    .kind = KIND_REGISTRY_IDENTITY,
    .shard = SHARD_CLUSTER,
    .scope_bytes = sizeof(struct registry_scope), /* what an identity knows of it */
    .sources = {{.kind = KIND_BACKEND_CLAIM, .map = claim_to_identity},
                {.kind = KIND_REGISTRY, .map = registry_to_identity},
                {.kind = KIND_SECRET,
                 .label_selector = LABEL_MANAGED_BY "=flotilla",
                 .map = source_wakes_nobody},
                {.kind = KIND_BACKEND_POOL, .map = source_wakes_nobody}},
    .source_count = 4,
    .phases = phases,
    .resync_ms = 3600000,
};
