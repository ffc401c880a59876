/*
 * What to do about the Lease of one shard: pure, so that every case can stand in a table of a test.
 * Time is the caller's; expiry is judged by local time since the record last changed, never by its
 * own stamps.
 */
#pragma once

#include "server/base/clock.h"

#include <stdbool.h>
#include <stdint.h>

enum { LEASE_HOLDER_BYTES = 128, LEASE_VERSION_BYTES = 48 };

/* A Lease as we last saw it. */
struct lease_record {
    bool exists;
    char holder[LEASE_HOLDER_BYTES];   /* "" = nobody */
    char version[LEASE_VERSION_BYTES]; /* metadata.resourceVersion */
    int64_t duration_ms;               /* as its holder promised */
    int64_t transitions;
    int64_t changed_ms; /* local time when the version was first seen */
};

/* What we have done about it. */
struct lease_hold {
    bool held;       /* the last thing we know is that it is ours */
    bool draining;   /* no new pass may begin; given up when the last one ended */
    bool refused;    /* a key was turned away, and thereby forgotten, since the last renewal */
    int64_t sent_ms; /* when the last renewal of our member Lease that succeeded was sent */
    uint64_t epoch;  /* rises with each acquisition: a pass of an earlier hold stays refused */
};

enum lease_action { LEASE_NOTHING, LEASE_CREATE, LEASE_TAKE, LEASE_RELEASE };

struct lease_view {
    const struct lease_record *record;
    const struct lease_hold *hold;
    const char *identity;
    bool wanted;       /* rendezvous hashing gives it to us */
    bool busy;         /* a pass of ours is inside */
    bool holder_lives; /* another holder's member Lease is there and not expired */
};

bool lease_expired(const struct lease_record *record, int64_t now_ms);
/* Until it is; 0 or less when it is. */
int64_t lease_left_ms(const struct lease_record *record, int64_t now_ms);
enum lease_action lease_decide(const struct lease_view *view);

/*
 * Rendezvous hashing: which of `members` gets `resource`. When a member comes or goes only what it
 * wins or had won moves. -1 without members.
 */
int lease_winner(const char *const *members, int count, const char *resource);
