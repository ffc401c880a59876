/* Garbage collection: schedule, run, and how the last one ended. */
#include "reconcilers/backends/harbor_answers.h"
#include "reconcilers/backends/harbor_session.h"
#include "reconcilers/backends/s3.h"

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

int harbor_gc_last(struct ctx *ctx, struct harbor *harbor, struct harbor_gc_run *ret)
{
    json_t *answer = NULL;
    *ret = (struct harbor_gc_run){.status = ""};
    TRY(harbor_get(ctx, harbor, CALL_HARBOR_GC_READ, HARBOR_ROBOT,
                   "/api/v2.0/system/gc?page_size=1", &answer));
    const json_t *last = json_at(answer, "0");
    return last ? harbor_parse_gc_run(ctx, last, ret) : 0;
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
