/*
 * decide: what a PlacementLedger says next. Pure: the same ledger and the same world give the same
 * decision, in whatever process. The engine (placement/) is restored from the ledger, told what
 * changed, and written down again; the caller commits that by one fenced write and replays
 * everything else from it.
 */
#pragma once

#include "reconcilers/pipeline/world.h"

struct ctx;

enum {
    DECIDE_BATCH = 256,    /* pipelines that one decision admits */
    UNSETTLED_S_MAX = 300, /* so long a binding that cannot be routed holds up who waits for room */
    /* Beyond these no further pipeline is admitted. The bytes are those of the ledger when each of
     * its stages has as many shares as its class allows: what leaves pods doubles them at most, and
     * etcd takes 1.5 MiB. Each stage has a Service, and so an address of the cluster. */
    LEDGER_BYTES_MAX = 640 * 1024,
    LEDGER_STAGES_MAX = 1024,
};

/* What became of a Pipeline of the world, in its order. */
struct verdict {
    bool known;             /* it is in the ledger; else it is not valid, or has not come in */
    bool refused;           /* a change of its rate does not fit: `refusal` says why, the old one
                               goes on */
    bool full;              /* the namespace has no room for it */
    struct place_view view; /* when known */
    struct place_view refusal;
    struct place_quota quota; /* of its tenant, of the class that the reason speaks of */
    const json_t *entry;      /* of the ledger, when known */
};

/* Why a class is on as many pods as it is. */
enum compaction {
    COMPACTION_DONE,    /* on no more pods than it needs, and the spare ones */
    COMPACTION_OFF,     /* it is not to, or its load is to be spread */
    COMPACTION_BLOCKED, /* something waits for room of it, or leaves a pod */
    COMPACTION_SPENT,   /* what may move in this minute has moved */
    COMPACTION_STUCK,   /* lower pods have no room for what the highest one carries */
    COMPACTION_MOVING,  /* something moves now */
};

struct zone_note {
    const char *name; /* "" = of pods that do not say theirs */
    uint32_t ready;
    int64_t used;
};

struct class_note {
    enum compaction compaction;
    uint32_t replicas, wanted; /* up to the highest pod in use; the least, and the spare ones */
    int64_t moved;             /* milli, by this decision */
    int64_t next_s;            /* more may move then; 0 = nothing is due */
    uint32_t zone_count;       /* 0 where the class does not mind */
    struct zone_note zones[PLACE_ZONES_MAX];
    const char *zoneless; /* a pod that serves and has no zone; NULL = none */
};

struct decision {
    json_t *ledger;                   /* what spec is to be, in ctx->arena */
    bool changed;                     /* it differs from what it was */
    bool more;                        /* the batch was full: decide again */
    int64_t wake_s;                   /* look again then, in the world's time; 0 = nothing is due */
    struct verdict *verdicts;         /* by pipeline of the world */
    struct place_class_view *classes; /* by class of the world */
    struct class_note *notes;         /* the same */
};

/* ledger.c: the pod served when the ledger was written. `pods`: its letters of a class. */
bool ledger_serves(const char *pods, uint32_t ordinal);
/* "Compact" and the like; never NULL. */
const char *compaction_word(enum compaction compaction);

/*
 * `ledger` is the spec of a PlacementLedger, or NULL. settled: routing is as the ledger says, so
 * that what leaves its pods drains. -ERR_INVALID when the ledger says
 * what cannot be.
 */
int decide(struct ctx *ctx, const struct world *world, const json_t *ledger, bool settled,
           struct decision *ret);
