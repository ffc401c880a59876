/* facts: what goes into a placement and what is seen of it: limits, classes, pods, pipelines,
 * phases, reasons. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Sums stay below 2^63: 131072 pipelines * 32 stages * 10^11 < 4.2 * 10^17, 16384 pods * 10^11 < 2
 * * 10^15. */
enum {
    PLACE_CLASSES_MAX = 256,
    PLACE_PODS_MAX = 16384, /* of one class */
    PLACE_PIPELINES_MAX = 131072,
    PLACE_STAGES_MAX = 32, /* of one pipeline */
    PLACE_SPLIT_MAX = 64,  /* pods of one stage */
    PLACE_ZONES_MAX = 8,
    PLACE_TENANTS_MAX = 4096,
    PLACE_PRIORITY_MAX = 1000,
    PLACE_VICTIMS_MAX = 64, /* pipelines that one may displace */
    PLACE_WAKE_MAX = 256,   /* tries in one tick: one batch of decisions */
    PLACE_WORK_MAX =
        1 << 17, /* shares that preemption changes on trial until a tick ends; who began may end */
    PLACE_TIMEOUT_S_MAX = 86400,
    PLACE_BACKOFF_S = 60, /* doubled with each failure */
    PLACE_BACKOFF_S_MAX = 3600,
    PLACE_HOLD_S =
        300, /* who has waited so long is not overtaken by its equals in the classes it lacks */
};
enum { MILLI = 1000 }; /* of a document per second, in which rates and capacities are counted */
#define PLACE_MILLI_MAX INT64_C(100000000000) /* 10^8 documents per second */
#define PLACE_NONE UINT32_MAX

enum place_mode { PLACE_WEIGHTED, PLACE_EQUAL, PLACE_WHOLE };
enum place_policy { PLACE_PACK, PLACE_SPREAD }; /* fewest pods, or as many as allowed */

struct place_class {
    int64_t capacity; /* of a pod that is yet to come */
    uint32_t pods_max;
    uint32_t split_max; /* 1..PLACE_SPLIT_MAX */
    uint32_t zones_min; /* zones over which each stage is spread evenly; 1 = wherever */
    int32_t timeout_s;  /* how long a reservation waits for pods to start */
    enum place_mode mode;
    enum place_policy policy;
};

enum pod_state {
    POD_ABSENT,
    POD_PLANNED,  /* asked for by a reservation: the caller makes it */
    POD_STARTING, /* exists, does not serve yet */
    POD_READY,
    POD_DRAINING, /* serves, must be emptied */
};

struct place_pod {
    uint32_t class_id, ordinal;
    enum pod_state state; /* ABSENT = lost or gone; PLANNED is ours to set */
    uint32_t zone;
    int64_t capacity;
};

struct place_stage {
    uint32_t class_id;
    int64_t rate; /* 0 = drawn but not running */
};

/* What a tenant may use of a class. */
struct place_quota {
    int64_t nominal; /* its own, which others may borrow while it is unused; INT64_MAX = no quota */
    int64_t borrow;  /* so much more, of what those who have a quota there leave unused */
};

struct place_pipeline {
    uint32_t id, tenant;
    int32_t priority; /* 0..PLACE_PRIORITY_MAX, larger first */
    uint64_t age;     /* unique, smaller = older */
    uint32_t stage_count;
    const struct place_stage *stages; /* copied */
};

enum place_phase {
    PLACE_UNKNOWN,  /* no such pipeline */
    PLACE_PLACED,   /* every stage whole, on pods that serve */
    PLACE_SCALING,  /* every stage whole, some on pods or in room to come: until `deadline_s` */
    PLACE_DEGRADED, /* each stage serves, some lacks a part or must leave its pod: tried again at
                       `retry_s` */
    PLACE_BROKEN,   /* some stage has no live share; as above */
    PLACE_WAITING,  /* holds nothing; tried again at `retry_s`, or when what it lacks appears */
    PLACE_REJECTED, /* can never fit as it is */
};

/* X(name, CamelCase reason, what it means) */
#define PLACE_REASONS(X)                                                                           \
    X(FITS, "Placed", "every stage is placed")                                                     \
    X(WAITS_FOR_PODS, "WaitingForScale", "room is reserved on pods that do not serve yet")         \
    X(WAITS_FOR_DRAIN, "WaitingForDrain", "room is reserved where another pipeline is leaving")    \
    X(NO_CAPACITY, "NoCapacity", "the class has no room and may have no more pods")                \
    X(BEHIND, "QueuedBehind", "an older pipeline waits for the same class")                        \
    X(OVER_QUOTA, "OverQuota",                                                                     \
      "the tenant's quota of the class, or what it may borrow, is in use")                         \
    X(TIMED_OUT, "ScaleTimeout", "the pods that were asked for did not come in time")              \
    X(PREEMPTED, "Preempted",                                                                      \
      "a pipeline of higher priority, or one of the tenant that had lent it, took the room")       \
    X(TOO_LARGE, "ExceedsMaxCapacity", "more than the class could ever give one stage")            \
    X(TOO_LARGE_FOR_QUOTA, "ExceedsQuota", "more than the tenant's whole quota of the class")
enum place_reason {
#define X(name, word, doc) PLACE_##name,
    PLACE_REASONS(X)
#undef X
};

/* What is known of a pipeline: enough to say why it does not run and when that changes. */
struct place_view {
    enum place_phase phase;
    enum place_reason reason;
    uint32_t stage;       /* that the reason speaks of; PLACE_NONE with PLACED */
    int64_t need, free;   /* milli of its class: what the stage lacks or asks, what is free on pods
                             that serve */
    uint32_t pods_needed; /* pods that would have to start for it (its stage alone) */
    int64_t deadline_s;   /* SCALING */
    int64_t retry_s;      /* DEGRADED, BROKEN, WAITING */
    int64_t waiting_since_s;
    uint32_t attempts;
    bool ran; /* has been PLACED since it was admitted */
    bool due; /* there is more room than when it was last tried: the next tick tries it */
};

struct place_share {
    uint32_t ordinal;
    int64_t milli;
    int64_t held; /* of milli: must not be served before what leaves the pod has drained */
};

struct place_class_view {
    uint32_t ready, coming, planned; /* pods by state; coming = starting */
    uint32_t replicas;  /* highest ordinal in use or asked for, + 1: what a StatefulSet needs */
    int64_t demand;     /* rates of all pipelines but rejected ones: the metric for autoscalers */
    int64_t used, free; /* free: on pods that serve */
};

/* A pipeline as it was seen when it was written down: see placement_restore(). */
struct place_kept_share {
    uint32_t stage;
    struct place_share share;
};

struct place_kept {
    struct place_view view;
    uint32_t share_count;
    const struct place_kept_share *shares;
};
