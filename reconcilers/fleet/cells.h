/*
 * cells: the clusters that this process talks to. Each has a client, a cache of the fleet's
 * resources per kind, and the set of those where something happened that was not collected yet. A
 * cell that was opened stays until the process ends, so pointers to it are stable. Thread-safe.
 */
#pragma once

#include "reconcilers/fleet/resource.h"
#include "reconcilers/kube/kube.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct cells;
struct cell_dirt;

enum { CELLS_MAX = 1000, CELLS_PER_IO = 32, CELL_NAME_BYTES = 41 };

struct cell {
    char name[CELL_NAME_BYTES];
    struct kube *kube;
    struct kube_cache *cache[PUBLISHED_KINDS];
    _Atomic int64_t epoch; /* of our lease to collect; 0 = it is not ours */
    _Atomic bool rescan;   /* look at every resource, not only at those where something happened */
    atomic_int busy;       /* workers that work for it now */
    _Atomic bool failing;  /* the last call did not reach it */
    _Atomic int64_t unasked_until_ms; /* a dry run did not reach it: the next ones need not try */
    struct cell_dirt *dirt;
};

/* A resource where something happened; strings in the arena of cell_drain(). */
struct cell_key {
    const char *namespace;
    const char *name;
    const char *id;
};

struct cells *cells_new(const char *directory);
void cells_free(struct cells *cells);

/* Opens what `rows` (store_fleet_cells) has and we do not. A cell that cannot be opened is logged
 * once and tried again next time; it keeps no other from working. */
void cells_refresh(struct ctx *ctx, struct cells *cells, const json_t *rows);

size_t cells_count(struct cells *cells);
/* Only what is open; NULL behind the last. */
struct cell *cells_at(struct cells *cells, size_t index);
struct cell *cells_find(struct cells *cells, const char *name);

/* The cache of the kind of this id. */
struct kube_cache *cell_cache(const struct cell *cell, const char *id);
/* Our role there may not read that kind, as one from before there was the kind: nothing can be said
 * about its objects, and they hold up no others. */
bool cell_blind(const struct cell *cell, const char *id);
/* Everything that is in the cell, and that we may read, was seen. */
bool cell_synced(const struct cell *cell);

void cell_mark(struct cell *cell, const struct cell_key *key);
/* Takes up to `max` keys out; returns how many. */
size_t cell_drain(struct ctx *ctx, struct cell *cell, size_t max, struct cell_key **ret);
