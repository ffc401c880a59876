/*
 * talk: a world of the talk's classes, pods and pipelines, written as the objects that people and
 * the API server write, and what is decided about it, one decision after the other.
 */
#pragma once

#include "reconcilers/pipeline/asked.h"
#include "reconcilers/pipeline/placement/placement.h"
#include "reconcilers/pipeline/scope.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <string.h>

enum { NOW_S = 1800000000, CLASSES = 3 };

/* The talk's: blue 30, green 15, yellow 200. */
static const struct {
    const char *name;
    int capacity;
} talk[CLASSES] = {{"blue", 30}, {"green", 15}, {"yellow", 200}};

struct fixture {
    struct ctx *ctx;
    json_t *classes, *pods, *pipelines, *ledger;
    int64_t now_s;
    struct world world;
    struct decision decision;
};

static inline const char *time_text(struct ctx *ctx, int64_t at_s)
{
    char text[CLOCK_RFC3339_BYTES];
    return arena_strdup(ctx->arena, clock_rfc3339(text, at_s * 1000, 0));
}

static inline struct fixture fixture_new(struct ctx *ctx)
{
    struct fixture made = {.ctx = ctx, .now_s = NOW_S};
    made.classes = arena_json(ctx->arena, json_array());
    made.pods = arena_json(ctx->arena, json_array());
    made.pipelines = arena_json(ctx->arena, json_array());
    for (int at = 0; at < CLASSES; at++)
        json_array_append_new(made.classes,
                              json_pack("{s:{s:s, s:i}, s:{s:i, s:s}}", "metadata", "name",
                                        talk[at].name, "generation", 1, "spec", "capacity",
                                        talk[at].capacity, "mode", "Whole"));
    return made;
}

static inline void put_pod(struct fixture *fixture, const char *class, int ordinal, bool ready)
{
    json_array_append_new(
        fixture->pods,
        json_pack("{s:{s:o, s:{s:s}}, s:{s:s, s:s, s:[{s:s, s:s, s:s}]}}", "metadata", "name",
                  json_sprintf("%s-workers-%d", class, ordinal), "labels", LABEL_WORKER_CLASS,
                  class, "status", "phase", "Running", "podIP", "10.0.0.1", "conditions", "type",
                  "Ready", "status", ready ? "True" : "False", "lastTransitionTime",
                  time_text(fixture->ctx, fixture->now_s)));
}

static inline json_t *pod_of(struct fixture *fixture, const char *name)
{
    size_t at;
    json_t *pod;
    json_array_foreach(fixture->pods, at, pod)
        if (str_equal(json_str(pod, "metadata.name"), name))
            return pod;
    fail_msg("no pod %s", name);
    return NULL;
}

static inline void lose_pod(struct fixture *fixture, const char *name)
{
    const json_t *pod = pod_of(fixture, name);
    for (size_t at = 0; at < json_array_size(fixture->pods); at++)
        if (json_array_get(fixture->pods, at) == pod)
            json_array_remove(fixture->pods, at);
}

/* A line of one stage of each class, named after it, as the talk's slides have it. */
static inline json_t *put_pipeline(struct fixture *fixture, const char *name, int rate)
{
    size_t number = json_array_size(fixture->pipelines);
    json_t *made =
        json_pack("{s:{s:s, s:o, s:s}, s:{s:i, s:{s:{s:s, s:[s]}, s:{s:s, s:[s]}, s:{s:s, s:[]}}}}",
                  "metadata", "name", name, "uid", json_sprintf("uid-%s-%zu", name, number),
                  "creationTimestamp", time_text(fixture->ctx, NOW_S + (int64_t)number), "spec",
                  "documentsPerSecond", rate, "workers", "blue", "class", "blue", "next", "green",
                  "green", "class", "green", "next", "yellow", "yellow", "class", "yellow", "next");
    json_array_append_new(fixture->pipelines, made);
    return made;
}

static inline const struct decision *decided_when(struct fixture *fixture, bool settled)
{
    world_read(fixture->ctx, fixture->classes, fixture->pods, fixture->pipelines, fixture->now_s,
               &fixture->world);
    asked_close(&fixture->world, fixture->ledger);
    if (decide(fixture->ctx, &fixture->world, fixture->ledger, settled, &fixture->decision) < 0)
        fail_msg("%s", fixture->ctx->err.message);
    fixture->ledger = fixture->decision.ledger;
    return &fixture->decision;
}

static inline const struct decision *decided(struct fixture *fixture)
{
    return decided_when(fixture, true);
}

static inline const struct verdict *verdict_of(const struct fixture *fixture, const char *name)
{
    for (uint32_t at = 0; at < fixture->world.pipeline_count; at++)
        if (str_equal(fixture->world.pipelines[at].name, name))
            return &fixture->decision.verdicts[at];
    fail_msg("no pipeline %s", name);
    return NULL;
}

/* "0:10000 2:5000": pods and shares of a stage, from the ledger. */
static inline const char *shares_of(const struct fixture *fixture, const char *name,
                                    const char *stage)
{
    const json_t *entry = json_find(fixture->ledger, "pipelines", "name", name);
    const json_t *row = json_find(entry, "stages", "name", stage);
    char *text = arena_strdup(fixture->ctx->arena, "");
    size_t at;
    json_t *share;
    json_array_foreach(json_at(row, "shares"), at, share)
        text = arena_printf(fixture->ctx->arena, "%s%s%lld:%lld", text, *text ? " " : "",
                            (long long)json_int_or(share, "pod", -1),
                            (long long)json_int_or(share, "milli", -1));
    return text;
}

static inline void put_talk_pods(struct fixture *fixture)
{
    static const int replicas[CLASSES] = {3, 2, 2};
    for (int class = 0; class < CLASSES; class ++)
        for (int pod = 0; pod < replicas[class]; pod++)
            put_pod(fixture, talk[class].name, pod, true);
}

static inline void set_ready(struct fixture *fixture, const char *pod, bool ready)
{
    json_t *condition = json_at(pod_of(fixture, pod), "status.conditions.0");
    json_object_set_new(condition, "status", json_string(ready ? "True" : "False"));
    json_object_set_new(condition, "lastTransitionTime",
                        json_string(time_text(fixture->ctx, fixture->now_s)));
}

static inline void let_go(struct fixture *fixture, const char *pod)
{
    json_put(pod_of(fixture, pod), "metadata.deletionTimestamp", json_string("now"));
}
