/*
 * What the files of the engine share. Ownership: the engine owns caches and controllers; a
 * controller is a reconciler at work (queue and workers); a running_pass is on a worker's stack.
 */
#pragma once

#include "reconcilers/engine/engine.h"
#include "reconcilers/engine/seen.h"
#include "reconcilers/engine/shards.h"
#include "reconcilers/engine/workqueue.h"
#include "server/base/cleanup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

enum { CONTROLLERS_MAX = 16, CACHES_MAX = 32, WORKERS_MAX = 64 };

struct controller {
    struct engine *engine;
    const struct reconciler *reconciler;
    void *home;
    char manager[64];
    struct workqueue *queue;
    int cache_of_root;
    int cache_of_source[SOURCES_MAX];
    pthread_t workers[WORKERS_MAX];
    int worker_count;
    atomic_int active;
    struct seen *own; /* what it has written; NULL = it wants to hear of that as well */
};

/* One cache, shared by all reconcilers that want the same kind and selector. */
struct shared_cache {
    struct engine *engine;
    enum kube_kind kind;
    const char *label_selector;
    bool optional; /* all who share it say so */
    struct kube_cache *cache;
};

struct engine {
    struct engine_options options;
    struct http_io *io;
    struct shards *shards;
    struct seen *events; /* that were sent */
    struct controller controllers[CONTROLLERS_MAX];
    int controller_count;
    struct shared_cache caches[CACHES_MAX];
    int cache_count;
    atomic_bool stopping;
};

/* What a pass has read: (kind, namespace, name) -> object, NULL = it was not there. */
struct pass_read {
    UT_hash_handle hh;
    const char *id;
    json_t *object;
};

struct running_pass {
    struct pass pass; /* first: phases see only this */
    struct controller *controller;
    struct pass_read *reads;
    bool root_is_gone; /* our own write let it go */
};

static inline struct running_pass *running(struct pass *pass)
{
    return (struct running_pass *)(void *)pass;
}

/* ---- keys in the queue: "namespace/name" ---- */

bool key_read(const char *text, struct key *ret);
void controller_enqueue(struct controller *controller, const struct key *key);

/* ---- runner ---- */

void *runner_main(void *controller);
bool controller_synced(const struct controller *controller);
/* Of one root, whatever its shard_rule. */
int controller_shard(struct ctx *ctx, const struct controller *controller, const struct key *key);

/* ---- pass ---- */

/* Begins with root and status; reads nothing else. */
void pass_begin(struct ctx *ctx, struct running_pass *running, struct controller *controller,
                const struct key *key);
void pass_end(struct running_pass *running);
/* Writes pass->status when it differs from root's. */
int pass_write_status(struct ctx *ctx, struct pass *pass);

enum { OWN_WRITE_BYTES = 128 };
/* What an object is called in controller->own: this version of it. */
void own_write_id(const json_t *object, char out[OWN_WRITE_BYTES]);
