/*
 * A hop before it begins: whether it may, and what it waits for. Nothing was stopped yet, and what
 * runs runs on.
 */
#include "reconcilers/registry/parts.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

/* What a log says is nothing for a status: it may hold what is secret. */
static const char *where_the_log_is(struct ctx *ctx, struct pass *pass, const char *version)
{
    const json_t *job = hop_job(ctx, pass, HOP_MIGRATION, version);
    return job ? arena_printf(ctx->arena, "its log is that of the pods of Job %s; ",
                              json_str_or(job, "metadata.name", ""))
               : "";
}

bool hop_was_rolled_back(struct ctx *ctx, const struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    const struct hop_state *state = &scope->hop.state;
    const char *retry = hop_retry(ctx, pass->root);
    return state->step == HOP_ROLLED_BACK && str_equal(state->to, scope->hop.wanted) &&
           (!retry || str_equal(retry, state->retry));
}

int hop_tell_why(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    const struct hop_state *state = &scope->hop.state;
    return hop_stall(
        pass, hop_rows[HOP_ROLLED_BACK].name,
        arena_printf(ctx->arena,
                     "the hop to %s failed (%s), and %s runs with the data from before "
                     "it; %sname another version, or try again with a new value of the "
                     "annotation " ANNOTATION_RETRY_HOP,
                     state->to, state->why ? state->why : "?", state->runs,
                     where_the_log_is(ctx, pass, state->to)));
}

static const char *reachable(struct ctx *ctx, const struct registry_scope *scope)
{
    const struct registry_hop *hop = &scope->hop;
    if (registry_hop_fault(hop->state.runs, hop->wanted) == HOP_NO_FAULT)
        return NULL;
    return arena_printf(ctx->arena,
                        "%s runs on: from it a hop goes to a later patch or one of the next two "
                        "minors, not to %s",
                        hop->state.runs, hop->wanted);
}

/* Nothing is stopped before the images of what is wanted came, if only to one node. */
static bool have_come(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    struct registry_hop *hop = &scope->hop;
    const json_t *job = hop_job(ctx, pass, HOP_IMAGES, hop->wanted);
    const char *late = hop_image_late(pass, job);
    const char *missing = hop_image_missing(job, scope->pods, clock_wall_ms());
    if (job && hop_images_came(job, scope->pods))
        return true;
    hop->pulls = true;
    hop->waits = "PullingImages";
    hop->held = missing ? arena_printf(ctx->arena, "image %s cannot be pulled yet", missing)
                        : "its images are being pulled";
    if (missing)
        pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* that it took too long wakes nobody */
    if (late)
        hop_stall(pass, "ImageUnavailable",
                  arena_printf(ctx->arena, "%s runs on: image %s, which %s needs, cannot be pulled",
                               hop->state.runs, late, hop->wanted));
    return false;
}

static int check_and_stop(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const char *retry = hop_retry(ctx, pass->root), *reason = NULL;
    struct postgres_schema schema;
    TRY(hop_look(ctx, pass, &schema));
    const char *refusal = hop_refusal(ctx, home, &scope->hop.state, &schema, &reason);
    if (!refusal && postgres_tools_check(ctx, home->postgres_tools, schema.server) < 0) {
        reason = "DumpToolMissing";
        refusal = arena_strdup(ctx->arena, ctx->err.message);
        err_clear(ctx);
    }
    scope->hop.pulls = false;
    if (refusal) {
        pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* whoever mends it wakes nobody here */
        return hop_stall(pass, reason, refusal);
    }
    if (!have_come(ctx, pass))
        return 0;
    TRY(hop_drop_kept_jobs(ctx, pass));
    const struct hop_state next = {.step = HOP_STOPPING,
                                   .runs = scope->hop.state.runs,
                                   .from = scope->hop.state.runs,
                                   .to = scope->hop.wanted,
                                   .retry = retry ? retry : "",
                                   .tables = schema.tables,
                                   .schema = schema.version};
    return hop_go_to(ctx, pass, &next);
}

/* The place first: to look for one costs nothing, and many may wait for it. */
static int try_to_begin(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    scope->hop.pulls = hop_job(ctx, pass, HOP_IMAGES, scope->hop.wanted) != NULL;
    TRY(hop_take_place(ctx, pass, false));
    int rc = check_and_stop(ctx, pass);
    if (scope->hop.state.step != HOP_STOPPING)
        hop_leave_place(pass);
    return rc;
}

/* Read live: a cache that is behind must not have data pass for none. */
static int look_for_data(struct ctx *ctx, struct pass *pass, bool *ret)
{
    const struct registry_scope *scope = pass->scope;
    json_t *identity = NULL;
    TRY(kube_get(ctx, CALL_KUBE_IDENTITY_READ, pass_kube(pass), KIND_REGISTRY_IDENTITY, NULL,
                 scope->spec.identity, &identity));
    *ret = registry_made(identity, BACKEND_POSTGRESQL) != NULL;
    return 0;
}

/* Also of one that none was asked for: then there is nothing to do. */
static int withdraw(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    hop_leave_place(pass);
    if (scope->hop.state.step == HOP_SETTLED)
        return 0;
    TRY(hop_drop_kept_jobs(ctx, pass));
    return hop_settle(ctx, pass, scope->hop.wanted);
}

/* Settled, RolledBack. */
int hop_begin(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const struct registry_hop *hop = &scope->hop;
    bool data = registry_made(scope->identity, BACKEND_POSTGRESQL) != NULL;
    if (str_equal(hop->wanted, hop->state.runs))
        return withdraw(ctx, pass);
    if (!data)
        TRY(look_for_data(ctx, pass, &data));
    if (!registry_has_part(home, "core") || !data)
        return hop_settle(ctx, pass, hop->wanted);
    if (registry_closed(scope))
        return 0;
    if (hop_was_rolled_back(ctx, pass))
        return hop_tell_why(ctx, pass);
    const char *refusal = reachable(ctx, scope);
    return refusal ? hop_stall(pass, "VersionUnreachable", refusal) : try_to_begin(ctx, pass);
}
