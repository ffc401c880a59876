/*
 * Status: scope to conditions and externals; pure but for the clock in `since`. A pass that only
 * learned that its view was stale, or that a pool is busy, says nothing: the next pass does.
 * Nothing here changes when nothing changed, so that a quiet system writes nothing.
 */
#include "reconcilers/registry/scope.h"

#include "reconcilers/engine/conditions.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

struct input {
    struct ctx *ctx;
    const struct pass *pass;
    const struct registry_scope *scope;
    json_t *status;
};

static void set(const struct input *in, const char *type, const char *status, const char *reason,
                const char *message)
{
    condition_set(in->ctx, in->status, type, status, reason, in->scope->generation, "%s", message);
}

static bool failed_in(const struct input *in, const char *phase)
{
    return in->pass->rc < 0 && str_equal(in->pass->failed_phase->name, phase);
}

static const char *failure_message(const struct input *in)
{
    return in->pass->failure ? in->pass->failure->message : "";
}

/* ---- externals ---- */

static void set_external(const struct input *in)
{
    const struct registry_scope *scope = in->scope;
    const struct registry_backend *backend = &scope->backends[BACKEND_POSTGRESQL];
    const json_t *before = registry_external(in->status, "PostgreSQL");
    if (!backend->claim)
        return;
    const char *state = backend->external ? registry_external_name(backend->external)
                                          : json_str_or(before, "state", "Pending");
    char now[CLOCK_RFC3339_BYTES];
    clock_rfc3339(now, clock_wall_ms(), 0);
    const char *since =
        str_equal(json_str(before, "state"), state) ? json_str_or(before, "since", now) : now;
    const char *error = failed_in(in, "backend") ? failure_message(in) : NULL;
    json_t *external = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*}", "type", "PostgreSQL", "pool",
                                 json_str_or(backend->claim, "spec.pool", ""), "name",
                                 postgres_name(in->ctx, scope->spec.identity), "state", state,
                                 "since", since, "lastError", error);
    json_put(in->status, "externals", json_pack("[o]", external));
}

/* ---- one function per condition ---- */

static void set_backends(const struct input *in)
{
    static const struct {
        enum external_state state;
        const char *status, *reason, *message;
    } known[] = {
        {EXTERNAL_OPEN, "True", "LoggedIn", "each credential that the stack uses logged in"},
        {EXTERNAL_CLOSED, "False", "Closed", "the role may not log in; nothing was removed"},
        {EXTERNAL_LOST, "False", "DatabaseLost", "the database was there and is gone"},
        {EXTERNAL_PENDING, "False", "Closed", "closed before anything was made"},
    };
    enum external_state external = in->scope->backends[BACKEND_POSTGRESQL].external;
    if (failed_in(in, "backend") && external != EXTERNAL_LOST) {
        set(in, "BackendsReady", "False", "BackendFailed", failure_message(in));
        return;
    }
    for (size_t at = 0; at < ARRAY_SIZE(known); at++) {
        if (external == known[at].state) {
            set(in, "BackendsReady", known[at].status, known[at].reason, known[at].message);
            return;
        }
    }
    if (failed_in(in, "claim"))
        set(in, "BackendsReady", "False", in->pass->failure->reason, failure_message(in));
    else if (failed_in(in, "drain"))
        set(in, "BackendsReady", "False", "Closing", "locked once the stack's pods are gone");
    else if (!condition_get(in->status, "BackendsReady"))
        set(in, "BackendsReady", "Unknown", "Provisioning", "not looked at yet");
}

static void set_stack(const struct input *in)
{
    const struct registry_scope *scope = in->scope;
    const struct bundle_result *stack = &scope->stack;
    if (!scope->stack_seen) {
        if (!condition_get(in->status, "StackReady"))
            set(in, "StackReady", "Unknown", "Waiting", "the stack comes after the backends");
    } else if (stack->failed) {
        set(in, "StackReady", "False", "Failed", stack->message);
    } else if (registry_closed(scope) && scope->pods_left > 0) {
        set(in, "StackReady", "False", "PodsRemaining", "pods of the stack still run");
    } else if (!stack->ready) {
        set(in, "StackReady", "False", "Progressing", stack->message);
    } else if (registry_closed(scope)) {
        set(in, "StackReady", "False", "ScaledDown", "the registry is closed");
    } else {
        set(in, "StackReady", "True", "Current", "each object is there and ready");
    }
}

/* Serves now, converged or not: some pod of the stack is ready and its database can be reached. */
static void set_available(const struct input *in)
{
    if (registry_closed(in->scope))
        set(in, "Available", "False", "Closed", "the registry is closed");
    else if (in->scope->pods_ready > 0 && condition_is(in->status, "BackendsReady", "True"))
        set(in, "Available", "True", "StackAvailable", "the stack serves");
    else
        set(in, "Available", "False", "StackUnavailable", "the stack does not serve");
}

/* What only a person can mend; kstatus calls such an object Failed. */
static void set_stalled(const struct input *in)
{
    if (in->pass->rc == -ERR_TAKEN)
        set(in, "Stalled", "True", in->pass->failure->reason, failure_message(in));
    else
        condition_remove(in->status, "Stalled");
}

static void set_ready(const struct input *in)
{
    const struct registry_scope *scope = in->scope;
    const struct pass *pass = in->pass;
    bool closed = registry_closed(scope);
    if (scope->deleting)
        set(in, "Ready", "False", "Deleting", failure_message(in));
    else if (pass->rc == -ERR_TAKEN)
        set(in, "Ready", "False", pass->failure->reason, failure_message(in));
    else if (pass->rc < 0)
        set(in, "Ready", "False", closed ? "Closing" : "Progressing", failure_message(in));
    else if (closed)
        set(in, "Ready", "False", "Closed", "closed; nothing was removed, and Active undoes it");
    else if (!condition_is(in->status, "StackReady", "True"))
        set(in, "Ready", "False", "Progressing", scope->stack.message);
    else
        set(in, "Ready", "True", "ReadyUnprobed", "backends and stack are as the spec wants");
}

void registry_conditions(struct ctx *ctx, const struct pass *pass,
                         const struct registry_scope *scope, json_t *status)
{
    const struct input in = {ctx, pass, scope, status};
    json_put(status, "observedGeneration", json_integer(scope->generation));
    if (scope->spec.revision >= 0)
        json_put(status, "observedRevision", json_integer(scope->spec.revision));
    set_external(&in);
    set_backends(&in);
    set_stack(&in);
    set(&in, "Serving", "Unknown", "ProbeDisabled", "the operator runs with --serving-probe=off");
    set_available(&in);
    set_stalled(&in);
    set_ready(&in);
}

/* ---- events: what people should hear about, by what the database went through ---- */

static const struct {
    const char *from, *to; /* states in status.externals; NULL = none yet */
    const char *reason, *action, *note;
} transitions[] = {
    {NULL, "Open", "Provisioned", "Create", "database and role are made and log in"},
    {"Pending", "Open", "Provisioned", "Create", "database and role are made and log in"},
    {"Open", "Closed", "Closed", "Close", "the role may no longer log in; nothing was removed"},
    {"Closed", "Open", "Reopened", "Open", "the role may log in again"},
    {"Lost", "Open", "Recovered", "Open", "the database is there again"},
};

static const char *state_of(const json_t *status)
{
    return json_str(registry_external(status, "PostgreSQL"), "state");
}

static const char *stalled_of(const json_t *status)
{
    return json_str(condition_get(status, "Stalled"), "reason");
}

static void tell(struct ctx *ctx, struct pass *pass)
{
    const json_t *before = json_at(pass->root, "status");
    for (size_t at = 0; at < ARRAY_SIZE(transitions); at++)
        if (str_equal(transitions[at].from, state_of(before)) &&
            str_equal(transitions[at].to, state_of(pass->status)))
            pass_event(ctx, pass, "Normal", transitions[at].reason, transitions[at].action, "%s",
                       transitions[at].note);
    const char *stalled = stalled_of(pass->status);
    if (stalled && !str_equal(stalled, stalled_of(before)))
        pass_event(ctx, pass, "Warning", stalled, "Reconcile", "%s", pass->failure->message);
}

static bool says_nothing(const struct pass *pass)
{
    return pass->rc == -ERR_CONFLICT || pass->rc == -ERR_LEASE_LOST ||
           (pass->rc < 0 && str_equal(pass->failure->reason, "PoolBusy"));
}

int registry_status(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    if (scope->let_go || !scope->uid || says_nothing(pass))
        return 0;
    registry_conditions(ctx, pass, scope, pass->status);
    tell(ctx, pass);
    return 0;
}
