/*
 * 10,000 pods, three quarters full of three-stage pipelines; then churn: one goes, another comes.
 * The peer is what one writes first: best fit by looking at each pod's free capacity, for as many
 * bindings.
 */
#include "reconcilers/pipeline/placement/placement.h"

#include "server/base/ctx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PODS = 10000,
    CAPACITY = 15000,
    STAGES = 3,
    PIPELINES = 12500,
    CHURN = 200000,
    PEER = 3000,
    LOSSES = 200
};

static uint64_t random_state = 1;

static int64_t random_rate(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1; /* Knuth's MMIX */
    return 1000 + (int64_t)((random_state >> 33) % 4001);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* CPU time: the goal is per core, and others may use the machine. */
static int64_t now_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int by_value(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static double p99(int64_t *times, size_t count)
{
    qsort(times, count, sizeof *times, by_value);
    return (double)times[count * 99 / 100];
}

static void must(int rc)
{
    if (rc != 0)
        abort();
}

static struct placement *filled(struct ctx *ctx)
{
    struct placement *placement = placement_new();
    struct place_class spec = {CAPACITY, PODS, 16, 1, 60, PLACE_WEIGHTED, PLACE_PACK};
    must(placement_class_set(ctx, placement, 0, &spec));
    for (uint32_t at = 0; at < PODS; at++)
        must(placement_pod_set(ctx, placement, &(struct place_pod){0, at, POD_READY, 0, CAPACITY},
                               0));
    return placement;
}

static void come(struct ctx *ctx, struct placement *placement, uint32_t id, uint64_t age)
{
    struct place_stage stages[STAGES] = {
        {0, random_rate()}, {0, random_rate()}, {0, random_rate()}};
    struct place_pipeline spec = {.id = id, .age = age, .stage_count = STAGES, .stages = stages};
    must(placement_admit(ctx, placement, &spec, 0));
}

static void go(struct ctx *ctx, struct placement *placement, uint32_t id)
{
    struct place_share shares[STAGES][PLACE_SPLIT_MAX];
    uint32_t counts[STAGES];
    for (uint32_t stage = 0; stage < STAGES; stage++)
        counts[stage] = placement_shares(placement, id, stage, shares[stage]);
    must(placement_remove(ctx, placement, id));
    for (uint32_t stage = 0; stage < STAGES; stage++)
        for (uint32_t at = 0; at < counts[stage]; at++)
            must(placement_drained(ctx, placement, 0, shares[stage][at].ordinal,
                                   shares[stage][at].milli, 0));
}

/* Bindings per second of best fit by looking at every pod. */
static double peer(void)
{
    static int64_t room[PODS];
    for (int at = 0; at < PODS; at++)
        room[at] = random_rate();
    int64_t from = now_ns();
    for (int nth = 0; nth < PEER; nth++) {
        int64_t rate = random_rate();
        int best = -1;
        for (int at = 0; at < PODS; at++)
            if (room[at] >= rate && (best < 0 || room[at] < room[best]))
                best = at;
        if (best >= 0)
            room[best] += (nth % 2 ? 1 : -1) * rate;
    }
    return PEER * 1e9 / (double)(now_ns() - from);
}

static bool as_json;
static bool all_met = true;

static void report(const char *name, double value, const char *unit, double beside, double goal,
                   bool more)
{
    bool met = more ? value >= goal : value <= goal;
    double ratio = more ? value / beside : beside / value;
    all_met &= met;
    printf(as_json ? "{\"name\": \"%s\", \"value\": %.1f, \"unit\": \"%s\", \"peer\": %.1f, "
                     "\"ratio\": %.2f, \"goal\": %.0f, \"met\": %s}\n"
                   : "%-32s %12.1f %-11s peer %10.1f  ratio %8.2f  goal %8.0f  met %s\n",
           name, value, unit, beside, ratio, goal, met ? "true" : "false");
}

int main(int argc, char **argv)
{
    static int64_t times[CHURN];
    as_json = argc > 1 && strcmp(argv[1], "--json") == 0;
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "bench");
    struct placement *placement = filled(&ctx);
    for (uint32_t id = 0; id < PIPELINES; id++)
        come(&ctx, placement, id, id);
    int64_t spent = 0, passed = 0;
    for (uint32_t nth = 0; nth < CHURN / STAGES; nth++) {
        uint32_t id = (uint32_t)(random_rate() * 7919 % PIPELINES);
        go(&ctx, placement, id);
        int64_t from = now_ns(), from_wall = clock_ns(CLOCK_MONOTONIC);
        come(&ctx, placement, id, PIPELINES + nth);
        times[nth] = now_ns() - from;
        passed += clock_ns(CLOCK_MONOTONIC) - from_wall;
        spent += times[nth];
        while (placement_next_changed(placement) != PLACE_NONE)
            ;
    }
    double slow_peer = peer();
    double each = (double)(CHURN / STAGES * STAGES) * 1e9 / (double)spent;
    report("bindings placed per core", each, "1/s", slow_peer, 200000, true);
    report("the same by the wall clock", each * (double)spent / (double)passed, "1/s", slow_peer,
           200000, true);
    report("binding placed, p99", p99(times, CHURN / STAGES) / STAGES / 1e3, "us", 1e6 / slow_peer,
           50, false);
    for (uint32_t nth = 0; nth < LOSSES; nth++) {
        struct place_pod lost = {0, nth * 31 % (PODS / 2), POD_ABSENT, 0, CAPACITY};
        int64_t from = now_ns();
        must(placement_pod_set(&ctx, placement, &lost, 0));
        times[nth] = now_ns() - from;
    }
    report("lost pod placed anew, p99", p99(times, LOSSES) / 1e6, "ms", 500, 500, false);
    placement_free(placement);
    arena_free(arena);
    return all_met ? 0 : 1;
}
