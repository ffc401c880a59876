/* See manage.h. */
#include "reconcilers/engine/conditions.h"
#include "reconcilers/registry/scope.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum {
    MIB = 1 << 20,
    GIB = 1 << 30,
    USAGE_STEPS = 100,
    MS_PER_HOUR = 3600000,
    USAGE_STALE_MS = MS_PER_HOUR,
    TIGHT_SHARE = 10, /* of the limit; and then looks come ten times as often */
    SOON_MS = 5000,
    WAIT_MIN_MS = 100,
    DOUBLINGS_MAX = 8,
    ADMIN_SOON_MS = 2000, /* Harbor locks a name for 1.5 s */
    ADMIN_LATE_MS = 24 * MS_PER_HOUR,
};

const char *const manage_conditions[MANAGE_PARTS] = {
    [MANAGE_ACCOUNT] = "Managed",
    [MANAGE_STORAGE] = "StorageQuota",
    [MANAGE_COLLECTION] = "Collecting",
};

/* ---- storage ---- */

int64_t manage_limit_bytes(const struct registry_spec *spec, const json_t *size)
{
    if (spec->storage_bytes > 0)
        return spec->storage_bytes;
    return json_int_or(size, "storageGiB", 0) * GIB;
}

bool manage_is_full(int64_t used_bytes, int64_t limit_bytes)
{
    return limit_bytes - used_bytes < MIB;
}

bool manage_is_tight(int64_t used_bytes, int64_t limit_bytes)
{
    return limit_bytes - used_bytes < limit_bytes / TIGHT_SHARE;
}

static bool is_far(int64_t told_bytes, int64_t used_bytes, int64_t limit_bytes)
{
    int64_t step = limit_bytes / USAGE_STEPS > MIB ? limit_bytes / USAGE_STEPS : MIB;
    int64_t moved = used_bytes > told_bytes ? used_bytes - told_bytes : told_bytes - used_bytes;
    return moved >= step ||
           manage_is_full(told_bytes, limit_bytes) != manage_is_full(used_bytes, limit_bytes);
}

json_t *manage_usage(struct ctx *ctx, const json_t *before, int64_t used_bytes, int64_t limit_bytes,
                     int64_t now_ms)
{
    int64_t told_bytes = json_int_or(before, "storageBytes", -1);
    bool stale = !json_str(before, "observedAt") ||
                 registry_time_passed(json_str(before, "observedAt"), now_ms - USAGE_STALE_MS);
    if (told_bytes >= 0 && json_int_or(before, "limitBytes", -1) == limit_bytes &&
        !is_far(told_bytes, used_bytes, limit_bytes) && (told_bytes == used_bytes || !stale))
        return arena_json(ctx->arena, json_deep_copy(before));
    char now[CLOCK_RFC3339_BYTES];
    clock_rfc3339(now, now_ms, 0);
    return arena_json(ctx->arena,
                      json_pack("{s:I, s:I, s:s}", "storageBytes", (json_int_t)used_bytes,
                                "limitBytes", (json_int_t)limit_bytes, "observedAt", now));
}

static const char *size_text(struct ctx *ctx, int64_t bytes)
{
    bool whole = bytes % GIB == 0;
    return arena_printf(ctx->arena, "%lld %s", (long long)(bytes / (whole ? GIB : MIB)),
                        whole ? "GiB" : "MiB");
}

struct registry_probe manage_quota_verdict(struct ctx *ctx, const struct harbor_quota *quota,
                                           int64_t limit_bytes, const struct manage_logins *logins)
{
    const char *limit = size_text(ctx, limit_bytes);
    bool full = manage_is_full(quota->usage.used_bytes, limit_bytes);
    const char *and = full ? "all of the storage is taken, and " : "";
    if (logins->refusals >= MANAGE_REFUSALS_BELIEVED && quota->lifted > 0)
        return (struct registry_probe){
            "False", "LimitsLifted",
            arena_printf(ctx->arena,
                         "%sHarbor does not take the kept password of its administrator, and "
                         "limits that somebody else set let projects take more than is left of %s",
                         and, limit)};
    if (logins->refusals >= MANAGE_REFUSALS_BELIEVED)
        return (struct registry_probe){
            "False", "AdminRefused",
            arena_printf(ctx->arena,
                         "%sHarbor does not take the kept password of its administrator: its "
                         "projects keep the limits that they have, whatever becomes of %s",
                         and, limit)};
    if (logins->refusals > 0 || !logins->proved)
        return (struct registry_probe){
            "Unknown", "LoginUnproved",
            arena_printf(ctx->arena,
                         "%swhether pushes beyond %s are refused is not known: Harbor did not take "
                         "the login of its administrator, who sets limits; it is tried again",
                         and, limit)};
    if (full)
        return (struct registry_probe){
            "False", "Reached",
            arena_printf(ctx->arena,
                         "all of %s is taken: pushes are refused, pulls and deletions "
                         "are not",
                         limit)};
    return (struct registry_probe){"True", "Held",
                                   arena_printf(ctx->arena, "pushes beyond %s are refused", limit)};
}

/* ---- account ---- */

int64_t manage_admin_wait_ms(int refusals)
{
    int64_t wait_ms = refusals > 0 ? ADMIN_SOON_MS : 0;
    for (int at = 1; at < refusals && wait_ms < ADMIN_LATE_MS; at++)
        wait_ms *= 4;
    return wait_ms < ADMIN_LATE_MS ? wait_ms : ADMIN_LATE_MS;
}

/* The robot is not let in, or not enough, and the administrator, who mends that, did not. */
static struct registry_probe denied_verdict(struct ctx *ctx, const char *why,
                                            const struct manage_logins *logins)
{
    static const char *const robots[] = {
        [HARBOR_UNTRIED] = "the operator's robot is not known to be there",
        [HARBOR_TAKEN] = "the operator's robot lacks a right",
        [HARBOR_REFUSED] = "Harbor refuses the login of the operator's robot",
    };
    const char *robot = robots[logins->robot];
    if (logins->admin == HARBOR_TAKEN)
        return (struct registry_probe){"False", "AccountFailed", why};
    if (logins->refusals >= MANAGE_REFUSALS_BELIEVED)
        return (struct registry_probe){
            "False", "AccountRefused",
            arena_printf(ctx->arena,
                         "%s, and Harbor does not take the kept password of its administrator, "
                         "who could mend it",
                         robot)};
    return (struct registry_probe){
        "Unknown", "LoginUnproved",
        arena_printf(ctx->arena,
                     "%s, and Harbor did not take the login of its administrator, who mends that; "
                     "it is tried again",
                     robot)};
}

struct registry_probe manage_account_verdict(struct ctx *ctx, int rc,
                                             const struct manage_logins *logins)
{
    const char *why = arena_strdup(ctx->arena, ctx->err.message);
    if (rc == 0)
        return (struct registry_probe){
            "True", "AccountReady", "the operator's account logs in and may do its work, not more"};
    if (rc == -ERR_TAKEN)
        return (struct registry_probe){"False", "RobotTaken", why};
    if (rc == -ERR_DENIED)
        return denied_verdict(ctx, why, logins);
    if (rc == -ERR_REFUSED || rc == -ERR_PROTOCOL)
        return (struct registry_probe){"False", "AccountFailed", why};
    return (struct registry_probe){0};
}

/* ---- a look that failed ---- */

struct registry_probe manage_failed_verdict(struct ctx *ctx, const struct manage_memory *memory,
                                            enum manage_part part, const char *failed)
{
    if (memory->failures == 0 && memory->known & 1u << part)
        return (struct registry_probe){0};
    return (struct registry_probe){
        "Unknown", "LookFailed",
        arena_printf(ctx->arena, "the last look into its Harbor failed: %s", failed)};
}

/* Names of no pool: theirs are DNS labels. */
const char *manage_gate(const struct manage_memory *memory)
{
    return memory->failures > 0 ? "Unmanaged" : "Managed";
}

/* ---- garbage collection ---- */

struct registry_probe manage_run_verdict(struct ctx *ctx, const struct harbor_gc_run *run)
{
    if (run->running)
        return (struct registry_probe){0};
    if (run->id == 0)
        return (struct registry_probe){"Unknown", "NotYet", "none was due yet"};
    if (run->failed)
        return (struct registry_probe){"False", "RunFailed",
                                       arena_printf(ctx->arena,
                                                    "run %lld of Harbor's ended with the status %s",
                                                    (long long)run->id, run->status)};
    return (struct registry_probe){
        "True", "Collected",
        arena_printf(ctx->arena, "run %lld of Harbor's removed %lld blobs and %lld manifests",
                     (long long)run->id, (long long)run->blobs, (long long)run->manifests)};
}

int64_t manage_collect_ms(int64_t option_ms, const json_t *size)
{
    return option_ms > 0 ? option_ms : json_int_or(size, "collectHours", 0) * MS_PER_HOUR;
}

bool manage_collect_due(const struct harbor_gc_run *last, const char *made, int64_t interval_ms,
                        int64_t now_ms)
{
    int64_t at_ms = 0;
    if (interval_ms <= 0 || last->running || last->busy)
        return false;
    const char *since = last->id ? last->updated : made;
    if (!since || clock_parse_rfc3339(since, &at_ms) < 0)
        at_ms = 0;
    return now_ms - at_ms >= interval_ms;
}

int64_t manage_wait_ms(int64_t interval_ms, const struct manage_memory *memory)
{
    int64_t wait_ms = memory->tight ? interval_ms / TIGHT_SHARE : interval_ms;
    if (wait_ms < WAIT_MIN_MS)
        wait_ms = WAIT_MIN_MS;
    int doublings = memory->failures < DOUBLINGS_MAX ? memory->failures : DOUBLINGS_MAX;
    int64_t soon_ms = doublings ? (int64_t)SOON_MS << (doublings - 1) : wait_ms;
    if (memory->unfinished && SOON_MS < soon_ms)
        soon_ms = SOON_MS;
    int64_t admin_ms = memory->refusals ? manage_admin_wait_ms(memory->refusals) : wait_ms;
    if (admin_ms < soon_ms)
        soon_ms = admin_ms;
    return soon_ms < wait_ms ? soon_ms : wait_ms;
}

bool manage_is_due(const struct manage_wish *wish, const struct manage_memory *memory,
                   int64_t interval_ms, int64_t now_ms, int64_t *ret_wait_ms)
{
    bool other = memory->generation != wish->generation || !wish->told;
    *ret_wait_ms = manage_wait_ms(interval_ms, memory) - (now_ms - memory->at_ms);
    return *ret_wait_ms <= 0 || !memory->at_ms || memory->guarded != wish->guards || wish->news ||
           (memory->failures == 0 && other);
}

/* ---- status ---- */

static void set_run(json_t *status, const struct harbor_gc_run *run)
{
    char ended[CLOCK_RFC3339_BYTES];
    int64_t ended_ms;
    bool told = run->updated && clock_parse_rfc3339(run->updated, &ended_ms) == 0;
    if (run->id == 0)
        return;
    json_put(status, "harbor.collection",
             json_pack("{s:I, s:s, s:I, s:s*}", "id", (json_int_t)run->id, "status", run->status,
                       "freedBytes", (json_int_t)(run->freed_bytes > 0 ? run->freed_bytes : 0),
                       "endedAt", told ? clock_rfc3339(ended, ended_ms, 0) : NULL));
}

void registry_manage_status(struct ctx *ctx, const struct registry_scope *scope, json_t *status)
{
    const struct registry_manage *found = &scope->manage;
    for (size_t at = 0; at < MANAGE_PARTS; at++) {
        const struct registry_probe *verdict = &found->part[at];
        if (!scope->probing || registry_closed(scope))
            condition_remove(status, manage_conditions[at]);
        else if (verdict->status)
            condition_set(ctx, status, manage_conditions[at], verdict->status, verdict->reason,
                          scope->generation, "%s", verdict->message);
    }
    if (found->robot)
        json_put(status, "harbor.robot", json_string(found->robot));
    set_run(status, &found->run);
    if (found->usage_known)
        json_put(status, "usage",
                 json_incref(manage_usage(ctx, json_at(status, "usage"), found->used_bytes,
                                          found->limit_bytes, clock_wall_ms())));
}
