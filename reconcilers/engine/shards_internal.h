/* What shards.c (gate, watchdog) and the files of the lease thread share: shard_leases.c (rounds),
 * shard_members.c (who lives), shard_heard.c (the watch), lease_client.c (one Lease). */
#pragma once

#include "reconcilers/engine/shards.h"

#include <stdatomic.h>

enum { SHARD_MEMBERS_MAX = 256 };

struct shard_member {
    char name[LEASE_HOLDER_BYTES]; /* identity */
    struct lease_record record;
    bool seen; /* in the list of this round */
    bool told; /* that it is dead and cannot be fenced */
};

/* What the watch told of a member and the lease thread has not taken yet. */
struct shard_heard {
    char name[LEASE_HOLDER_BYTES];
    struct lease_record record;
};

struct shards {
    struct shards_options options;
    pthread_t lease_thread, watchdog_thread;
    struct kube_cache *watch; /* of member Leases; NULL = none */
    bool started;
    atomic_bool spoken;

    pthread_mutex_t mutex; /* guards what follows up to the blank line */
    pthread_cond_t wake;
    bool stopping;
    struct lease_hold hold[SHARDS_ALL];
    struct shard_visit *visits;
    struct shard_heard heard[SHARD_MEMBERS_MAX];
    int heard_count;
    bool roused; /* a member Lease went: the next round is now, and lists */

    /* Of the lease thread; while its lanes run, each lane has the records of its shards. */
    struct lease_record record[SHARDS_ALL];
    struct shard_member members[SHARD_MEMBERS_MAX]; /* the others and, when listed, ourselves */
    int member_count;
    struct lease_hold own; /* our own member Lease */
    int64_t listed_ms;     /* when all Leases were listed; 0 = list before anything is decided */
    bool look_now;         /* what is known of a member is old, or one went */
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
/* How many shards are ours by the clock of the gate, and whether `cluster` is. */
int shards_count_held(struct shards *shards, bool *ret_cluster);
/* Main of the lease thread. */
void *shard_leases_main(void *shards);
/* Waits, or returns true at once when the process stops. */
bool shards_wait_stop(struct shards *shards, int64_t ms);
/* The same; ends early when roused. */
bool shards_wait_round(struct shards *shards, int64_t ms);

/* ---- shard_members.c ---- */

/* The record of a member that was listed, made if need be. -ERR_OVERLOADED (TooManyMembers): who is
 * not on record would count as dead without having been fenced, so nothing may be decided. */
int shard_members_note(struct ctx *ctx, struct shards *shards, const char *name,
                       struct lease_record **ret);
/* Around a list: whoever was not noted between the two is gone. */
void shard_members_unsee(struct shards *shards);
void shard_members_drop_unseen(struct shards *shards);
/* Ourselves first, then every other that was not fenced; returns how many. */
int shard_members_live(const struct shards *shards, const char *live[SHARD_MEMBERS_MAX + 1]);
/* When it is due. -ERR_LEASE_LOST: somebody fenced us, and nothing is ours any more. */
int shard_members_renew(struct ctx *ctx, struct shards *shards, uint64_t *acquired);
/* Deletes the Leases of those that are dead, before anything of theirs may be taken. */
void shard_members_fence_dead(struct ctx *ctx, struct shards *shards);
/* Another's Lease has changed; nothing where no list has told of it, or that was a later change. */
void shard_members_hear(struct shards *shards, const struct shard_heard *heard);
/* Until the first Lease of another runs out, or `at_most_ms`. */
int64_t shard_members_wait_ms(const struct shards *shards, int64_t now_ms, int64_t at_most_ms);
/* Without our member Lease everything that we held is free. After the lease thread has ended. */
void shard_members_leave(struct ctx *ctx, struct shards *shards);

/* ---- shard_heard.c ---- */

void shards_listen(struct shards *shards);
/* After that nothing is told any more. */
void shards_listen_no_more(struct shards *shards);
/* An event of the watch: a kube_cache_event, on the I/O thread. */
void shards_on_lease(void *shards, enum kube_kind kind, const json_t *lease,
                     enum kube_change change);
/* What was told since the last time becomes what the lease thread knows. */
void shards_take_heard(struct shards *shards);

/* ---- lease_client.c ---- */

#define LABEL_LEASE "flotilla.dev/lease" /* "shard" or "member" */
#define SHARD_PREFIX "flotilla-shard-"
#define MEMBER_PREFIX "flotilla-member-"

struct lease_write {
    const char *name, *label;
    const char *holder; /* NULL = give it back */
    bool take;          /* its holder changes */
};

/* A call that takes longer could not save a Lease that is due. */
int lease_call_timeout_ms(const struct shards *shards);
/* What the server says; the time of a record moves only with its version. */
void lease_note(struct lease_record *record, const json_t *lease, int64_t now_ms);
/* Creates what did not exist, else fenced by the version we saw; the record then is what the
 * server answered. */
int lease_write(struct ctx *ctx, struct shards *shards, const struct lease_write *write,
                struct lease_record *record);
/* `version` NULL: whatever it is. */
int lease_remove(struct ctx *ctx, struct shards *shards, const char *name, const char *version);
/* Somebody was faster: the next round sees who. */
bool lease_raced(int rc);
