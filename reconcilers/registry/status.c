/*
 * Status: scope to conditions and externals; pure but for the clock in `since`. A pass that only
 * learned that its view was stale, or that a pool is busy, says nothing: the next pass does.
 * Nothing here changes when nothing changed, so that a quiet system writes nothing.
 */
#include "reconcilers/registry/rotation.h"

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

/* What a pass did not get to stays as it was told last. */
static json_t *external_of(const struct input *in, enum backend_type type)
{
    const struct registry_scope *scope = in->scope;
    const struct registry_backend *backend = &scope->backends[type];
    const struct backend_work work = {.identity = scope->spec.identity, .at = backend};
    const struct backend_row *row = backend_row_of(type, backend->pool);
    const json_t *before = registry_external(in->status, type);
    const char *state = backend->external ? registry_external_name(backend->external)
                                          : json_str_or(before, "state", "Pending");
    char now[CLOCK_RFC3339_BYTES];
    clock_rfc3339(now, clock_wall_ms(), 0);
    const char *since =
        str_equal(json_str(before, "state"), state) ? json_str_or(before, "since", now) : now;
    const char *error = backend->error      ? backend->error
                        : backend->external ? NULL
                                            : json_str(before, "lastError");
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*}", "type", backend_type_names[type], "pool",
                     json_str_or(backend->claim, "spec.pool", ""), "name",
                     backend->pool ? row->name(in->ctx, &work)
                                   : json_str_or(before, "name", row->name(in->ctx, &work)),
                     "state", state, "since", since, "lastError", error);
}

static void set_externals(const struct input *in)
{
    json_t *externals = arena_json(in->ctx->arena, json_array());
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        const json_t *before = registry_external(in->status, type);
        if (in->scope->backends[type].claim)
            json_array_append_new(externals, external_of(in, type));
        else if (before)
            json_array_append_new(externals, json_deep_copy(before));
    }
    if (json_array_size(externals) > 0)
        json_put(in->status, "externals", json_incref(externals));
}

/* ---- credentials ---- */

static void set_credentials(const struct input *in)
{
    json_t *all = arena_json(in->ctx->arena, json_array());
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        const struct rotation rotation = rotation_of(in->scope->kept, kind);
        const char *held = rotation_held_by(in->scope, kind);
        if (rotation.number != 0)
            json_array_append_new(all, json_pack("{s:s, s:I, s:s, s:s*, s:s*}", "kind",
                                                 credential_kind_names[kind], "number",
                                                 (json_int_t)rotation.number, "phase",
                                                 rotation_phase_name(rotation.phase), "reason",
                                                 held ? "NotProved" : NULL, "message", held));
    }
    if (json_array_size(all) > 0)
        json_put(in->status, "credentials", json_incref(all));
}

/* "new credentials: database Rolling, s3 Adding"; NULL = nothing is open. */
static const char *rotating(const struct input *in)
{
    const char *text = NULL;
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++)
        if (rotation_is_open(in->scope, kind))
            text = arena_printf(in->ctx->arena, "%s %s %s",
                                text ? text : "new credentials:", credential_kind_names[kind],
                                rotation_phase_name(rotation_of(in->scope->kept, kind).phase));
    return text;
}

/* ---- one function per condition ---- */

/* The first backend that is not as wanted gives the reason. */
static bool set_failed_backend(const struct input *in)
{
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        const struct registry_backend *backend = &in->scope->backends[type];
        const struct backend_row *row = backend_row_of(type, backend->pool);
        if (!backend->error)
            continue;
        set(in, "BackendsReady", "False",
            backend->external == EXTERNAL_LOST ? row->lost : row->failed, backend->error);
        return true;
    }
    return false;
}

static void set_backends(const struct input *in)
{
    const struct registry_scope *scope = in->scope;
    bool known = true;
    if (set_failed_backend(in))
        return;
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        known &= scope->backends[type].external != EXTERNAL_UNKNOWN ||
                 (in->pass->rc == 0 && !scope->backends[type].claim); /* closed before it had any */
    if (failed_in(in, "claim"))
        set(in, "BackendsReady", "False", in->pass->failure->reason, failure_message(in));
    else if (failed_in(in, "drain"))
        set(in, "BackendsReady", "False", "Closing", "locked once the stack's pods are gone");
    else if (known && registry_closed(scope))
        set(in, "BackendsReady", "False", "Closed", "no credential logs in; nothing was removed");
    else if (known)
        set(in, "BackendsReady", "True", "LoggedIn",
            "each credential that the stack uses logged in");
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

/* What was said while nobody asked is not what a probe found. */
static bool is_unprobed(const json_t *serving)
{
    const char *reason = json_str(serving, "reason");
    return !reason || str_has_word("ProbeDisabled Closed Waiting", reason);
}

static void set_serving(const struct input *in)
{
    const struct registry_scope *scope = in->scope;
    const struct registry_probe *probe = &scope->probe;
    if (!scope->probing)
        set(in, "Serving", "Unknown", "ProbeDisabled",
            "the operator runs with --serving-probe=off");
    else if (registry_closed(scope))
        set(in, "Serving", "False", "Closed", "the registry is closed");
    else if (probe->status)
        set(in, "Serving", probe->status, probe->reason, probe->message);
    else if (is_unprobed(condition_get(in->status, "Serving")))
        set(in, "Serving", "Unknown", "Waiting", "it is asked once the stack is there");
}

/* Serves now, converged or not: some pod of the stack is ready, its database can be reached, and
 * no probe says otherwise. */
static void set_available(const struct input *in)
{
    if (registry_closed(in->scope))
        set(in, "Available", "False", "Closed", "the registry is closed");
    else if (in->scope->probing && condition_is(in->status, "Serving", "False"))
        set(in, "Available", "False", "NotServing", "its Harbor does not serve");
    else if (in->scope->pods_ready > 0 && condition_is(in->status, "BackendsReady", "True"))
        set(in, "Available", "True", "StackAvailable", "the stack serves");
    else
        set(in, "Available", "False", "StackUnavailable", "the stack does not serve");
}

/* What only a person can mend; kstatus calls such an object Failed. */
static void set_stalled(const struct input *in)
{
    const struct registry_hop *hop = &in->scope->hop;
    if (in->pass->rc == -ERR_TAKEN)
        set(in, "Stalled", "True", in->pass->failure->reason, failure_message(in));
    else if (hop->stalled)
        set(in, "Stalled", "True", hop->stalled, hop->message);
    else
        condition_remove(in->status, "Stalled");
}

static const char *serving_message(const struct input *in)
{
    return json_str_or(condition_get(in->status, "Serving"), "message", "");
}

static const char *hop_message(const struct input *in)
{
    return json_str_or(condition_get(in->status, "Migration"), "message", "");
}

/* Converged, and serving where that is asked: how much may be believed of it? */
static void set_ready_true(const struct input *in)
{
    const char *left_out = in->scope->left_out;
    if (left_out && *left_out)
        set(in, "Ready", "True", "ReadyInPart",
            arena_printf(in->ctx->arena,
                         "as the spec wants, but for what the operator leaves out: %s", left_out));
    else if (!in->scope->probing)
        set(in, "Ready", "True", "ReadyUnprobed", "backends and stack are as the spec wants");
    else
        set(in, "Ready", "True", "ReadyServing",
            "backends and stack are as the spec wants, and its Harbor serves");
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
    else if (scope->hop.stalled)
        set(in, "Ready", "False", scope->hop.stalled, scope->hop.message);
    else if (hop_is_open(scope))
        set(in, "Ready", "False", "Hopping", hop_message(in));
    else if (scope->cramped)
        set(in, "Ready", "False", "PoolConnections", scope->cramped);
    else if (!condition_is(in->status, "StackReady", "True"))
        set(in, "Ready", "False", "Progressing", scope->stack.message);
    else if (rotating(in))
        set(in, "Ready", "False", "Rotating", rotating(in));
    else if (scope->probing && !condition_is(in->status, "Serving", "True"))
        set(in, "Ready", "False", "NotServing", serving_message(in));
    else
        set_ready_true(in);
}

void registry_conditions(struct ctx *ctx, const struct pass *pass,
                         const struct registry_scope *scope, json_t *status)
{
    const struct input in = {ctx, pass, scope, status};
    json_put(status, "observedGeneration", json_integer(scope->generation));
    if (scope->spec.revision >= 0)
        json_put(status, "observedRevision", json_integer(scope->spec.revision));
    if (scope->kept)
        json_put(status, "adminPassword", json_string("Kept"));
    if (scope->kept)
        set_credentials(&in);
    set_externals(&in);
    set_backends(&in);
    set_stack(&in);
    set_serving(&in);
    registry_manage_status(ctx, scope, status);
    hop_status(ctx, scope, status);
    set_available(&in);
    set_stalled(&in);
    set_ready(&in);
}

/* ---- events: what people should hear about, by what each backend went through ---- */

static const struct {
    const char *from, *to; /* states in status.externals; NULL = none yet */
    const char *reason, *action, *note;
} transitions[] = {
    {NULL, "Open", "Provisioned", "Create", "made, and proved with the registry's credential"},
    {"Pending", "Open", "Provisioned", "Create", "made, and proved with the registry's credential"},
    {"Open", "Closed", "Closed", "Close", "locked; nothing was removed"},
    {"Closed", "Open", "Reopened", "Open", "open again"},
    {"Lost", "Open", "Recovered", "Open", "there again"},
};

static const char *state_of(const json_t *status, enum backend_type type)
{
    return json_str(registry_external(status, type), "state");
}

static void tell_backend(struct ctx *ctx, struct pass *pass, enum backend_type type)
{
    const struct registry_scope *scope = pass->scope;
    const struct backend_row *row = backend_row_of(type, scope->backends[type].pool);
    const char *before = state_of(json_at(pass->root, "status"), type);
    for (size_t at = 0; at < ARRAY_SIZE(transitions); at++)
        if (str_equal(transitions[at].from, before) &&
            str_equal(transitions[at].to, state_of(pass->status, type)))
            pass_event(ctx, pass, "Normal", transitions[at].reason, transitions[at].action,
                       "%s: %s", row->what, transitions[at].note);
}

static const char *stalled_of(const json_t *status, const char *member)
{
    return json_str(condition_get(status, "Stalled"), member);
}

static void tell(struct ctx *ctx, struct pass *pass)
{
    const json_t *before = json_at(pass->root, "status");
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        tell_backend(ctx, pass, type);
    const char *stalled = stalled_of(pass->status, "reason");
    if (stalled && !str_equal(stalled, stalled_of(before, "reason")))
        pass_event(ctx, pass, "Warning", stalled, "Reconcile", "%s",
                   stalled_of(pass->status, "message"));
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
