/* What a registry stores, and the limits of its projects: reads, decides by harbor_quota_rules, and
 * writes what differs. */
#include "reconcilers/backends/harbor_quota_rules.h"
#include "reconcilers/backends/harbor_session.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"

#include <stdlib.h>
#include <string.h>

struct projects {
    struct harbor_project *project;
    int count, capacity;
};

static int take_quota(struct ctx *ctx, const json_t *quota, void *arg)
{
    struct projects *projects = arg;
    const struct harbor_project project = {.quota_id = json_int_or(quota, "id", 0),
                                           .used = json_int_or(quota, "used.storage", -1),
                                           .hard = json_int_or(quota, "hard.storage", 0)};
    if (project.quota_id <= 0 || project.used < 0 || project.hard < HARBOR_UNLIMITED)
        return err_set(ctx, ERR_PROTOCOL, NULL, "a quota of Harbor has no number, use or limit");
    if (projects->count == projects->capacity) {
        const struct harbor_project *before = projects->project;
        projects->capacity = projects->capacity ? projects->capacity * 2 : HARBOR_PAGE;
        projects->project =
            arena_alloc(ctx->arena, (size_t)projects->capacity * sizeof *projects->project);
        if (before)
            memcpy(projects->project, before, (size_t)projects->count * sizeof *before);
    }
    projects->project[projects->count++] = project;
    return 0;
}

static int by_id(const void *a, const void *b)
{
    int64_t one = ((const struct harbor_project *)a)->quota_id;
    int64_t other = ((const struct harbor_project *)b)->quota_id;
    return (one > other) - (one < other);
}

/* A project that was made between two pages shifts the list: one comes twice. */
static void drop_repeated(struct projects *projects)
{
    int kept = 0;
    if (projects->count)
        qsort(projects->project, (size_t)projects->count, sizeof *projects->project, by_id);
    for (int at = 0; at < projects->count; at++)
        if (kept == 0 || projects->project[kept - 1].quota_id != projects->project[at].quota_id)
            projects->project[kept++] = projects->project[at];
    projects->count = kept;
}

static int read_projects(struct ctx *ctx, struct harbor *harbor, struct projects *projects,
                         struct harbor_usage *usage)
{
    TRY(harbor_each(ctx, harbor, CALL_HARBOR_QUOTA_LIST, HARBOR_ROBOT,
                    "/api/v2.0/quotas?reference=project", take_quota, projects));
    drop_repeated(projects);
    *usage = (struct harbor_usage){.projects = projects->count};
    for (int at = 0; at < projects->count; at++)
        if (__builtin_add_overflow(usage->used_bytes, projects->project[at].used,
                                   &usage->used_bytes))
            return err_set(ctx, ERR_PROTOCOL, NULL, "Harbor stores more than can be counted");
    return 0;
}

/* The projects, what they use together, and what that leaves. */
static int read_quota(struct ctx *ctx, struct harbor *harbor, int64_t limit,
                      struct projects *projects, struct harbor_quota *ret)
{
    *ret = (struct harbor_quota){.free_bytes = HARBOR_UNLIMITED};
    TRY(read_projects(ctx, harbor, projects, &ret->usage));
    if (limit >= 0)
        ret->free_bytes = harbor_quota_free(limit, ret->usage.used_bytes);
    return 0;
}

int harbor_quota_read(struct ctx *ctx, struct harbor *harbor, int64_t limit,
                      struct harbor_quota *ret)
{
    struct projects projects = {0};
    TRY(read_quota(ctx, harbor, limit, &projects, ret));
    for (int at = 0; at < projects.count; at++) {
        const struct harbor_project *project = &projects.project[at];
        int64_t hard;
        ret->left += harbor_quota_decide(project, ret->free_bytes, &hard) != QUOTA_KEEP;
        ret->lifted += harbor_quota_is_lifted(project, ret->free_bytes);
    }
    return 0;
}

/* ---- limits ---- */

static int set_limit(struct ctx *ctx, struct harbor *harbor, int64_t quota_id, int64_t hard)
{
    const struct harbor_request request = {
        .call = CALL_HARBOR_QUOTA_SET,
        .as = HARBOR_ADMIN,
        .method = "PUT",
        .path = arena_printf(ctx->arena, "/api/v2.0/quotas/%lld", (long long)quota_id),
        .body = arena_printf(ctx->arena, "{\"hard\":{\"storage\":%lld}}", (long long)hard)};
    struct harbor_answer answer;
    int rc = harbor_send(ctx, harbor, &request, &answer);
    if (rc == -ERR_NOT_FOUND) { /* the project went meanwhile */
        err_clear(ctx);
        return 0;
    }
    return rc;
}

struct work {
    struct projects projects;
    struct harbor_quota quota;
    int first;       /* where the round begins */
    int64_t *cursor; /* the last that was tried */
    int writes;
    int64_t until_ms; /* clock_boottime_ms(): no write is begun later */
};

static int first_after(const struct projects *projects, int64_t cursor)
{
    for (int at = 0; at < projects->count; at++)
        if (projects->project[at].quota_id > cursor)
            return at;
    return 0;
}

static int64_t half_of_the_time(const struct ctx *ctx)
{
    int64_t now_ms = clock_boottime_ms();
    return ctx->deadline_ms ? now_ms + (ctx->deadline_ms - now_ms) / 2 : INT64_MAX;
}

static bool is_spent(const struct work *work)
{
    return work->writes == HARBOR_QUOTA_WRITES_MAX || clock_boottime_ms() >= work->until_ms;
}

/* All moves of one kind, as far as the bounds allow. */
static int move_limits(struct ctx *ctx, struct harbor *harbor, struct work *work,
                       enum harbor_quota_move kind)
{
    for (int step = 0; step < work->projects.count; step++) {
        int at = (work->first + step) % work->projects.count;
        const struct harbor_project *project = &work->projects.project[at];
        int64_t hard;
        if (harbor_quota_decide(project, work->quota.free_bytes, &hard) != kind)
            continue;
        if (is_spent(work)) {
            work->quota.left++;
            continue;
        }
        work->writes++;
        *work->cursor = project->quota_id;
        TRY(set_limit(ctx, harbor, project->quota_id, hard));
    }
    return 0;
}

/* What holds for projects to come is like a project that stores nothing. Harbor counts and refuses
 * only while quotas are enabled. */
static int set_defaults(struct ctx *ctx, struct harbor *harbor, const struct harbor_quota *quota)
{
    json_t *config = NULL;
    struct harbor_answer answer;
    TRY(harbor_get(ctx, harbor, CALL_HARBOR_CONFIG_READ, HARBOR_ADMIN, "/api/v2.0/configurations",
                   &config));
    const struct harbor_project to_come = {
        .hard = json_int_or(config, "storage_per_project.value", HARBOR_UNLIMITED)};
    bool enabled = json_bool_or(config, "quota_per_project_enable.value", true);
    int64_t hard;
    bool same = harbor_quota_decide(&to_come, quota->free_bytes, &hard) == QUOTA_KEEP;
    if (same && enabled)
        return 0;
    const struct harbor_request request = {
        .call = CALL_HARBOR_CONFIG_SET,
        .as = HARBOR_ADMIN,
        .method = "PUT",
        .path = "/api/v2.0/configurations",
        .body = arena_printf(ctx->arena,
                             "{\"quota_per_project_enable\":true,\"storage_per_project\":%lld}",
                             (long long)hard)};
    return harbor_send(ctx, harbor, &request, &answer);
}

int harbor_quota_set(struct ctx *ctx, struct harbor *harbor, int64_t limit, bool look,
                     int64_t *cursor, struct harbor_quota *ret)
{
    struct work work = {.cursor = cursor, .until_ms = half_of_the_time(ctx)};
    TRY(read_quota(ctx, harbor, limit, &work.projects, &work.quota));
    work.first = first_after(&work.projects, *cursor);
    TRY(move_limits(ctx, harbor, &work, QUOTA_TIGHTEN));
    TRY(move_limits(ctx, harbor, &work, QUOTA_LOOSEN));
    if (look || work.writes > 0)
        TRY(set_defaults(ctx, harbor, &work.quota));
    *ret = work.quota;
    return 0;
}
