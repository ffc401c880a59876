/* One class of four pods of 15, and pipelines of one stage. */
#pragma once

#include "reconcilers/pipeline/placement/placement.h"

#include "server/base/cleanup.h"
#include "tests/unit/test.h"

#include <string.h>

enum { CLASS, PODS = 4 };
static const struct place_class plain = {.capacity = 15,
                                         .pods_max = PODS,
                                         .split_max = PLACE_SPLIT_MAX,
                                         .zones_min = 1,
                                         .timeout_s = 30,
                                         .mode = PLACE_WEIGHTED};

static inline void pod_is(struct ctx *ctx, struct placement *placement, uint32_t ordinal,
                          enum pod_state state, uint32_t zone)
{
    struct place_pod pod = {CLASS, ordinal, state, zone, 15};
    assert_int_equal(placement_pod_set(ctx, placement, &pod, 0), 0);
}

/* A class with pods 0..ready-1, in zones by turns. */
static inline struct placement *with(struct ctx *ctx, struct place_class spec, uint32_t ready)
{
    struct placement *placement = placement_new();
    assert_int_equal(placement_class_set(ctx, placement, CLASS, &spec), 0);
    for (uint32_t at = 0; at < ready; at++)
        pod_is(ctx, placement, at, POD_READY, at % spec.zones_min);
    return placement;
}

static inline void admit(struct ctx *ctx, struct placement *placement, uint32_t id, int64_t rate,
                         int32_t priority, uint32_t tenant, int64_t now_s)
{
    struct place_stage stage = {CLASS, rate};
    struct place_pipeline spec = {id, tenant, priority, id, 1, &stage};
    assert_int_equal(placement_admit(ctx, placement, &spec, now_s), 0);
}

static inline void assert_shares(struct ctx *ctx, const struct placement *placement, uint32_t id,
                                 const char *expected)
{
    struct place_share found[PLACE_SPLIT_MAX];
    uint32_t count = placement_shares(placement, id, 0, found);
    const char *text = "";
    for (uint32_t at = 0; at < count; at++)
        text = arena_printf(ctx->arena, "%s%s%u:%ld%s", text, at ? " " : "", found[at].ordinal,
                            (long)found[at].milli, found[at].held ? "held" : "");
    assert_string_equal(text, expected);
}

static inline int64_t leaving(const struct placement *placement, uint32_t ordinal)
{
    int64_t used, gone;
    placement_pod_look(placement, CLASS, ordinal, &used, &gone);
    return gone;
}

static inline void drain_all(struct ctx *ctx, struct placement *placement)
{
    for (uint32_t pod = 0; pod < PODS; pod++)
        assert_int_equal(placement_drained(ctx, placement, CLASS, pod, leaving(placement, pod), 0),
                         0);
}
