/*
 * Act, the half outside of the cluster: the registry's backends, one after the other. Under the
 * identity's lock the wish is read live once more (Registry and RegistryIdentity): a pass that hung
 * before it got the lock must not undo what a later one did. What was verified in this process for
 * the same wish, not long ago, is not looked at again.
 *
 * A backend that fails does not keep the next from being looked at: above all a registry is closed
 * as far as that is possible. The first failure is the pass's.
 */
#include "reconcilers/registry/identity.h"
#include "reconcilers/registry/room.h"
#include "reconcilers/registry/rotation.h"

#include "server/base/json.h"
#include "server/base/str.h"

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

const json_t *registry_external(const json_t *status, enum backend_type type)
{
    return json_find(status, "externals", "type", backend_type_names[type]);
}

static enum external_state recorded(const struct pass *pass, enum backend_type type)
{
    const char *name = json_str(registry_external(pass->status, type), "state");
    for (enum external_state state = EXTERNAL_PENDING; state <= EXTERNAL_LOST; state++)
        if (str_equal(state_names[state], name))
            return state;
    return EXTERNAL_UNKNOWN;
}

static bool was_there(enum external_state before)
{
    return before == EXTERNAL_OPEN || before == EXTERNAL_CLOSED || before == EXTERNAL_LOST;
}

static const char *claim_name(const struct registry_backend *at)
{
    return json_str_or(at->claim, "metadata.name", "");
}

/* The claim under which it was made, by the identity or else by the status; NULL = it never was. */
static const char *made_before(const struct pass *pass, enum backend_type type,
                               const struct registry_backend *at)
{
    const char *claim = registry_made(((const struct registry_scope *)pass->scope)->identity, type);
    return claim || !at->claim || !was_there(recorded(pass, type)) ? claim : claim_name(at);
}

/* Only a look that came to its end may find that a loss was accepted. */
static const char *made_after(const struct pass *pass, const struct backend_work *work, int rc)
{
    if (work->data)
        return claim_name(work->at);
    return rc == 0 && registry_accepts_loss(pass) ? NULL
                                                  : made_before(pass, work->row->type, work->at);
}

static bool was_on_pool(const struct pass *pass, enum backend_type type,
                        const struct registry_backend *at)
{
    const struct registry_scope *scope = pass->scope;
    return str_equal(registry_made(scope->identity, type), claim_name(at)) ||
           (was_there(recorded(pass, type)) &&
            str_equal(json_str(registry_external(pass->status, type), "pool"),
                      pool_name(at->pool)));
}

/* Something of it was made once, by the status or by the identity. */
static bool is_known(const struct pass *pass, enum backend_type type)
{
    const struct registry_scope *scope = pass->scope;
    return was_there(recorded(pass, type)) || registry_made(scope->identity, type);
}

static bool nothing_claimed(const struct registry_backend backends[BACKEND_TYPES])
{
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        if (backends[type].claim)
            return false;
    return true;
}

/* ---- what was verified ---- */

/*
 * A hash of everything that the verification depends on, and of what it found: it counts only while
 * the status says the same, which it does not when the pass that verified could not write it.
 */
static uint64_t wish_of(struct ctx *ctx, const struct registry_scope *scope,
                        const enum external_state found[BACKEND_TYPES])
{
    uint64_t kept = json_hash(json_at(scope->kept, "data"));
    const char *text = arena_printf(ctx->arena, "%lld %s %d %s %llx", (long long)scope->generation,
                                    scope->spec.identity, registry_closed(scope), room_size(scope),
                                    (unsigned long long)kept);
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        const struct registry_backend *backend = &scope->backends[type];
        text = arena_printf(ctx->arena, "%s %s %s %lld %s %d", text,
                            json_str_or(backend->claim, "metadata.name", ""),
                            json_str_or(backend->pool, "metadata.uid", ""),
                            (long long)json_int_or(backend->pool, "metadata.generation", 0),
                            json_str_or(backend->given, "metadata.resourceVersion", ""),
                            (int)found[type]);
    }
    return str_hash(text);
}

/* The interval, less up to a fifth of it by the identity: a thousand registries do not come at
 * once. */
static int64_t interval_of(const struct registry_operator *home, const char *identity)
{
    int64_t fifth = home->verify_interval_ms / 5 + 1;
    return home->verify_interval_ms - (int64_t)(str_hash(identity) % (uint64_t)fifth);
}

/* ---- under the lock ---- */

static int check_identity(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    json_t *live = NULL;
    TRY(kube_get(ctx, CALL_KUBE_IDENTITY_READ, pass_kube(pass), KIND_REGISTRY_IDENTITY, NULL,
                 scope->spec.identity, &live));
    if (!identity_is_held_by(live, scope->uid))
        return err_set(ctx, ERR_CONFLICT, NULL, "the identity changed hands while this pass ran");
    scope->identity = live;
    return 0;
}

/*
 * What was there and is gone is a loss of data. Making an empty one would hide that, so a person
 * decides: restore it (with its mark), or accept the loss by annotation.
 */
static int check_lost(struct ctx *ctx, struct pass *pass, const struct backend_work *work)
{
    const struct backend_row *row = work->row;
    struct registry_scope *scope = pass->scope;
    const char *made = made_before(pass, row->type, work->at);
    /* closed in the middle of a restore: it is not lost, but aside or in the dump */
    bool aside = row->type == BACKEND_POSTGRESQL && scope->hop.state.step == HOP_RESTORING;
    if (work->data || !made || aside || registry_accepts_loss(pass))
        return 0;
    if (!row->lost) {
        if (work->open)
            pass_event(ctx, pass, "Warning", "Remade", "Create",
                       "%s '%s' were gone and are made anew; jobs that waited may be lost",
                       row->what, row->name(ctx, work));
        return 0;
    }
    scope->backends[row->type].external = EXTERNAL_LOST;
    return err_set(ctx, ERR_TAKEN, row->lost,
                   "'%s' (%s) was made under claim '%s' and is not on pool '%s'; restore it, or "
                   "accept the loss with the annotation " ANNOTATION_ACCEPT_LOSS "=%s",
                   row->name(ctx, work), row->what, made, pool_name(work->at->pool),
                   work->identity);
}

static int converge(struct ctx *ctx, struct pass *pass, struct backend_work *work)
{
    const struct backend_row *row = work->row;
    struct registry_scope *scope = pass->scope;
    TRY(row->observe(ctx, work));
    int lost = check_lost(ctx, pass, work);
    if (lost < 0 && !work->open)
        TRY(row->converge(ctx, work)); /* what is left of it is locked all the same */
    TRY(lost);
    TRY(row->converge(ctx, work));
    scope->backends[row->type].unproved = work->unproved;
    if (work->open && recorded(pass, row->type) == EXTERNAL_OPEN && row->changes(work) > 0 &&
        !rotation_changes(work->kept, row->type))
        pass_event(ctx, pass, "Normal", "BackendChanged", "Update",
                   "%s '%s' were not as wanted and were set right", row->what,
                   row->name(ctx, work));
    scope->backends[row->type].external = work->open || work->cannot_close ? EXTERNAL_OPEN
                                          : work->data                     ? EXTERNAL_CLOSED
                                                                           : EXTERNAL_PENDING;
    return 0;
}

/* Only locks; what is there is noted. */
static int close_one(struct ctx *ctx, struct pass *pass, struct backend_work *work)
{
    (void)pass;
    TRY(work->row->observe(ctx, work));
    return work->row->converge(ctx, work);
}

/* Others may have gone further, or we may not write any more: all that follows would fail, too. */
static bool ends_all(int rc)
{
    return rc == -ERR_CONFLICT || rc == -ERR_LEASE_LOST;
}

/* Notes why a backend is not as wanted, and keeps the first failure of all. */
static void note_failure(struct ctx *ctx, struct registry_backend *backend, struct err *first)
{
    if (ctx->err.code != ERR_WAITING) /* a busy pool is no failure */
        backend->error = arena_strdup(ctx->arena, ctx->err.message);
    if (!first->code)
        *first = ctx->err;
    err_clear(ctx);
}

/* Each backend that is claimed; *ret_any: of one of them something is there. */
static int run_all(struct ctx *ctx, struct pass *pass, struct backend_lock *lock,
                   struct registry_backend backends[BACKEND_TYPES], bool open, backend_act_fn *act,
                   bool *ret_any)
{
    const struct registry_scope *scope = pass->scope;
    struct err first = {0};
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        struct backend_work work = {
            .row = backend_row_of(type, backends[type].pool),
            .home = pass->home,
            .kube = pass_kube(pass),
            .identity = scope->spec.identity,
            .at = &backends[type],
            .kept = scope->kept,
            .connections = (int)json_int_or(scope->size, "connections", 0),
            .open = open,
            .was_there = was_on_pool(pass, type, &backends[type]),
        };
        backends[type].made = made_before(pass, type, &backends[type]);
        if (!backends[type].claim)
            continue;
        int rc = backend_run(ctx, pass, lock, &work, act);
        *ret_any |= work.any;
        if (ends_all(rc))
            return rc;
        backends[type].made = made_after(pass, &work, rc);
        if (rc < 0)
            note_failure(ctx, &backends[type], &first);
    }
    TRY(registry_note_made(ctx, pass, backends));
    if (!first.code)
        return 0;
    ctx->err = first;
    return -first.code;
}

/* ---- the phase ---- */

static void look(struct ctx *ctx, struct pass *pass, enum backend_type type,
                 struct registry_backend *backend)
{
    const struct backend_row *row = backend_row_of(type, backend->pool);
    if (row->look && backend->external)
        row->look(ctx, pass, backend, recorded(pass, type));
}

int registry_enter(struct ctx *ctx, struct pass *pass, struct backend_lock *lock)
{
    struct registry_scope *scope = pass->scope;
    struct registry_backend *postgres = &scope->backends[BACKEND_POSTGRESQL];
    int rc = backend_lock(ctx, pass, postgres, scope->spec.identity, lock);
    if (rc < 0 && rc != -ERR_WAITING)
        postgres->error = arena_strdup(ctx->arena, ctx->err.message);
    TRY(rc);
    TRY(registry_still_wanted(ctx, pass));
    TRY(check_identity(ctx, pass));
    return registry_kept_still(ctx, pass);
}

static int converge_all(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    struct registry_backend *backends = scope->backends;
    _cleanup_backend_lock_ struct backend_lock lock = {0};
    bool any = false;
    TRY(registry_enter(ctx, pass, &lock));
    return run_all(ctx, pass, &lock, backends, !registry_closed(scope), converge, &any);
}

int registry_backend(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    enum external_state found[BACKEND_TYPES];
    bool unproved = false; /* some next credential */
    if (nothing_claimed(scope->backends))
        return 0;
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        found[type] = recorded(pass, type);
    int64_t interval = interval_of(home, scope->spec.identity);
    int64_t age = verify_age_ms(home->verified, scope->uid, wish_of(ctx, scope, found));
    bool fresh = age >= 0 && age < interval;
    if (!fresh) {
        verify_forget(home->verified, scope->uid);
        int rc = converge_all(ctx, pass);
        if (rc == -ERR_TAKEN)
            pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* whoever mends the pool wakes nobody here */
        TRY(rc);
    }
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        if (fresh)
            scope->backends[type].external = found[type];
        look(ctx, pass, type, &scope->backends[type]);
        found[type] = scope->backends[type].external;
        unproved |= scope->backends[type].unproved != NULL;
    }
    if (!fresh && !unproved)
        verify_done(home->verified, scope->uid, wish_of(ctx, scope, found));
    pass_requeue(pass, fresh ? interval - age : interval);
    if (unproved)
        pass_requeue(pass, POOL_CHECK_MS); /* whoever mends the server wakes nobody here */
    return 0;
}

/* What was made is found by its claim: a list without it is of the past, or somebody took it. */
static int check_claimed(struct ctx *ctx, struct pass *pass,
                         const struct registry_backend backends[BACKEND_TYPES])
{
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        if (backends[type].claim || !is_known(pass, type))
            continue;
        pass_requeue(pass, WAIT_FOR_OTHERS_MS);
        return err_set(ctx, ERR_WAITING, "ClaimMissing",
                       "no claim on a pool is there for %s, so that it cannot be locked",
                       backend_type_names[type]);
    }
    return 0;
}

int registry_backend_close(struct ctx *ctx, struct pass *pass, bool *ret_exists)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const json_t *claims[BACKEND_TYPES];
    struct registry_backend backends[BACKEND_TYPES];
    _cleanup_backend_lock_ struct backend_lock lock = {0};
    *ret_exists = false;
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        *ret_exists |= is_known(pass, type);
    TRY(registry_claims_live(ctx, pass, scope->spec.identity, claims));
    TRY(registry_resolve(ctx, pass, claims, backends));
    TRY(check_claimed(ctx, pass, backends));
    if (nothing_claimed(backends))
        return 0;
    scope->kept = pass_get(ctx, pass, KIND_SECRET, home->namespace,
                           registry_secret_name(ctx, scope->spec.identity));
    TRY(backend_lock(ctx, pass, &backends[BACKEND_POSTGRESQL], scope->spec.identity, &lock));
    TRY(check_identity(ctx, pass));
    return run_all(ctx, pass, &lock, backends, false, close_one, ret_exists);
}
