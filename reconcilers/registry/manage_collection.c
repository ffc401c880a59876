/*
 * The step `collection` of a look: garbage is collected when it is time and the bucket has just
 * been proved. While the bucket fails nothing may collect: a schedule is taken away, and a run that
 * is on is told to end.
 */
#include "reconcilers/registry/manage_look.h"

#include "reconcilers/backends/s3.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/net/metrics.h"

static const char bucket_fails[] = "the bucket is not as it should be";

static void say(struct look *look, const char *reason, const char *message)
{
    look->scope->manage.part[MANAGE_COLLECTION] = (struct registry_probe){"False", reason, message};
}

/* Counted when it begins, not at each look. */
static void not_collected(struct look *look, const char *reason, const char *why)
{
    if (!look_tells(look, "Collecting", reason))
        metric_add(METRIC_COLLECTIONS, 1, reason);
    say(look, reason, arena_printf(look->ctx->arena, "not started: %s", why));
}

/* Each run is counted once, by whoever tells of it in the status. */
static void note_run(struct look *look, const struct harbor_gc_run *run)
{
    const json_t *told = json_at(look->pass->status, "harbor.collection");
    if (run->id == 0 || run->running || json_int_or(told, "id", 0) == run->id)
        return;
    look->scope->manage.run = *run;
    metric_add(METRIC_COLLECTIONS, 1, run->failed ? "RunFailed" : "Collected");
}

/* ---- while the bucket fails ---- */

/* A schedule in Harbor would collect without asking anybody. */
static int end_schedule(struct look *look)
{
    static const struct harbor_gc_schedule none = {0};
    int before = harbor_changes(look->harbor);
    TRY(harbor_gc_schedule_set(look->ctx, look->harbor, &none, NULL));
    if (harbor_changes(look->harbor) > before)
        pass_event(look->ctx, look->pass, "Warning", "CollectionUnscheduled", "Update",
                   "garbage collection was scheduled in Harbor while its bucket fails: that was "
                   "taken away");
    return 0;
}

/* Harbor agrees before the run has heard of it: only history tells that it ended. */
static int end_run(struct look *look)
{
    struct ctx *ctx = look->ctx;
    struct harbor_gc_run last;
    TRY(harbor_gc_last(ctx, look->harbor, &last));
    note_run(look, &last);
    if (!last.running)
        return 0;
    int rc = harbor_gc_stop(ctx, look->harbor, last.id);
    if (rc == -ERR_LEASE_LOST)
        return rc;
    const char *how = rc == 0
                          ? "it was told to end, and has not yet"
                          : arena_printf(ctx->arena, "it could not be ended: %s", ctx->err.message);
    say(look, "RunUnstopped",
        arena_printf(ctx->arena,
                     "%s while run %lld of Harbor's is on: %s. Objects that it removes "
                     "meanwhile may be forgotten and left",
                     bucket_fails, (long long)last.id, how));
    look->unfinished = true;
    return rc;
}

static int guard(struct look *look)
{
    TRY(end_schedule(look));
    return end_run(look);
}

/* ---- while it is well ---- */

static int start(struct look *look)
{
    struct s3_proof proof;
    int64_t id;
    int rc = registry_bucket_prove(look->ctx, look->pass, &proof);
    if (rc == -ERR_OVERLOADED || rc == -ERR_LEASE_LOST)
        return rc;
    if (rc < 0) {
        not_collected(look, "BucketUnproved", look->ctx->err.message);
        err_clear(look->ctx);
        return guard(look);
    }
    rc = harbor_gc_start(look->ctx, look->harbor, false, &proof, &id);
    if (rc < 0 && rc != -ERR_LEASE_LOST)
        not_collected(look, "StartFailed", look->ctx->err.message);
    return rc;
}

int look_collection(struct look *look)
{
    const char *made = json_str(look->pass->root, "metadata.creationTimestamp");
    struct harbor_gc_run last;
    if (look->guards) {
        not_collected(look, "BucketUnproved", bucket_fails);
        return guard(look);
    }
    TRY(harbor_gc_last(look->ctx, look->harbor, &last));
    note_run(look, &last);
    look->scope->manage.part[MANAGE_COLLECTION] = manage_run_verdict(look->ctx, &last);
    int64_t every_ms = manage_collect_ms(look->home->collect_interval_ms, look->scope->size);
    bool due = manage_collect_due(&last, made, every_ms, clock_wall_ms());
    return due ? start(look) : 0;
}
