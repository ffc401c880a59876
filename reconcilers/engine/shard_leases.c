/*
 * The lease thread: one round a fifth of the renewal time. A round renews our member Lease when
 * that is due, lists all Leases (one read) when the last list is half a renewal old or something
 * failed, fences members that are dead, and does for each shard what lease_decide() says, in a few
 * lanes at a time. A call that fails ends its lane: the others of it would only wait as long.
 */
#include "reconcilers/engine/shards_internal.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <stdio.h>
#include <string.h>

#define LABEL_LEASE "flotilla.dev/lease" /* "shard" or "member" */
#define SHARD_PREFIX "flotilla-shard-"
#define MEMBER_PREFIX "flotilla-member-"
#define MANAGER "flotilla-lease"

enum { ROUNDS_PER_RENEWAL = 5, LISTS_PER_RENEWAL = 2, LANES = 8 };

/* A call that takes longer could not save a Lease that is due. */
static int call_timeout_ms(const struct shards *shards)
{
    return shards->options.deadline_ms - shards->options.renew_ms;
}

/* ---- what is there ---- */

static void note_record(struct lease_record *record, const json_t *lease, int64_t now_ms)
{
    const char *version = json_str_or(lease, "metadata.resourceVersion", "");
    record->exists = true;
    if (str_equal(record->version, version))
        return;
    snprintf(record->version, sizeof record->version, "%s", version);
    snprintf(record->holder, sizeof record->holder, "%s",
             json_str_or(lease, "spec.holderIdentity", ""));
    record->duration_ms = json_int_or(lease, "spec.leaseDurationSeconds", 0) * 1000;
    record->transitions = json_int_or(lease, "spec.leaseTransitions", 0);
    record->changed_ms = now_ms;
}

static struct lease_record *find_shard(struct shards *shards, const char *name)
{
    int64_t number;
    if (str_equal(name, "cluster"))
        return &shards->record[SHARD_OF_CLUSTER];
    return str_to_int(name, 0, SHARD_ROOTS - 1, &number) ? &shards->record[number] : NULL;
}

static struct lease_record *find_member(struct shards *shards, const char *name)
{
    struct shard_member *member = NULL;
    for (int at = 0; at < shards->member_count && !member; at++)
        if (str_equal(shards->members[at].name, name))
            member = &shards->members[at];
    if (!member && shards->member_count < SHARD_MEMBERS_MAX) {
        member = &shards->members[shards->member_count++];
        *member = (struct shard_member){0};
        snprintf(member->name, sizeof member->name, "%s", name);
    }
    if (!member)
        return NULL;
    member->seen = true;
    return &member->record;
}

static void drop_unseen_members(struct shards *shards)
{
    int kept = 0;
    for (int at = 0; at < shards->member_count; at++)
        if (shards->members[at].seen)
            shards->members[kept++] = shards->members[at];
    shards->member_count = kept;
}

static void forget_lost(struct shards *shards)
{
    pthread_mutex_lock(&shards->mutex);
    for (int shard = 0; shard < SHARDS_ALL; shard++)
        if (!shards->record[shard].exists ||
            !str_equal(shards->record[shard].holder, shards->options.identity))
            shards->hold[shard].held = false;
    pthread_mutex_unlock(&shards->mutex);
}

static int list_leases(struct ctx *ctx, struct shards *shards)
{
    json_t *list, *lease;
    size_t index;
    TRY(kube_list(ctx, CALL_LEASE_LIST, shards->options.kube, KIND_LEASE, shards->options.namespace,
                  LABEL_LEASE, &list));
    int64_t now_ms = clock_boottime_ms();
    for (int shard = 0; shard < SHARDS_ALL; shard++)
        shards->record[shard].exists = false;
    for (int at = 0; at < shards->member_count; at++)
        shards->members[at].seen = false;
    json_array_foreach(list, index, lease) {
        const char *name = json_str_or(lease, "metadata.name", "");
        struct lease_record *record = NULL;
        if (str_starts(name, SHARD_PREFIX))
            record = find_shard(shards, name + strlen(SHARD_PREFIX));
        else if (str_starts(name, MEMBER_PREFIX))
            record = find_member(shards, name + strlen(MEMBER_PREFIX));
        if (record)
            note_record(record, lease, now_ms);
    }
    drop_unseen_members(shards);
    forget_lost(shards);
    return 0;
}

/* ---- writing one Lease ---- */

struct lease_write {
    const char *name, *label;
    const char *holder; /* NULL = give it back */
    bool take;          /* its holder changes */
    const struct lease_record *record;
};

static json_t *make_spec(const struct shards *shards, const struct lease_write *write)
{
    char now[CLOCK_RFC3339_BYTES];
    clock_rfc3339(now, clock_wall_ms(), 6);
    int seconds = write->holder ? (shards->options.duration_ms + 999) / 1000 : 1;
    json_int_t transitions = write->record->transitions + (write->take && write->record->exists);
    return json_pack("{s:s?, s:i, s:s, s:I, s:s*}", "holderIdentity", write->holder,
                     "leaseDurationSeconds", seconds, "renewTime", now, "leaseTransitions",
                     transitions, "acquireTime", write->take ? now : NULL);
}

/* Fenced by the version we saw; the record then is what the server answered. */
static int write_lease(struct ctx *ctx, struct shards *shards, const struct lease_write *write,
                       struct lease_record *record)
{
    json_t *written;
    json_t *spec = make_spec(shards, write);
    const struct shards_options *options = &shards->options;
    if (!record->exists) {
        json_t *lease =
            arena_json(ctx->arena, json_pack("{s:{s:s, s:s, s:{s:s}}, s:o}", "metadata", "name",
                                             write->name, "namespace", options->namespace, "labels",
                                             LABEL_LEASE, write->label, "spec", spec));
        TRY(kube_create(ctx, CALL_LEASE_CREATE, options->kube, KIND_LEASE, lease, MANAGER,
                        &written));
    } else {
        json_t *patch =
            arena_json(ctx->arena, json_pack("{s:{s:s}, s:o}", "metadata", "resourceVersion",
                                             record->version, "spec", spec));
        TRY(kube_patch(ctx, CALL_LEASE_RENEW, options->kube, KIND_LEASE, options->namespace,
                       write->name, NULL, patch, MANAGER, &written));
    }
    note_record(record, written, clock_boottime_ms());
    return 0;
}

/* Somebody was faster: the next round sees who. */
static bool is_race(int rc)
{
    return rc == -ERR_CONFLICT || rc == -ERR_ALREADY_EXISTS || rc == -ERR_NOT_FOUND;
}

/* ---- one shard ---- */

static void note_released(struct shards *shards, int shard)
{
    pthread_mutex_lock(&shards->mutex);
    shards->hold[shard].held = false;
    shards->hold[shard].draining = false;
    pthread_mutex_unlock(&shards->mutex);
}

/* Sets draining by what is wanted now, and tells whether a pass is inside. */
static struct lease_hold look_at_hold(struct shards *shards, int shard, bool wanted, bool *ret_busy,
                                      uint64_t *acquired)
{
    bool busy = false;
    pthread_mutex_lock(&shards->mutex);
    struct lease_hold *hold = &shards->hold[shard];
    for (const struct shard_visit *visit = shards->visits; visit; visit = visit->next)
        busy |= visit->shard == shard;
    if (hold->held && hold->draining && wanted)
        *acquired |= UINT64_C(1) << shard; /* keys were dropped meanwhile */
    hold->draining = hold->held && !wanted;
    struct lease_hold copy = *hold;
    pthread_mutex_unlock(&shards->mutex);
    *ret_busy = busy && shards->options.gate;
    return copy;
}

static enum lease_action decide_shard(struct shards *shards, int shard, const char *const *live,
                                      int count, uint64_t *acquired)
{
    char name[8];
    const struct lease_record *record = &shards->record[shard];
    struct lease_view view = {.record = record, .identity = shards->options.identity};
    view.wanted = lease_winner(live, count, shard_name(shard, name)) == 0;
    for (int at = 0; at < count; at++)
        view.holder_lives |= str_equal(record->holder, live[at]);
    struct lease_hold hold = look_at_hold(shards, shard, view.wanted, &view.busy, acquired);
    view.hold = &hold;
    return lease_decide(&view);
}

/* What is taken holds as long as our member Lease does, which was renewed before. */
static int write_shard(struct ctx *ctx, struct shards *shards, int shard, enum lease_action action,
                       uint64_t *acquired)
{
    char name[8];
    struct lease_record *record = &shards->record[shard];
    bool release = action == LEASE_RELEASE;
    struct lease_write write = {
        .name = arena_printf(ctx->arena, SHARD_PREFIX "%s", shard_name(shard, name)),
        .label = "shard",
        .holder = release ? NULL : shards->options.identity,
        .take = !release,
        .record = record,
    };
    if (release)
        note_released(shards, shard); /* before it is sent: then another may begin */
    int rc = write_lease(ctx, shards, &write, record);
    if (rc == 0 && !release && shards_note_held(shards, shard, shards->own.sent_ms))
        *acquired |= UINT64_C(1) << shard;
    return rc;
}

/* ---- members ---- */

/* Not ours any more: fenced by somebody who believed us dead, or removed by hand. */
static int lose_member(struct ctx *ctx, struct shards *shards)
{
    shards->own.held = false;
    shards_drop_all(shards);
    return err_set(ctx, ERR_LEASE_LOST, NULL, "member Lease '%s' was changed by somebody else",
                   shards->options.identity);
}

static bool member_is_due(const struct shards *shards)
{
    return !shards->own.held ||
           clock_boottime_ms() - shards->own.sent_ms >= shards->options.renew_ms;
}

static int renew_member(struct ctx *ctx, struct shards *shards, uint64_t *acquired)
{
    int64_t now_ms = clock_boottime_ms();
    struct lease_record *record = find_member(shards, shards->options.identity);
    if (!record)
        return err_set(ctx, ERR_OVERLOADED, "TooManyMembers",
                       "more than %d member Leases in namespace %s", SHARD_MEMBERS_MAX,
                       shards->options.namespace);
    if (record->exists && !member_is_due(shards))
        return 0;
    if (!record->exists && shards->own.held)
        return lose_member(ctx, shards);
    struct lease_write write = {
        .name = arena_printf(ctx->arena, MEMBER_PREFIX "%s", shards->options.identity),
        .label = "member",
        .holder = shards->options.identity,
        .take = !shards->own.held,
        .record = record,
    };
    int rc = write_lease(ctx, shards, &write, record);
    if (is_race(rc) && shards->own.held)
        return lose_member(ctx, shards);
    TRY(rc);
    shards->own = (struct lease_hold){.held = true, .sent_ms = now_ms};
    *acquired |= shards_note_renewed(shards, now_ms);
    return 0;
}

static int remove_member(struct ctx *ctx, struct shards *shards, const char *identity,
                         const char *version)
{
    return kube_delete(ctx, CALL_LEASE_DELETE, shards->options.kube, KIND_LEASE,
                       shards->options.namespace,
                       arena_printf(ctx->arena, MEMBER_PREFIX "%s", identity), NULL, version);
}

/* Before anything of a dead member may be taken. Refused: it lives, its renewal was on the way. */
static int fence_dead(struct ctx *ctx, struct shards *shards)
{
    for (int at = 0; at < shards->member_count; at++) {
        struct shard_member *member = &shards->members[at];
        int64_t now_ms = clock_boottime_ms();
        if (str_equal(member->name, shards->options.identity) || !member->record.exists ||
            !lease_expired(&member->record, now_ms))
            continue;
        int rc = remove_member(ctx, shards, member->name, member->record.version);
        if (rc == -ERR_CONFLICT)
            member->record.changed_ms = now_ms;
        else if (rc == 0 || rc == -ERR_NOT_FOUND)
            member->record.exists = false;
        else
            return rc;
        err_clear(ctx);
    }
    return 0;
}

/* Ourselves first. Those that expired are gone by now. */
static int live_members(const struct shards *shards, const char *live[SHARD_MEMBERS_MAX + 1])
{
    int count = 0;
    live[count++] = shards->options.identity;
    for (int at = 0; at < shards->member_count; at++)
        if (!str_equal(shards->members[at].name, shards->options.identity) &&
            shards->members[at].record.exists)
            live[count++] = shards->members[at].name;
    return count;
}

/* ---- lanes: a few Leases at a time; one slow write does not cost the others theirs ---- */

struct lane {
    struct shards *shards;
    const enum lease_action *action; /* by shard */
    int number;
    pthread_t thread;
    bool has_thread;
    uint64_t acquired;
    bool raced;     /* somebody was faster: the records are old */
    struct err err; /* code 0 = all went well */
};

static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    struct shards *shards = lane->shards;
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "operate");
    int rc = 0;
    /* After a failure the next round begins one further: a Lease that fails stops no other. */
    for (int step = 0; step < SHARDS_ALL && (rc == 0 || is_race(rc)); step++) {
        int shard = (shards->first + step) % SHARDS_ALL;
        if (shard % LANES != lane->number || lane->action[shard] == LEASE_NOTHING)
            continue;
        err_clear(&ctx);
        ctx.deadline_ms = clock_boottime_ms() + call_timeout_ms(shards);
        rc = write_shard(&ctx, shards, shard, lane->action[shard], &lane->acquired);
        lane->raced |= is_race(rc);
    }
    if (rc < 0 && !is_race(rc))
        lane->err = ctx.err;
    arena_free(arena);
    return NULL;
}

static int run_lanes(struct ctx *ctx, struct shards *shards,
                     const enum lease_action action[SHARDS_ALL], uint64_t *acquired)
{
    struct lane lanes[LANES];
    for (int at = 0; at < LANES; at++) {
        lanes[at] = (struct lane){.shards = shards, .action = action, .number = at};
        lanes[at].has_thread = pthread_create(&lanes[at].thread, NULL, lane_main, &lanes[at]) == 0;
        if (!lanes[at].has_thread)
            lane_main(&lanes[at]);
    }
    int rc = 0;
    for (int at = 0; at < LANES; at++) {
        if (lanes[at].has_thread)
            pthread_join(lanes[at].thread, NULL);
        *acquired |= lanes[at].acquired;
        if (lanes[at].raced)
            shards->listed_ms = 0;
        if (lanes[at].err.code && rc == 0) {
            ctx->err = lanes[at].err;
            rc = -ctx->err.code;
        }
    }
    if (rc < 0)
        shards->first = (shards->first + 1) % SHARDS_ALL;
    return rc;
}

/* ---- rounds ---- */

static void show_metrics(struct shards *shards)
{
    int held = 0;
    pthread_mutex_lock(&shards->mutex);
    for (int shard = 0; shard < SHARDS_ALL; shard++)
        held += shards->hold[shard].held;
    bool leads = shards->hold[SHARD_OF_CLUSTER].held;
    pthread_mutex_unlock(&shards->mutex);
    metric_set(METRIC_LEASES_HELD, held);
    metric_set(METRIC_LEADER, leads, SHARD_PREFIX "cluster");
}

/* Decides by what was listed last: that is fenced by the versions it had. */
static int look(struct ctx *ctx, struct shards *shards)
{
    int64_t now_ms = clock_boottime_ms();
    int64_t period_ms = shards->options.renew_ms / LISTS_PER_RENEWAL;
    if (shards->listed_ms && now_ms - shards->listed_ms < period_ms)
        return 0;
    shards->listed_ms = 0;
    TRY(list_leases(ctx, shards));
    TRY(fence_dead(ctx, shards));
    shards->listed_ms = now_ms;
    return 0;
}

static int round_of(struct ctx *ctx, struct shards *shards, uint64_t *acquired)
{
    const char *live[SHARD_MEMBERS_MAX + 1];
    enum lease_action action[SHARDS_ALL];
    bool is_work = false;
    TRY(look(ctx, shards));
    TRY(renew_member(ctx, shards, acquired));
    int count = live_members(shards, live);
    for (int shard = 0; shard < SHARDS_ALL; shard++) {
        action[shard] = decide_shard(shards, shard, live, count, acquired);
        is_work |= action[shard] != LEASE_NOTHING;
    }
    return is_work ? run_lanes(ctx, shards, action, acquired) : 0;
}

void *shard_leases_main(void *arg)
{
    struct shards *shards = arg;
    const struct shards_options *options = &shards->options;
    struct arena *arena = arena_new();
    bool failing = false;
    do {
        arena_reset(arena);
        struct ctx ctx = ctx_make(arena, "operate");
        ctx.deadline_ms = clock_boottime_ms() + call_timeout_ms(shards);
        uint64_t acquired = 0;
        int rc = round_of(&ctx, shards, &acquired);
        if (rc < 0 && !failing)
            log_failure(&ctx, "renewing the Leases");
        failing = rc < 0;
        if (failing)
            shards->listed_ms = 0;
        else
            atomic_store(&shards->spoken, true);
        show_metrics(shards);
        if (acquired)
            options->acquired(options->arg, acquired);
    } while (!shards_wait_stop(shards, options->renew_ms / ROUNDS_PER_RENEWAL + 1));
    arena_free(arena);
    return NULL;
}

/* Without our member Lease everything that we held is free. */
void shard_leases_release(struct shards *shards)
{
    if (!shards->own.held)
        return;
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "operate");
    ctx.deadline_ms = clock_boottime_ms() + call_timeout_ms(shards);
    int rc = remove_member(&ctx, shards, shards->options.identity, NULL);
    if (rc < 0 && rc != -ERR_NOT_FOUND)
        log_failure(&ctx, "giving the Leases back"); /* they run out by themselves */
    arena_free(arena);
}
