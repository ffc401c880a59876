/*
 * graph: the stages of a Pipeline, read from its spec, checked, and the rate of each. Pure.
 *
 * Documents enter at one stage, the entrance: the one without a predecessor from which all others
 * are reached. Each stage sends what it gets to each of its next ones, so that a stage with several
 * predecessors gets the sum of their rates.
 */
#pragma once

#include "reconcilers/pipeline/placement/facts.h"

#include <jansson.h>

struct ctx;

enum { STAGE_NAME_BYTES = 40 };

/* A WorkerClass as decisions see it; strings are borrowed. */
struct worker_class {
    const char *name;
    int64_t generation;
    struct place_class spec;
    const json_t *quotas; /* [{tenant, documentsPerSecond}]; NULL = none */
    int32_t drain_s;      /* how long what left a pod still counts there */
    int64_t compaction;   /* milli that may move to lower pods in a minute; 0 = none */
    uint32_t slack;       /* pods beyond the least, at which that stops */
};

struct graph_stage {
    const char *name, *class_name;
    uint32_t class_at; /* in the classes that were given */
    uint32_t next;     /* a mask of stages, by their place */
    int64_t rate;      /* milli-documents per second */
};

/* Valid when `reason` is NULL; else reason, stage and message say what is wrong and what is allowed
 * (in ctx->arena). Stages are in the order of their names. */
struct graph {
    uint32_t count;
    struct graph_stage stages[PLACE_STAGES_MAX];
    const char *reason, *message;
    const char *stage; /* the offending one; NULL = none in particular */
};

/* All that can be said where the classes are not known; class_at is not set. `spec` is that of a
 * Pipeline; what its CRD would refuse is refused here, too. */
void graph_shape(struct ctx *ctx, const json_t *spec, struct graph *ret);

/* The same, and that there are the classes, and that they can give what the stages need. */
void graph_read(struct ctx *ctx, const json_t *spec, const struct worker_class *classes,
                uint32_t class_count, struct graph *ret);

/* The most, in milli, that the class ever gives one stage. */
int64_t class_stage_most(const struct place_class *spec);
