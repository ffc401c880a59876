/* Garbage collection: schedule, run, and how the last one ended. */
#include "reconcilers/backends/harbor_answers.h"
#include "reconcilers/backends/harbor_session.h"
#include "reconcilers/backends/s3.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

static const char schedule_path[] = "/api/v2.0/system/gc/schedule";

static int check_proof(struct ctx *ctx, const struct harbor *harbor, const struct s3_proof *proof)
{
    const char *bucket = harbor->server->bucket;
    int64_t age_ms = proof && proof->at_ms ? clock_boottime_ms() - proof->at_ms : INT64_MAX;
    if (age_ms > HARBOR_GC_PROOF_MS)
        return err_set(ctx, ERR_REFUSED, "BucketUnproved",
                       "garbage collection needs a bucket that has just been written, listed and "
                       "deleted in");
    if (!bucket || !str_equal(bucket, proof->bucket))
        return err_set(ctx, ERR_REFUSED, "BucketUnproved",
                       "the bucket that was proved is not the one that is collected");
    return 0;
}

/* ---- schedule ---- */

int harbor_gc_schedule_get(struct ctx *ctx, struct harbor *harbor, struct harbor_gc_schedule *ret)
{
    json_t *answer = NULL;
    TRY(harbor_get(ctx, harbor, CALL_HARBOR_GC_READ, HARBOR_ROBOT, schedule_path, &answer));
    harbor_parse_gc_schedule(ctx, answer, ret);
    return 0;
}

static bool is_same(const struct harbor_gc_schedule *a, const struct harbor_gc_schedule *b)
{
    return str_equal(a->cron, b->cron) && (!a->cron || a->delete_untagged == b->delete_untagged);
}

/* Harbor makes with POST, and changes or ends with PUT. */
int harbor_gc_schedule_set(struct ctx *ctx, struct harbor *harbor,
                           const struct harbor_gc_schedule *want, const struct s3_proof *proof)
{
    struct harbor_gc_schedule found;
    struct harbor_answer answer;
    if (want->cron && !harbor_is_cron(want->cron))
        return err_set(ctx, ERR_INVALID, NULL, "'%s' is no schedule of six fields, the first 0",
                       want->cron);
    TRY(harbor_gc_schedule_get(ctx, harbor, &found));
    if (is_same(&found, want))
        return 0;
    if (want->cron)
        TRY(check_proof(ctx, harbor, proof));
    const struct harbor_request request = {
        .call = CALL_HARBOR_GC_SCHEDULE,
        .as = HARBOR_ROBOT,
        .method = found.cron ? "PUT" : "POST",
        .path = schedule_path,
        .body = arena_printf(ctx->arena,
                             "{\"schedule\":{\"type\":\"%s\",\"cron\":\"%s\"},\"parameters\":{"
                             "\"delete_untagged\":%s,\"dry_run\":false,\"workers\":1}}",
                             want->cron ? "Custom" : "None", want->cron ? want->cron : "",
                             want->delete_untagged ? "true" : "false")};
    return harbor_send(ctx, harbor, &request, &answer);
}

/* ---- runs ---- */

/* The first of a list, newest first, that is not dry; id 0 without one. */
static int take_last(struct ctx *ctx, const json_t *list, struct harbor_gc_run *ret)
{
    bool busy = false;
    size_t at;
    json_t *element;
    json_array_foreach(list, at, element) {
        TRY(harbor_parse_gc_run(ctx, element, ret));
        busy |= ret->running;
        ret->busy = busy;
        if (!ret->dry)
            return 0;
    }
    *ret = (struct harbor_gc_run){.status = "", .busy = busy};
    return 0;
}

/* Nearly always the newest one collects: the others are asked for only when it was dry. */
int harbor_gc_last(struct ctx *ctx, struct harbor *harbor, struct harbor_gc_run *ret)
{
    static const char *const paths[] = {"/api/v2.0/system/gc?page_size=1",
                                        "/api/v2.0/system/gc?page_size=100"};
    *ret = (struct harbor_gc_run){.status = ""};
    for (size_t at = 0; at < ARRAY_SIZE(paths) && ret->id == 0; at++) {
        json_t *list = NULL;
        TRY(harbor_get(ctx, harbor, CALL_HARBOR_GC_READ, HARBOR_ROBOT, paths[at], &list));
        TRY(take_last(ctx, list, ret));
        if (json_array_size(list) == 0)
            break;
    }
    return 0;
}

int harbor_gc_stop(struct ctx *ctx, struct harbor *harbor, int64_t id)
{
    const struct harbor_request request = {
        .call = CALL_HARBOR_GC_STOP,
        .as = HARBOR_ROBOT,
        .method = "PUT",
        .path = arena_printf(ctx->arena, "/api/v2.0/system/gc/%lld", (long long)id)};
    struct harbor_answer answer;
    return harbor_send(ctx, harbor, &request, &answer);
}

/* "/api/v2.0/system/gc/18" */
static int64_t id_in(const char *location)
{
    const char *slash = location ? strrchr(location, '/') : NULL;
    int64_t id = 0;
    return slash && str_to_int(slash + 1, 1, INT64_MAX, &id) ? id : 0;
}

int harbor_gc_start(struct ctx *ctx, struct harbor *harbor, bool delete_untagged,
                    const struct s3_proof *proof, int64_t *ret_id)
{
    struct harbor_gc_run last;
    struct harbor_answer answer;
    TRY(check_proof(ctx, harbor, proof));
    TRY(harbor_gc_last(ctx, harbor, &last));
    *ret_id = last.id;
    if (last.running)
        return 0;
    const struct harbor_request request = {
        .call = CALL_HARBOR_GC_START,
        .as = HARBOR_ROBOT,
        .method = "POST",
        .path = schedule_path,
        .body = arena_printf(ctx->arena,
                             "{\"schedule\":{\"type\":\"Manual\"},\"parameters\":{"
                             "\"delete_untagged\":%s,\"dry_run\":false,\"workers\":1}}",
                             delete_untagged ? "true" : "false")};
    TRY(harbor_send(ctx, harbor, &request, &answer));
    *ret_id = id_in(answer.location);
    return *ret_id ? 0
                   : err_set(ctx, ERR_PROTOCOL, NULL, "Harbor does not number the run it began");
}
