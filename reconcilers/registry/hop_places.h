/*
 * Places for dumps and restores, each of which holds a worker for as long as a database is large: a
 * process has few of them. A hop takes one before it stops anything, and keeps it from pass to pass
 * until its dump is recorded; so what is stopped need not wait for what runs. They bound the work
 * of this process and live in its memory: who dies holds none, and who comes after it takes its
 * own. A registry that is not looked at any more (another process has its shard, it is gone) loses
 * place and turn after HOP_PLACE_MS. Thread-safe.
 */
#pragma once

#include "reconcilers/engine/engine.h"

enum {
    HOP_PLACE_MS = 60000,
    HOP_PATIENCE_MS = 300000, /* a place is waited in for so long, when others wait for one */
};

struct hop_places;

struct hop_places *hop_places_new(int count);
void hop_places_free(struct hop_places *places);

/*
 * A place for `who`: its own if it has one, or was given one while it waited. False: it stands in
 * line. now_ms: clock_boottime_ms. A place that is left goes to the first of those that are
 * stopped, and serve nobody, and the next one to who came first: nobody is passed over twice in a
 * row, so that those who stand still cannot keep those waiting who only want to begin.
 */
bool hop_places_take(struct hop_places *places, const struct key *who, bool stopped,
                     int64_t now_ms);
/* While it works its place is not lost, however long that takes. No effect without a place. */
void hop_places_work(struct hop_places *places, const struct key *who, bool works, int64_t now_ms);
/* Without place and out of the line. True: its place was given to *ret_next, which waited. */
bool hop_places_leave(struct hop_places *places, const struct key *who, int64_t now_ms,
                      struct key *ret_next);
/*
 * Who comes no further, through its own fault or not, makes way: if it has had its place for
 * patience_ms and somebody waits, it goes to the end of the line. Returns as hop_places_leave().
 */
bool hop_places_yield(struct hop_places *places, const struct key *who, int64_t patience_ms,
                      int64_t now_ms, struct key *ret_next);
