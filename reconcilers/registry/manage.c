/*
 * Manage: what the operator does inside a registry's Harbor while that serves: an account of its
 * own, the storage that the registry was sold, garbage collection. Never a failure of the pass:
 * what is found becomes conditions. Each look is level-based and ends with Harbor as it should be,
 * whoever changed it and wherever an earlier one died; memory only saves work.
 *
 * The account is a robot, whose secret is kept before Harbor hears of it. The administrator, whose
 * first password is kept as well, makes or mends it, and sets limits, which robots may not. When
 * customers change that password all goes on but these two: it is tried less and less often then,
 * for a wrong password locks its name for 1.5 s. One refusal says little, for others' wrong
 * passwords lock it as well: conditions are Unknown until there were several in a row.
 *
 * Garbage collection is started from here, right after the bucket let its key write, list and
 * delete: where listing fails, Harbor reports success, forgets its records and leaves the objects.
 * While the bucket fails, a schedule that stands in Harbor is taken away. The reasons are in
 * docs/adr/0011-inside-a-harbor.md.
 */
#include "reconcilers/registry/manage_look.h"

#include "reconcilers/backends/gate.h"
#include "reconcilers/engine/conditions.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

enum {
    LOOK_TIMEOUT_MS = 5000,
    BUSY_SOON_MS = 1000,
    DEFAULTS_LOOKS = 12, /* what holds for projects to come costs the administrator a login */
};

/* ---- when ---- */

static bool serves(const struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    return scope->probe.status ? str_equal(scope->probe.status, "True")
                               : condition_is(pass->status, "Serving", "True");
}

static bool is_due(const struct look *look, int64_t *ret_wait_ms)
{
    const struct manage_wish wish = {.generation = look->scope->generation,
                                     .guards = look->guards,
                                     .told = condition_get(look->pass->status, "Managed") != NULL,
                                     .news = look->news};
    return manage_is_due(&wish, &look->memory.manage, look->home->manage_interval_ms,
                         clock_boottime_ms(), ret_wait_ms);
}

/* ---- the administrator ---- */

bool look_tells(const struct look *look, const char *type, const char *reason)
{
    return str_equal(json_str(condition_get(look->pass->status, type), "reason"), reason);
}

/* What was learned of a password says nothing of another one. */
static void take_password(struct look *look)
{
    struct manage_memory *memory = &look->memory.manage;
    const char *password = registry_secret_value(look->ctx, look->scope->kept, KEPT_ADMIN_PASSWORD);
    uint64_t hash = password ? str_hash(password) : 0;
    look->news = memory->admin != hash;
    if (look->news) {
        memory->admin = hash;
        memory->refusals = 0;
        memory->proved = false;
    }
    int64_t since_ms = clock_boottime_ms() - memory->refused_at_ms;
    look->password = since_ms < manage_admin_wait_ms(memory->refusals) ? NULL : password;
}

static struct manage_logins logins(const struct look *look)
{
    const struct manage_memory *memory = &look->memory.manage;
    enum harbor_word admin = harbor_told(look->harbor, HARBOR_ADMIN);
    return (struct manage_logins){
        .robot = harbor_told(look->harbor, HARBOR_ROBOT),
        .admin = admin,
        .refusals = admin == HARBOR_TAKEN ? 0 : memory->refusals + (admin == HARBOR_REFUSED),
        .proved = memory->proved || admin == HARBOR_TAKEN,
    };
}

static void keep_logins(struct look *look)
{
    struct manage_memory *memory = &look->memory.manage;
    const struct manage_logins known = logins(look);
    if (known.admin == HARBOR_REFUSED)
        memory->refused_at_ms = clock_boottime_ms();
    memory->refusals = known.refusals;
    memory->proved = known.proved;
}

/* ---- account and storage ---- */

static int account(struct look *look)
{
    const char *mark = arena_printf(look->ctx->arena, "flotilla:%s:%s", look->home->cell,
                                    look->scope->spec.identity);
    bool unknown = !json_str(look->pass->status, "harbor.robot");
    struct manage_memory *memory = &look->memory.manage;
    const char *robot = NULL;
    int rc = harbor_account(look->ctx, look->harbor, mark, unknown || memory->lacks_right, &robot);
    if (rc == 0)
        memory->lacks_right = false;
    if (rc == -ERR_DENIED && memory->lacks_right && !unknown) { /* then with what it may do */
        err_clear(look->ctx);
        rc = harbor_account(look->ctx, look->harbor, mark, false, &robot);
    }
    const struct manage_logins known = logins(look);
    look->scope->manage.part[MANAGE_ACCOUNT] = manage_account_verdict(look->ctx, rc, &known);
    look->scope->manage.robot = robot;
    return rc;
}

/* The administrator is asked for what holds for projects to come, be it only to see that he is
 * still let in. */
static bool asks_administrator(const struct look *look, int64_t limit_bytes)
{
    const struct manage_memory *memory = &look->memory.manage;
    int64_t every_ms = look->home->manage_interval_ms * DEFAULTS_LOOKS;
    return !memory->proved || memory->refusals > 0 || !memory->defaults_at_ms ||
           memory->defaults_of_bytes != limit_bytes ||
           clock_boottime_ms() - memory->defaults_at_ms >= every_ms;
}

/* Limits as they should be, or at least what is stored when nobody may set them. */
static int bring_limits(struct look *look, int64_t limit_bytes, struct harbor_quota *ret)
{
    if (look->password) {
        struct manage_memory *memory = &look->memory.manage;
        bool defaults = asks_administrator(look, limit_bytes);
        int rc =
            harbor_quota_set(look->ctx, look->harbor, limit_bytes, defaults, &memory->cursor, ret);
        if (rc == 0 && defaults) {
            memory->defaults_at_ms = clock_boottime_ms();
            memory->defaults_of_bytes = limit_bytes;
        }
        if (rc != -ERR_DENIED || harbor_told(look->harbor, HARBOR_ADMIN) != HARBOR_REFUSED)
            return rc;
        err_clear(look->ctx);
    }
    return harbor_quota_read(look->ctx, look->harbor, limit_bytes, ret);
}

static int storage(struct look *look)
{
    struct registry_manage *found = &look->scope->manage;
    struct harbor_quota quota = {0};
    int64_t limit_bytes = manage_limit_bytes(&look->scope->spec, look->scope->size);
    TRY(bring_limits(look, limit_bytes, &quota));
    found->usage_known = true;
    found->used_bytes = quota.usage.used_bytes;
    found->limit_bytes = limit_bytes;
    look->memory.manage.tight = manage_is_tight(found->used_bytes, limit_bytes);
    const struct manage_logins known = logins(look);
    bool setting = quota.left > 0 && look->password && known.admin != HARBOR_REFUSED;
    look->unfinished |= setting;
    if (!setting)
        found->part[MANAGE_STORAGE] = manage_quota_verdict(look->ctx, &quota, limit_bytes, &known);
    else if (!(look->memory.manage.known & 1u << MANAGE_STORAGE))
        found->part[MANAGE_STORAGE] = (struct registry_probe){
            "Unknown", "LimitsPending", "limits of some projects are still to be set"};
    return 0;
}

/* ---- steps in their order ---- */

static const struct step {
    const char *name; /* label of the metric */
    int (*run)(struct look *look);
    bool guarding; /* also while the bucket fails */
    bool needed;   /* nothing can follow when it fails */
} steps[MANAGE_PARTS] = {
    [MANAGE_ACCOUNT] = {"account", account, true, true},
    [MANAGE_STORAGE] = {"storage", storage, false, false},
    [MANAGE_COLLECTION] = {"collection", look_collection, true, false},
};

/* That we lost the lease, or a pool has no room for us, is no failure of the Harbor. What a
 * condition has a word of its own for is logged once, not at each look. */
static bool note_step(struct look *look, const char *name, bool told, int rc)
{
    struct ctx *ctx = look->ctx;
    const char *reason = rc < 0 ? ctx->err.reason : "ok";
    bool failed = rc < 0 && rc != -ERR_LEASE_LOST && rc != -ERR_OVERLOADED;
    metric_add(METRIC_HARBOR_LOOKS, 1, name, reason);
    look->unfinished |= rc == -ERR_OVERLOADED;
    if (failed && (!told || look->memory.manage.failures == 0))
        log_failure(ctx, arena_printf(ctx->arena, "LookFailed: %s", name));
    if (failed && !look->failed)
        look->failed = arena_printf(ctx->arena, "%s: %s", name, reason);
    if (rc == -ERR_DENIED && str_equal(reason, "HarborForbidden"))
        look->memory.manage.lacks_right = true;
    err_clear(ctx);
    return rc == 0;
}

/* A step that failed does not keep the next from being done. The parts that were ended, as bits. */
static unsigned take_steps(struct look *look)
{
    unsigned done = 0;
    for (unsigned at = 0; at < MANAGE_PARTS; at++) {
        const struct step *step = &steps[at];
        if (look->guards && !step->guarding)
            continue;
        int rc = step->run(look);
        if (note_step(look, step->name, look->scope->manage.part[at].status != NULL, rc))
            done |= 1u << at;
        else if (step->needed)
            break;
    }
    return done;
}

/* What it did not find out. */
static void tell_failure(struct look *look, unsigned done)
{
    for (unsigned at = 0; at < MANAGE_PARTS; at++) {
        struct registry_probe *verdict = &look->scope->manage.part[at];
        if (!verdict->status && !(done & 1u << at) && !(look->guards && !steps[at].guarding))
            *verdict = manage_failed_verdict(look->ctx, &look->memory.manage, at, look->failed);
    }
}

/* ---- the phase ---- */

/* Returns the parts that were ended, as bits. */
static unsigned look_inside(struct look *look)
{
    struct ctx *ctx = look->ctx;
    const struct registry_scope *scope = look->scope;
    const struct backend_work work = {.identity = scope->spec.identity,
                                      .at = &scope->backends[BACKEND_S3]};
    const struct harbor_server server = {
        .base_url = arena_printf(ctx->arena, "http://%s", scope->spec.host),
        .connect_to = registry_harbor_address(ctx, look->home, scope),
        .bucket = backend_rows[BACKEND_S3]->name(ctx, &work),
        .admin = {"admin", look->password},
        .robot = {json_str(look->pass->status, "harbor.robot"),
                  registry_secret_value(ctx, scope->kept, KEPT_ROBOT_SECRET)},
        .cookie = &look->memory.cookie};
    int64_t deadline_ms = ctx->deadline_ms, ours_ms = clock_boottime_ms() + LOOK_TIMEOUT_MS;
    if (!deadline_ms || ours_ms < deadline_ms)
        ctx->deadline_ms = ours_ms;
    unsigned done = 0;
    int rc = harbor_open(ctx, &server, &look->harbor);
    if (note_step(look, "open", false, rc)) {
        done = take_steps(look);
        keep_logins(look);
    }
    harbor_close(look->harbor);
    ctx->deadline_ms = deadline_ms;
    return done;
}

/* What people should hear about, once. */
static void tell(struct look *look)
{
    const char *said = NULL;
    for (size_t at = 0; at < MANAGE_PARTS; at++) {
        const struct registry_probe *verdict = &look->scope->manage.part[at];
        bool bad = str_equal(verdict->status, "False") || str_equal(verdict->reason, "LookFailed");
        if (!bad || str_equal(said, verdict->reason) ||
            look_tells(look, manage_conditions[at], verdict->reason))
            continue;
        said = verdict->reason;
        pass_event(look->ctx, look->pass, "Warning", said, "Look", "%s: %s", manage_conditions[at],
                   verdict->message);
    }
}

static void look_now(struct look *look)
{
    struct manage_memory *memory = &look->memory.manage;
    const char *gate = manage_gate(memory);
    if (backend_gate_enter(look->ctx, look->home->gates, gate) < 0) {
        err_clear(look->ctx);
        pass_requeue(look->pass, BUSY_SOON_MS);
        return;
    }
    unsigned done = look_inside(look);
    backend_gate_leave(look->home->gates, gate, true); /* no breaker: they fail one by one */
    if (look->failed)
        tell_failure(look, done);
    metric_add(METRIC_HARBOR_LOOKS, 1, "look", look->failed ? "LookFailed" : "ok");
    tell(look);
    memory->at_ms = clock_boottime_ms();
    memory->generation = look->scope->generation;
    memory->guarded = look->guards;
    memory->unfinished = look->unfinished;
    memory->failures = look->failed ? memory->failures + 1 : 0;
    memory->known |= done;
    probes_put(look->home->probes, look->scope->uid, &look->memory);
    pass_requeue(look->pass, manage_wait_ms(look->home->manage_interval_ms, memory));
}

int registry_manage(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const bool bucket_fails = scope->backends[BACKEND_S3].error != NULL;
    struct look look = {.ctx = ctx,
                        .pass = pass,
                        .scope = scope,
                        .home = pass->home,
                        .guards = pass->rc < 0 && bucket_fails};
    int64_t wait_ms;
    if (!scope->uid || !scope->probing || !scope->kept || scope->deleting ||
        registry_closed(scope) || scope->pods_ready == 0 ||
        !(look.guards || (pass->rc == 0 && serves(pass))))
        return 0;
    look.memory = probes_get(look.home->probes, scope->uid);
    take_password(&look);
    if (is_due(&look, &wait_ms))
        look_now(&look);
    else
        pass_requeue(pass, wait_ms);
    return 0;
}
