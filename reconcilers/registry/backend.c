/*
 * Act, the half outside of the cluster: the registry's database. Under the identity's lock the wish
 * is read live once more (Registry and RegistryIdentity): a pass that hung before it got the lock
 * must not undo what a later one did. What was verified in this process for the same wish, not long
 * ago, is not looked at again.
 */
#include "reconcilers/registry/identity.h"

#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

static struct postgres_want want_of(struct ctx *ctx, const struct registry_scope *scope)
{
    return (struct postgres_want){
        .identity = scope->spec.identity,
        .password = registry_kept(ctx, scope, "password"),
        .connection_limit = (int)json_int_or(scope->size, "connections", 1),
        .open = !registry_closed(scope),
    };
}

/*
 * A hash of everything that the verification depends on, and of what it found: it counts only while
 * the status says the same, which it does not when the pass that verified could not write it.
 */
static uint64_t wish_of(struct ctx *ctx, const struct registry_scope *scope,
                        enum external_state found)
{
    const struct registry_backend *backend = &scope->backends[BACKEND_POSTGRESQL];
    return str_hash(
        arena_printf(ctx->arena, "%lld %s %s %lld %s %d %d %s", (long long)scope->generation,
                     scope->spec.identity, json_str_or(backend->claim, "metadata.name", ""),
                     (long long)json_int_or(backend->pool, "metadata.generation", 0),
                     json_str_or(backend->pool, "metadata.uid", ""), registry_closed(scope),
                     (int)found, registry_kept(ctx, scope, "password")));
}

/* The interval, less up to a fifth of it by the identity: a thousand registries do not come at
 * once. */
static int64_t interval_of(const struct registry_operator *home, const char *identity)
{
    int64_t fifth = home->verify_interval_ms / 5 + 1;
    return home->verify_interval_ms - (int64_t)(str_hash(identity) % (uint64_t)fifth);
}

/* As status.externals tells them. */
static const char *const state_names[] = {
    [EXTERNAL_PENDING] = "Pending",
    [EXTERNAL_OPEN] = "Open",
    [EXTERNAL_CLOSED] = "Closed",
    [EXTERNAL_LOST] = "Lost",
};

const char *registry_external_name(enum external_state state)
{
    return state_names[state];
}

const json_t *registry_external(const json_t *status, const char *type)
{
    return json_find(status, "externals", "type", type);
}

static enum external_state recorded(const struct pass *pass)
{
    const char *name = json_str(registry_external(pass->status, "PostgreSQL"), "state");
    for (enum external_state state = EXTERNAL_PENDING; state <= EXTERNAL_LOST; state++)
        if (str_equal(state_names[state], name))
            return state;
    return EXTERNAL_UNKNOWN;
}

/* ---- under the lock ---- */

static int check_identity(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    json_t *live = NULL;
    TRY(kube_get(ctx, CALL_KUBE_IDENTITY_READ, pass_kube(pass), KIND_REGISTRY_IDENTITY, NULL,
                 scope->spec.identity, &live));
    if (identity_is_held_by(live, scope->uid))
        return 0;
    return err_set(ctx, ERR_CONFLICT, NULL, "the identity changed hands while this pass ran");
}

/*
 * A database that was there and is gone is a loss of data. Making an empty one would hide that, so
 * a person decides: restore it (with its mark), or accept the loss by annotation.
 */
static int check_lost(struct ctx *ctx, struct pass *pass, const struct postgres_state *state)
{
    struct registry_scope *scope = pass->scope;
    enum external_state before = recorded(pass);
    bool was_there = before != EXTERNAL_UNKNOWN && before != EXTERNAL_PENDING;
    const char *accepted = kube_annotation(pass->root, ANNOTATION_ACCEPT_LOSS);
    if (state->database || !was_there || str_equal(accepted, scope->spec.identity))
        return 0;
    scope->backends[BACKEND_POSTGRESQL].external = EXTERNAL_LOST;
    return err_set(ctx, ERR_TAKEN, "DatabaseLost",
                   "database '%s' is gone; restore it, or accept the loss with the "
                   "annotation " ANNOTATION_ACCEPT_LOSS "=%s",
                   postgres_name(ctx, scope->spec.identity), scope->spec.identity);
}

static int converge(struct ctx *ctx, struct pass *pass, struct postgres *pg)
{
    struct registry_scope *scope = pass->scope;
    const struct postgres_want want = want_of(ctx, scope);
    struct postgres_state state;
    TRY(registry_still_wanted(ctx, pass));
    TRY(check_identity(ctx, pass));
    TRY(postgres_observe(ctx, pg, &state));
    TRY(check_lost(ctx, pass, &state));
    if (want.open)
        TRY(postgres_create(ctx, pg, &want, &state));
    TRY(postgres_update(ctx, pg, &want, &state));
    if (want.open && recorded(pass) == EXTERNAL_OPEN && postgres_changes(pg) > 0)
        pass_event(ctx, pass, "Normal", "BackendChanged", "Update",
                   "role or database '%s' was not as wanted and was set right",
                   postgres_name(ctx, want.identity));
    scope->backends[BACKEND_POSTGRESQL].external = want.open        ? EXTERNAL_OPEN
                                                   : state.database ? EXTERNAL_CLOSED
                                                                    : EXTERNAL_PENDING;
    return 0;
}

/* ---- the phase ---- */

int registry_backend(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    struct registry_backend *backend = &scope->backends[BACKEND_POSTGRESQL];
    enum external_state before = recorded(pass);
    int64_t interval = interval_of(home, scope->spec.identity);
    int64_t age = verify_age_ms(home->verified, scope->uid, wish_of(ctx, scope, before));
    if (age >= 0 && age < interval) {
        backend->external = before;
        pass_requeue(pass, interval - age);
        return 0;
    }
    _cleanup_postgres_ struct postgres *pg = NULL;
    verify_forget(home->verified, scope->uid);
    TRY(registry_pool_begin(ctx, pass, backend->pool, scope->spec.identity, &pg));
    int rc = converge(ctx, pass, pg);
    if (rc == -ERR_TAKEN)
        pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* whoever mends the pool wakes nobody here */
    TRY(rc);
    verify_done(home->verified, scope->uid, wish_of(ctx, scope, backend->external));
    pass_requeue(pass, interval);
    return 0;
}

int registry_backend_close(struct ctx *ctx, struct pass *pass, bool *ret_exists)
{
    struct registry_scope *scope = pass->scope;
    const json_t *claim = NULL, *pool_object = NULL;
    struct postgres_state state;
    _cleanup_postgres_ struct postgres *pg = NULL;
    const struct postgres_want want = {.identity = scope->spec.identity};
    enum external_state before = recorded(pass);
    *ret_exists = before == EXTERNAL_OPEN || before == EXTERNAL_CLOSED || before == EXTERNAL_LOST;
    TRY(registry_claim_live(ctx, pass, scope->spec.identity, &claim));
    if (!claim)
        return 0;
    TRY(registry_pool_of(ctx, pass, claim, &pool_object));
    TRY(registry_pool_begin(ctx, pass, pool_object, scope->spec.identity, &pg));
    TRY(check_identity(ctx, pass));
    TRY(postgres_observe(ctx, pg, &state));
    *ret_exists = *ret_exists || state.role || state.database;
    return postgres_update(ctx, pg, &want, &state);
}
