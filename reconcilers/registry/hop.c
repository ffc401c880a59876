/*
 * A hop's steps: the phase before the plan takes the next one where it may be taken, the phase
 * behind the stack those that end when the stack stands. What a step asks of the stack is in the
 * table; the objects themselves are the plan's.
 *
 * A step that cannot be taken now holds up nothing else: children and backends are looked after as
 * ever. Only while a dump is being restored the pass ends there, for what follows would find half a
 * database. A closed registry takes no step at all: it is locked, whatever its database is like.
 */
#include "reconcilers/registry/hop_places.h"
#include "reconcilers/registry/scope.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <string.h>

enum { STEP_SOON_MS = 1, RUN_LENGTH = 8 };

typedef int advance_fn(struct ctx *ctx, struct pass *pass);
static advance_fn stop, dump, migrate, abandon, restore;

/* Before the plan; what has none ends when the stack stands. */
static advance_fn *const advances[HOP_STEPS] = {
    [HOP_SETTLED] = hop_begin,     [HOP_STOPPING] = stop,      [HOP_DUMPING] = dump,
    [HOP_MIGRATING] = migrate,     [HOP_ABANDONING] = abandon, [HOP_RESTORING] = restore,
    [HOP_ROLLED_BACK] = hop_begin,
};

/* ---- what all steps do ---- */

int hop_go_to(struct ctx *ctx, struct pass *pass, const struct hop_state *next)
{
    struct registry_scope *scope = pass->scope;
    const struct hop_row *row = &hop_rows[next->step];
    json_t *kept,
        *patch = arena_json(ctx->arena, json_pack("{s:{s:{s:s}}}", "metadata", "annotations",
                                                  ANNOTATION_HOP, hop_note(ctx, next)));
    TRY(pass_patch(ctx, pass, CALL_KUBE_HOP_STEP, scope->kept, NULL, patch, &kept));
    scope->kept = kept;
    scope->hop.state = *next;
    metric_add(METRIC_HOP_STEPS, 1, row->name);
    if (!row->placed)
        hop_leave_place(pass);
    if (row->event)
        pass_event(ctx, pass, next->why ? "Warning" : "Normal", row->event, "Hop",
                   "from %s to %s: %s%s%s", next->from, next->to, row->note, next->why ? ": " : "",
                   next->why ? next->why : "");
    pass_requeue(pass, STEP_SOON_MS);
    return 0;
}

int hop_stall(struct pass *pass, const char *reason, const char *message)
{
    struct registry_scope *scope = pass->scope;
    scope->hop.stalled = reason;
    scope->hop.message = message;
    return 0;
}

static int wait_until(struct pass *pass, const char *what)
{
    struct registry_scope *scope = pass->scope;
    hop_yield_place(pass, HOP_PATIENCE_MS);
    scope->hop.held = what;
    return 0;
}

/* The one that runs is the one that is wanted, or is held to be: there is no data yet. */
int hop_settle(struct ctx *ctx, struct pass *pass, const char *runs)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    next.step = HOP_SETTLED;
    next.runs = runs;
    next.why = NULL;
    if (!str_equal(next.to, runs)) /* it came to nothing, and so did its dump */
        next.from = next.to = next.dump.prefix = NULL;
    return hop_go_to(ctx, pass, &next);
}

/* ---- steps ---- */

/* NULL = nothing. Also a pod whose node is lost: it may come back in the middle of a migration. */
static const char *what_runs(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    const json_t *deployments =
        pass_list(ctx, pass, KIND_DEPLOYMENT, scope->namespace, LABEL_REGISTRY, scope->name);
    size_t at;
    json_t *object;
    json_array_foreach(deployments, at, object)
        if (registry_owns(scope, object) && hop_stops(kube_label(object, LABEL_COMPONENT)) &&
            (json_int_or(object, "spec.replicas", 1) != 0 ||
             json_int_or(object, "status.replicas", 0) != 0))
            return arena_printf(ctx->arena, "Deployment %s is not at zero",
                                json_str_or(object, "metadata.name", ""));
    json_array_foreach(scope->pods, at, object)
        if (hop_stops(kube_label(object, LABEL_COMPONENT)) && registry_pod_runs(object, 0))
            return arena_printf(ctx->arena, "pod %s still runs",
                                json_str_or(object, "metadata.name", ""));
    return NULL;
}

/* Before the schema is touched a hop can be given up, for everything is as it was; so it can while
 * the migration waits for its image. */
static bool is_withdrawn(const struct registry_scope *scope)
{
    return !str_equal(scope->hop.wanted, scope->hop.state.to);
}

static int stop(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    const char *left = what_runs(ctx, pass);
    if (is_withdrawn(scope))
        return hop_settle(ctx, pass, next.runs);
    TRY(hop_take_place(ctx, pass, true));
    if (left)
        return wait_until(pass, left);
    next.step = HOP_DUMPING;
    return hop_go_to(ctx, pass, &next);
}

static int dump(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    const char *left = what_runs(ctx, pass);
    if (is_withdrawn(scope))
        return hop_settle(ctx, pass, next.runs);
    TRY(hop_take_place(ctx, pass, true));
    if (left || hop_job(ctx, pass, HOP_MIGRATION, next.to))
        return wait_until(pass, left ? left : "the Job of an earlier try is still there");
    next.dump = (struct dump){.prefix = arena_printf(ctx->arena, DUMP_FOLDER "%s-%s/%s/", next.from,
                                                     next.to,
                                                     crypto_random_base32(ctx->arena, RUN_LENGTH))};
    TRY(hop_dump(ctx, pass, &next.dump));
    next.step = HOP_MIGRATING;
    return hop_go_to(ctx, pass, &next);
}

static const json_t *true_condition(const json_t *job, const char *type)
{
    const json_t *condition = json_find(job, "status.conditions", "type", type);
    return str_equal(json_str(condition, "status"), "True") ? condition : NULL;
}

/* Its pod had its image proved on some node, and is on another one. */
static int wait_for_image(struct ctx *ctx, struct pass *pass, const json_t *job, const char *image)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    bool late = hop_image_late(pass, job) != NULL;
    if (late || is_withdrawn(scope)) {
        next.why = arena_printf(ctx->arena, "image %s cannot be pulled", image);
        next.step = HOP_ABANDONING;
        return hop_go_to(ctx, pass, &next);
    }
    pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* that it took too long wakes nobody */
    return wait_until(pass, arena_printf(ctx->arena, "image %s cannot be pulled yet", image));
}

static int migrate(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    const json_t *job = hop_job(ctx, pass, HOP_MIGRATION, next.to);
    const json_t *failed = true_condition(job, "Failed");
    struct postgres_schema schema;
    bool works = json_int_or(job, "status.active", 0) > 0;
    const char *missing = hop_image_missing(job, scope->pods, clock_wall_ms());
    if (missing)
        return wait_for_image(ctx, pass, job, missing);
    if (works || (!failed && !true_condition(job, "Complete")))
        return wait_until(pass, "the migration Job has not ended");
    if (failed) {
        next.why = arena_printf(ctx->arena, "the migration Job failed: %.200s",
                                json_str_or(failed, "message", ""));
    } else {
        TRY(hop_look(ctx, pass, &schema));
        next.why = hop_failure(ctx, pass->home, &next, &schema);
    }
    next.step = next.why ? HOP_RESTORING : HOP_STARTING;
    next.runs = next.why ? next.runs : next.to;
    return hop_go_to(ctx, pass, &next);
}

/* Its image came after all: what may be at work is not ended. */
static int resume(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    next.step = HOP_MIGRATING;
    next.why = NULL;
    return hop_go_to(ctx, pass, &next);
}

/* What the schema tells once no pod can begin decides: an earlier pod may have got its image. */
static int abandon(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    const json_t *job = hop_job(ctx, pass, HOP_MIGRATION, next.to);
    struct postgres_schema schema;
    const char *left = NULL;
    bool going = json_at(job, "metadata.deletionTimestamp") != NULL;
    if (job && !going && !hop_image_missing(job, scope->pods, clock_wall_ms()))
        return resume(ctx, pass);
    TRY(hop_end_job(ctx, pass, next.to, &left));
    if (left)
        return wait_until(pass, left);
    TRY(hop_look(ctx, pass, &schema));
    bool untouched = schema.tables == next.tables && schema.version == next.schema && !schema.dirty;
    next.step = untouched ? HOP_RETURNING : HOP_RESTORING;
    return hop_go_to(ctx, pass, &next);
}

static int restore(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    TRY(hop_take_place(ctx, pass, true));
    TRY(hop_restore(ctx, pass));
    TRY(hop_keep_job(ctx, pass, next.to));
    next.step = HOP_RETURNING;
    return hop_go_to(ctx, pass, &next);
}

/* ---- the phases ---- */

/* Somebody else went further, or we may not write any more: then nothing that follows is ours. */
static int hold_up(struct ctx *ctx, struct pass *pass, int rc)
{
    struct registry_scope *scope = pass->scope;
    if (rc == 0 || rc == -ERR_CONFLICT || rc == -ERR_LEASE_LOST)
        return rc;
    hop_yield_place(pass, 0);
    if (scope->hop.state.step == HOP_RESTORING)
        return rc;
    if (rc != -ERR_WAITING)
        log_failure(ctx, "a step to another version is not taken");
    scope->hop.held = arena_strdup(ctx->arena, ctx->err.message);
    if (!scope->hop.in_line) /* who is in line is woken */
        pass_requeue(pass, WAIT_FOR_OTHERS_MS);
    err_clear(ctx);
    return 0;
}

int registry_hop(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    struct registry_hop *hop = &scope->hop;
    TRY(hop_state_of(ctx, scope->kept, &hop->state));
    hop->waits = "Waiting";
    hop->wanted = hop_full_version(pass->home, scope->spec.version);
    if (!hop->state.runs) /* an earlier operator kept the Secret: it ran what the spec said */
        TRY(hop_settle(ctx, pass, hop->wanted));
    enum hop_step step = hop->state.step;
    bool pauses = registry_closed(scope) && hop_moves(scope);
    if (advances[step] && !pauses)
        TRY(hold_up(ctx, pass, advances[step](ctx, pass)));
    const struct hop_row *row = &hop_rows[hop->state.step];
    hop->version = row->of_new ? hop->state.to : hop->state.runs;
    hop->stopped = row->stopped;
    return 0;
}

int registry_hop_end(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    if (registry_closed(scope) || !scope->stack.ready)
        return 0;
    if (next.step == HOP_STARTING) {
        pass_event(ctx, pass, "Normal", "Migrated", "Hop", "from %s to %s: the new version runs",
                   next.from, next.to);
        return hop_settle(ctx, pass, next.runs);
    }
    if (next.step != HOP_RETURNING)
        return 0;
    TRY(hold_up(ctx, pass, hop_forget_failed(ctx, pass)));
    if (scope->hop.held)
        return 0;
    next.step = HOP_ROLLED_BACK;
    TRY(hop_go_to(ctx, pass, &next));
    return hop_was_rolled_back(ctx, pass) ? hop_tell_why(ctx, pass)
                                          : 0; /* with this pass already */
}
