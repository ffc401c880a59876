/*
 * The lease thread: one round a fifth of the renewal time, one when another's Lease runs out, and
 * one when a member leaves. A round renews our member Lease when that is due, lists all Leases (one
 * read) when the last list is half a renewal old, a member left or something failed, fences members
 * that are dead (shard_members.c), and does for each shard what lease_decide() says, in a few lanes
 * at a time. A call that fails ends its lane: the others of it would only wait as long.
 */
#include "reconcilers/engine/shards_internal.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <stdio.h>
#include <string.h>

enum { ROUNDS_PER_RENEWAL = 5, LISTS_PER_RENEWAL = 2, LANES = 8 };

/* ---- what is there ---- */

static struct lease_record *find_shard(struct shards *shards, const char *name)
{
    int64_t number;
    if (str_equal(name, "cluster"))
        return &shards->record[SHARD_OF_CLUSTER];
    return str_to_int(name, 0, SHARD_ROOTS - 1, &number) ? &shards->record[number] : NULL;
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
    shard_members_unsee(shards);
    json_array_foreach(list, index, lease) {
        const char *name = json_str_or(lease, "metadata.name", "");
        struct lease_record *record = NULL;
        if (str_starts(name, SHARD_PREFIX))
            record = find_shard(shards, name + strlen(SHARD_PREFIX));
        else if (str_starts(name, MEMBER_PREFIX))
            TRY(shard_members_note(ctx, shards, name + strlen(MEMBER_PREFIX), &record));
        if (record)
            lease_note(record, lease, now_ms);
    }
    shard_members_drop_unseen(shards);
    forget_lost(shards);
    return 0;
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
    const struct lease_write write = {
        .name = arena_printf(ctx->arena, SHARD_PREFIX "%s", shard_name(shard, name)),
        .label = "shard",
        .holder = release ? NULL : shards->options.identity,
        .take = !release,
    };
    if (release)
        note_released(shards, shard); /* before it is sent: then another may begin */
    int rc = lease_write(ctx, shards, &write, record);
    if (rc == 0 && !release && shards_note_held(shards, shard, shards->own.sent_ms))
        *acquired |= UINT64_C(1) << shard;
    return rc;
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
    for (int step = 0; step < SHARDS_ALL && (rc == 0 || lease_raced(rc)); step++) {
        int shard = (shards->first + step) % SHARDS_ALL;
        if (shard % LANES != lane->number || lane->action[shard] == LEASE_NOTHING)
            continue;
        err_clear(&ctx);
        ctx.deadline_ms = clock_boottime_ms() + lease_call_timeout_ms(shards);
        rc = write_shard(&ctx, shards, shard, lane->action[shard], &lane->acquired);
        lane->raced |= lease_raced(rc);
    }
    if (rc < 0 && !lease_raced(rc))
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

/* By the gate's own clock: a process that cannot renew must not look as if it held anything. */
static void show_metrics(struct shards *shards)
{
    bool leads;
    metric_set(METRIC_LEASES_HELD, shards_count_held(shards, &leads));
    metric_set(METRIC_LEADER, leads, SHARD_PREFIX "cluster");
}

/* What is decided by an older list is fenced by the versions that it had. */
static bool list_is_due(const struct shards *shards)
{
    int64_t period_ms = shards->options.renew_ms / LISTS_PER_RENEWAL;
    return !shards->listed_ms || shards->look_now ||
           clock_boottime_ms() - shards->listed_ms >= period_ms;
}

static int look(struct ctx *ctx, struct shards *shards)
{
    int64_t now_ms = clock_boottime_ms();
    shards->listed_ms = 0;
    TRY(list_leases(ctx, shards));
    shards->look_now = false;
    shards->listed_ms = now_ms;
    return 0;
}

/*
 * A process that holds something renews before it does anything else: a slow list must not cost it
 * its hold. After a failure, and at the start, the version that a renewal needs comes from the
 * list.
 */
static int renew_and_look(struct ctx *ctx, struct shards *shards, uint64_t *acquired)
{
    if (shards->listed_ms)
        TRY(shard_members_renew(ctx, shards, acquired));
    shards_take_heard(shards);
    if (list_is_due(shards))
        TRY(look(ctx, shards));
    shard_members_fence_dead(ctx, shards);
    return shard_members_renew(ctx, shards, acquired);
}

static int round_of(struct ctx *ctx, struct shards *shards, uint64_t *acquired)
{
    const char *live[SHARD_MEMBERS_MAX + 1];
    enum lease_action action[SHARDS_ALL];
    bool is_work = false;
    TRY(renew_and_look(ctx, shards, acquired));
    int count = shard_members_live(shards, live);
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
    int64_t period_ms = options->renew_ms / ROUNDS_PER_RENEWAL + 1;
    struct arena *arena = arena_new();
    bool failing = false;
    do {
        arena_reset(arena);
        struct ctx ctx = ctx_make(arena, "operate");
        ctx.deadline_ms = clock_boottime_ms() + lease_call_timeout_ms(shards);
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
    } while (
        !shards_wait_round(shards, shard_members_wait_ms(shards, clock_boottime_ms(), period_ms)));
    arena_free(arena);
    return NULL;
}
