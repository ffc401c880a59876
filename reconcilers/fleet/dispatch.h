/*
 * dispatch: who does what in `flotillad fleet`. One dispatcher reads the cells' list, sweeps for
 * purges, and takes from the outbox, and of dry runs, what free workers can carry; each worker has
 * a desk with room for one row. This header is the inside of struct fleet, for fleet.c and
 * dispatch.c alone.
 */
#pragma once

#include "reconcilers/fleet/cells.h"
#include "reconcilers/fleet/fleet.h"
#include "server/base/ctx.h"

#include <pthread.h>
#include <stdint.h>

struct kek_ring;
struct pg_pool;

enum { WORKERS_MAX = 64, DESK_ID_BYTES = 64, STATEMENT_DEADLINE_MS = 10000 };

/* A worker's desk: empty, or with one outbox row or dry run on it. */
struct desk {
    struct fleet *fleet;
    pthread_t thread;
    bool taken;
    char id[DESK_ID_BYTES];
    int64_t generation;
    struct cell *cell; /* NULL = not placed yet */
};

struct fleet {
    char *conninfo, *cells_dir, *identity;
    struct fleet_options options;
    struct pg_pool *pool;       /* workers, dispatcher, collector */
    struct pg_pool *lease_pool; /* the lease thread alone */
    struct cells *cells;
    struct kek_ring *keks;
    pthread_t dispatcher, collector, leaser;
    pthread_mutex_t lock; /* guards desks, stop; `wake` is signalled when either changes */
    pthread_cond_t wake;
    struct desk desk[WORKERS_MAX];
    bool stop;
    _Atomic bool ready;
};

/* A ctx over the emptied arena with a deadline. */
struct ctx fleet_ctx(struct fleet *fleet, struct arena *arena, int deadline_ms);

/* Threads; the argument is the fleet, or the worker's desk. */
void *dispatch_run(void *fleet);
void *dispatch_run_worker(void *desk);
