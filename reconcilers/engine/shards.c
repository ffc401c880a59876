/* The gate of passes and the watchdog; shard_leases.c is the thread that speaks with the server. */
#include "reconcilers/engine/shards.h"

#include "reconcilers/engine/shards_internal.h"
#include "server/base/clock.h"
#include "server/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <utlist.h>

enum { EXIT_LEASE_LOST = 70, WATCHDOG_ROUNDS_PER_LEASE = 60 };

static const char identity_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";

int shard_of_label(const char *root_label)
{
    char digit = root_label[0];
    return digit >= 'a' ? digit - 'a' : digit - '2' + 26;
}

const char *shard_name(int shard, char out[8])
{
    if (shard == SHARD_OF_CLUSTER)
        return "cluster";
    snprintf(out, 8, "%02u", (unsigned)shard % 100); /* % 100: the compiler can see that it fits */
    return out;
}

/* ---- visits; `holds` and `note_held` with the mutex held ---- */

static bool holds(const struct shards *shards, int shard, int64_t within_ms)
{
    const struct lease_hold *hold = &shards->hold[shard];
    return hold->held && clock_boottime_ms() - hold->sent_ms < within_ms;
}

static int check_gate(struct ctx *ctx, const struct gate *gate)
{
    const struct shard_visit *visit = gate->owner;
    struct shards *shards = visit->shards;
    if (!shards->options.gate)
        return 0;
    pthread_mutex_lock(&shards->mutex);
    bool open = holds(shards, visit->shard, shards->options.deadline_ms) &&
                shards->hold[visit->shard].epoch == visit->epoch;
    pthread_mutex_unlock(&shards->mutex);
    if (open)
        return 0;
    char name[8];
    return err_set(ctx, ERR_LEASE_LOST, NULL, "the Lease of shard %s has run out",
                   shard_name(visit->shard, name));
}

bool shards_enter(struct shards *shards, int shard, struct shard_visit *visit)
{
    pthread_mutex_lock(&shards->mutex);
    struct lease_hold *hold = &shards->hold[shard];
    bool may = !shards->options.gate ||
               (holds(shards, shard, shards->options.deadline_ms) && !hold->draining);
    if (may) {
        *visit = (struct shard_visit){.gate = {.check = check_gate, .owner = visit},
                                      .shards = shards,
                                      .shard = shard,
                                      .epoch = hold->epoch};
        DL_APPEND(shards->visits, visit);
    } else if (!hold->draining) {
        hold->refused = true;
    }
    pthread_mutex_unlock(&shards->mutex);
    return may;
}

static bool note_held(struct shards *shards, int shard, int64_t sent_ms)
{
    struct lease_hold *hold = &shards->hold[shard];
    bool acquired = !hold->held || sent_ms - hold->sent_ms >= shards->options.deadline_ms;
    if (acquired) {
        hold->epoch++;
        hold->draining = false;
    }
    bool wakes_roots = acquired || hold->refused;
    hold->held = true;
    hold->refused = false;
    hold->sent_ms = sent_ms;
    return wakes_roots;
}

bool shards_note_held(struct shards *shards, int shard, int64_t sent_ms)
{
    pthread_mutex_lock(&shards->mutex);
    bool wakes_roots = note_held(shards, shard, sent_ms);
    pthread_mutex_unlock(&shards->mutex);
    return wakes_roots;
}

uint64_t shards_note_renewed(struct shards *shards, int64_t sent_ms)
{
    uint64_t wakes_roots = 0;
    pthread_mutex_lock(&shards->mutex);
    for (int shard = 0; shard < SHARDS_ALL; shard++)
        if (shards->hold[shard].held && note_held(shards, shard, sent_ms))
            wakes_roots |= UINT64_C(1) << shard;
    pthread_mutex_unlock(&shards->mutex);
    return wakes_roots;
}

void shards_drop_all(struct shards *shards)
{
    pthread_mutex_lock(&shards->mutex);
    for (int shard = 0; shard < SHARDS_ALL; shard++) {
        shards->hold[shard].held = false;
        shards->hold[shard].draining = false;
    }
    pthread_mutex_unlock(&shards->mutex);
}

bool shards_holds(struct shards *shards, int shard)
{
    pthread_mutex_lock(&shards->mutex);
    bool held = !shards->options.gate || holds(shards, shard, shards->options.deadline_ms);
    pthread_mutex_unlock(&shards->mutex);
    return held;
}

int shards_count_held(struct shards *shards, bool *ret_cluster)
{
    int held = 0;
    pthread_mutex_lock(&shards->mutex);
    for (int shard = 0; shard < SHARDS_ALL; shard++)
        held += holds(shards, shard, shards->options.deadline_ms);
    *ret_cluster = holds(shards, SHARD_OF_CLUSTER, shards->options.deadline_ms);
    pthread_mutex_unlock(&shards->mutex);
    return held;
}

void shards_leave(struct shard_visit *visit)
{
    struct shards *shards = visit->shards;
    pthread_mutex_lock(&shards->mutex);
    DL_DELETE(shards->visits, visit);
    pthread_mutex_unlock(&shards->mutex);
}

/* ---- watchdog ---- */

static bool pause_for(struct shards *shards, int64_t ms, bool ends_when_roused)
{
    const struct timespec until = clock_until(ms);
    pthread_mutex_lock(&shards->mutex);
    int rc = 0;
    while (!shards->stopping && !(ends_when_roused && shards->roused) && rc == 0)
        rc = pthread_cond_timedwait(&shards->wake, &shards->mutex, &until);
    bool stopping = shards->stopping;
    pthread_mutex_unlock(&shards->mutex);
    return stopping;
}

bool shards_wait_stop(struct shards *shards, int64_t ms)
{
    return pause_for(shards, ms, false);
}

bool shards_wait_round(struct shards *shards, int64_t ms)
{
    return pause_for(shards, ms, true);
}

/* -1 when every pass inside is within its time. */
static int find_overstayed(struct shards *shards)
{
    int64_t limit_ms = (int64_t)shards->options.duration_ms * 13 / 15;
    int overstayed = -1;
    struct shard_visit *visit;
    pthread_mutex_lock(&shards->mutex);
    DL_FOREACH(shards->visits, visit)
        if (clock_boottime_ms() - shards->hold[visit->shard].sent_ms >= limit_ms)
            overstayed = visit->shard;
    pthread_mutex_unlock(&shards->mutex);
    return overstayed;
}

/*
 * A call of a lost shard that is still under way may take effect when another process owns the
 * shard. Ending the process cuts its connections before that can be.
 */
static void *watchdog_main(void *arg)
{
    struct shards *shards = arg;
    int64_t period_ms = shards->options.duration_ms / WATCHDOG_ROUNDS_PER_LEASE + 1;
    while (!shards_wait_stop(shards, period_ms)) {
        int overstayed = find_overstayed(shards);
        char name[8];
        if (overstayed < 0)
            continue;
        log_error(NULL, "a pass is still inside shard %s, whose Lease has run out: exiting",
                  shard_name(overstayed, name));
        _exit(EXIT_LEASE_LOST);
    }
    return NULL;
}

/* ---- life ---- */

struct shards *shards_new(const struct shards_options *options)
{
    struct shards *shards = calloc(1, sizeof *shards);
    if (!shards)
        abort();
    shards->options = *options;
    pthread_mutex_init(&shards->mutex, NULL);
    clock_cond_init(&shards->wake);
    return shards;
}

static int check_options(struct ctx *ctx, const struct shards_options *options)
{
    if (!str_matches(options->identity, identity_characters, 1, LEASE_HOLDER_BYTES - 1))
        return err_set(ctx, ERR_CONFIG, NULL, "identity '%s' is not made of [a-z0-9.-]",
                       options->identity ? options->identity : "");
    bool in_order = options->renew_ms > 0 && options->renew_ms < options->deadline_ms &&
                    options->deadline_ms < (int64_t)options->duration_ms * 13 / 15;
    if (!in_order)
        return err_set(
            ctx, ERR_CONFIG, NULL,
            "lease times must rise: renew %d ms, deadline %d ms, 13/15 of duration %d ms",
            options->renew_ms, options->deadline_ms, options->duration_ms);
    return 0;
}

int shards_start(struct ctx *ctx, struct shards *shards)
{
    TRY(check_options(ctx, &shards->options));
    shards_listen(shards);
    if (pthread_create(&shards->lease_thread, NULL, shard_leases_main, shards) != 0)
        return err_set(ctx, ERR_INTERNAL, NULL, "cannot start the lease thread");
    /* Without the gate passes may be inside any shard: there is nothing to watch. */
    if (shards->options.gate &&
        pthread_create(&shards->watchdog_thread, NULL, watchdog_main, shards) != 0)
        abort(); /* a process without watchdog must not run passes */
    shards->started = true;
    return 0;
}

bool shards_spoken(struct shards *shards)
{
    return atomic_load(&shards->spoken);
}

static void give_back(struct shards *shards)
{
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "operate");
    ctx.deadline_ms = clock_boottime_ms() + lease_call_timeout_ms(shards);
    shard_members_leave(&ctx, shards);
    arena_free(arena);
}

void shards_stop(struct shards *shards)
{
    if (!shards)
        return;
    pthread_mutex_lock(&shards->mutex);
    shards->stopping = true;
    pthread_cond_broadcast(&shards->wake);
    pthread_mutex_unlock(&shards->mutex);
    shards_listen_no_more(shards);
    if (shards->started) {
        pthread_join(shards->lease_thread, NULL);
        if (shards->options.gate)
            pthread_join(shards->watchdog_thread, NULL);
        give_back(shards);
    }
    pthread_cond_destroy(&shards->wake);
    pthread_mutex_destroy(&shards->mutex);
    free(shards);
}
