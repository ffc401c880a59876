/* What shards.c (gate, watchdog) and shard_leases.c (talking with the server) share. */
#pragma once

#include "reconcilers/engine/shards.h"

#include <stdatomic.h>

enum { SHARD_MEMBERS_MAX = 256 };

struct shard_member {
    char name[LEASE_HOLDER_BYTES]; /* identity */
    struct lease_record record;
    bool seen; /* in the list of this round */
};

struct shards {
    struct shards_options options;
    pthread_t lease_thread, watchdog_thread;
    bool started;
    atomic_bool spoken;

    pthread_mutex_t mutex; /* guards what follows up to the blank line */
    pthread_cond_t stop;
    bool stopping;
    struct lease_hold hold[SHARDS_ALL];
    struct shard_visit *visits;

    /* Of the lease thread; while its lanes run, each lane has the records of its shards. */
    struct lease_record record[SHARDS_ALL];
    struct shard_member members[SHARD_MEMBERS_MAX]; /* the others and, when listed, ourselves */
    int member_count;
    struct lease_hold own; /* our own member Lease */
    int64_t listed_ms;     /* when all Leases were listed; 0 = list before anything is decided */
    int first;             /* where the next round begins; moves on after a failure */
};

/*
 * A renewal that was sent then succeeded. True when all roots of the shard must be looked at: it
 * was acquired, or keys were refused although it was ours: a renewal sent in time may be answered
 * after the deadline, and nothing else brings back what woke up in between.
 */
bool shards_note_held(struct shards *shards, int shard, int64_t sent_ms);
/* The same for every shard that we hold; those of which all roots must be looked at, as bits. */
uint64_t shards_note_renewed(struct shards *shards, int64_t sent_ms);
/* Our member Lease is gone: nothing is ours any more. */
void shards_drop_all(struct shards *shards);
/* Main of the lease thread. */
void *shard_leases_main(void *shards);
/* Gives everything back; after the lease thread has ended. */
void shard_leases_release(struct shards *shards);
/* Waits, or returns true at once when the process stops. */
bool shards_wait_stop(struct shards *shards, int64_t ms);
