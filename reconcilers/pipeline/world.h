/*
 * world: what a decision looks at, as plain structs: the WorkerClasses, their pods and the
 * Pipelines of one namespace, read from the objects. Pure; strings are borrowed from them.
 */
#pragma once

#include "reconcilers/pipeline/graph/graph.h"

struct ctx;

/* On pods: the name of their WorkerClass. Their own name ends in "-<ordinal>". */
#define LABEL_WORKER_CLASS "scheduling.k8s.xxii.io/workerclass"
/* On pods of a WorkerSet: its name; of which template; that it is to go; that it may. */
#define LABEL_WORKER_SET "scheduling.k8s.xxii.io/workerset"
#define ANNOTATION_TEMPLATE "scheduling.k8s.xxii.io/template"
#define ANNOTATION_LEAVING "scheduling.k8s.xxii.io/leaving"
#define ANNOTATION_RELEASED "scheduling.k8s.xxii.io/released"

/* On pods: the API server copies it from their nodes, since 1.35. */
#define LABEL_ZONE "topology.kubernetes.io/zone"

/* On pipelines: whose they are, as a fleet writes it. */
#define LABEL_OF_TENANT "flotilla.dev/tenant"

enum {
    WORLD_CLASSES_MAX = 128,
    WORLD_PIPELINES_MAX = 16384,
    WORLD_PODS_MAX = 1000, /* of one class */
    FLAP_S = 5,            /* a pod that is not ready for a shorter time is left what it carries */
};

/* Whose pods a class's are, where we say how many there are to be. */
struct scaling {
    const char *target;  /* its name; NULL = somebody else scales */
    bool any;            /* a WorkerSet, of which any pod can leave; else a StatefulSet */
    const char *refused; /* why it is left alone: a reason, and `message`; NULL = it is not */
    const char *message;
    const json_t *object; /* the target as it was read; NULL = it was not */
    bool ordered;         /* its pods come one after the other */
    uint32_t there;       /* pods that it was told to have */
    uint32_t spare;       /* pods beyond those that are needed */
    int32_t calm_s;       /* a pod is of no use for so long before it is let go */
};

struct worker {
    const char *name, *uid, *address;
    const char *zone;        /* as its label says; NULL = it has none */
    enum pod_state state;    /* POD_ABSENT = there is none of this ordinal */
    bool ready;              /* as its condition says: what routing mirrors */
    bool bound;              /* a binding gives it something */
    bool of_set;             /* a WorkerSet's */
    bool leaving;            /* it is marked to go */
    int64_t unready_since_s; /* or ready: since its condition says so */
};

struct workers {
    struct worker_class class;
    int64_t port;
    uint32_t count; /* pods by ordinal; NULL when there is none */
    struct worker *pods;
    struct scaling scaling;
    const char *twin;   /* a pod that is left out: another one has its ordinal; NULL = none */
    json_t *http_route; /* as its spec has it; NULL = it asks for none */
};

struct pipeline_wish {
    const char *name, *uid;
    const char *tenant; /* "" = nobody's, whom no quota binds */
    int32_t priority;
    json_t *object;
    struct graph graph;
};

struct world {
    int64_t now_s;
    uint32_t class_count, pipeline_count;
    struct workers *classes;         /* by name */
    struct pipeline_wish *pipelines; /* by creation, then by name */
};

/* Arrays of objects, each of one namespace. What is being deleted is no wish any more. */
void world_read(struct ctx *ctx, const json_t *classes, const json_t *pods, const json_t *pipelines,
                int64_t now_s, struct world *ret);

/* By its name, and its place; NULL when there is none. */
const struct workers *world_class(const struct world *world, const char *name, uint32_t *ret_at);
/* The number behind the last dash of a pod's name; false when there is none. */
bool world_ordinal(const char *name, uint32_t *ret);
/* We say how many pods it has. */
bool world_scales(const struct workers *workers);
/* All zero, and so POD_ABSENT, when there is none; workers may be NULL. */
struct worker world_worker(const struct workers *workers, uint32_t ordinal);
