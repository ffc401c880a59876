/*
 * workerset_plan: which pods of a WorkerSet are made, are to leave, and are removed. Pure. A pod is
 * never removed at once: it is marked to leave, and nothing takes that back; the placement empties
 * it and releases it when nothing leads to it any more; then it is removed.
 */
#pragma once

#include "reconcilers/pipeline/world.h"

struct set_pod {
    const json_t *object; /* NULL = there is none of this number */
    bool going;           /* it is being deleted */
    bool leaving;         /* it is marked */
    bool released, ready, failed;
    bool rests;   /* it failed, and is too young for another to be made in its place */
    bool current; /* made of the template as it is now */
    bool bound;   /* a binding gives it something */
};

/* What becomes of the pod of a number. */
enum set_step { SET_NOTHING, SET_MAKE, SET_MARK_SURPLUS, SET_MARK_TEMPLATE, SET_REMOVE };

struct set_plan {
    struct set_pod pods[WORLD_PODS_MAX];
    bool stays[WORLD_PODS_MAX]; /* a pod of this number is wanted */
    enum set_step steps[WORLD_PODS_MAX];
    int64_t wanted, there, ready, updated, leaving, failed;
};

/* `plan` has the pods; the rest follows from them and the spec of the WorkerSet. */
void set_plan_make(const json_t *spec, struct set_plan *plan);
