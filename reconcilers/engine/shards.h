/*
 * Shards: which roots this process may act on. 32 shards by the hash of the root and one called
 * "cluster", a coordination Lease each that names its holder, and one member Lease per process. A
 * holder holds as long as its member Lease lives: that one alone is renewed. Who finds another's
 * member Lease expired deletes it at the version that he saw (a fence: a renewal that comes later
 * fails, and its process drops all it held), and only then takes what it held. Leases only keep
 * double work away: what is written is fenced by resourceVersion. Expired is what did not change
 * for its duration, by our own clock, since we knew of its last change: a watch tells that at once,
 * a list up to half a renewal later.
 *
 * Three times count from the moment the last renewal that succeeded was *sent*: past `deadline` the
 * gate of every pass inside is closed, past 13/15 of `duration` a pass that is still inside makes
 * the process end, and past `duration` another process may take what we hold.
 */
#pragma once

#include "reconcilers/engine/lease.h"
#include "reconcilers/kube/kube.h"
#include "server/base/ctx.h"

#include <pthread.h>

enum { SHARD_ROOTS = 32, SHARD_OF_CLUSTER = SHARD_ROOTS, SHARDS_ALL };

struct shards;

struct shards_options {
    struct kube *kube;  /* best with connections of its own */
    struct http_io *io; /* for the watch of member Leases; NULL = lists alone tell */
    const char *identity, *namespace;
    int duration_ms, renew_ms, deadline_ms;
    bool gate; /* false: every shard is ours, always */
    /* Shards that became ours (bit = number): whatever was dropped before must be looked at. */
    void (*acquired)(void *arg, uint64_t shards);
    void *arg;
};

struct shards *shards_new(const struct shards_options *options);
int shards_start(struct ctx *ctx, struct shards *shards);
/* The first round with the server is over. */
bool shards_spoken(struct shards *shards);
/* Gives all Leases back, ends the threads and frees. No pass may be inside. */
void shards_stop(struct shards *shards);

/* The shard of a root by its label: the label's first character is 5 bits of its hash. */
int shard_of_label(const char *root_label);
/* "00" to "31", "cluster". */
const char *shard_name(int shard, char out[8]);

/* One pass inside a shard; lives on the worker's stack. */
struct shard_visit {
    struct gate gate; /* first: the gate's address is the visit's */
    struct shards *shards;
    int shard;
    uint64_t epoch;
    struct shard_visit *prev, *next;
};

/* By the clock of the gate. */
bool shards_holds(struct shards *shards, int shard);
/* False when the shard is not ours: the pass must not begin. */
bool shards_enter(struct shards *shards, int shard, struct shard_visit *visit);
void shards_leave(struct shard_visit *visit);
