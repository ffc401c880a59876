/*
 * Wiring: which cache feeds which queue, and who starts and ends when. Events of a cache come on
 * the I/O thread; they are only mapped to keys here.
 */
#include "reconcilers/engine/engine.h"

#include "reconcilers/engine/engine_internal.h"
#include "server/adapters/crypto.h"
#include "server/adapters/curl.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BACKOFF_CAP_MS = 60000,
    ROOT_LABEL_LENGTH = 16,
};

/* ---- keys ---- */

static void key_write(const struct key *key, char out[WORKQUEUE_KEY_BYTES])
{
    snprintf(out, WORKQUEUE_KEY_BYTES, "%s/%s", key->namespace, key->name);
}

static bool key_set(struct key *key, const char *namespace, size_t namespace_length,
                    const char *name)
{
    if (!name || !*name || strlen(name) >= KEY_NAME_BYTES ||
        namespace_length >= KEY_NAMESPACE_BYTES)
        return false;
    *key = (struct key){0};
    memcpy(key->namespace, namespace, namespace_length);
    memcpy(key->name, name, strlen(name));
    return true;
}

bool key_read(const char *text, struct key *ret)
{
    const char *slash = strchr(text, '/');
    return slash && key_set(ret, text, (size_t)(slash - text), slash + 1);
}

/* False when the object has no name, or a longer one than there can be. */
static bool key_of(const json_t *object, struct key *ret)
{
    const char *namespace = json_str_or(object, "metadata.namespace", "");
    return key_set(ret, namespace, strlen(namespace), json_str(object, "metadata.name"));
}

char *shard_root_label(struct ctx *ctx, enum kube_kind kind, const char *namespace,
                       const char *name)
{
    const struct kube_kind_row *row = kube_kind_row(kind);
    const char *text =
        arena_printf(ctx->arena, "%s/%s/%s/%s", row->group, row->kind, namespace, name);
    return crypto_base32_of(ctx->arena, text, ROOT_LABEL_LENGTH);
}

int controller_shard(struct ctx *ctx, const struct controller *controller, const struct key *key)
{
    if (controller->reconciler->shard == SHARD_CLUSTER)
        return SHARD_OF_CLUSTER;
    return shard_of_label(
        shard_root_label(ctx, controller->reconciler->kind, key->namespace, key->name));
}

/* ---- events to keys ---- */

/* The name of the root of this kind that controls the object, or NULL. */
static const char *owner_name(enum kube_kind kind, const json_t *object)
{
    const json_t *owner = kube_controller(object);
    bool of_kind =
        kube_kind_of(json_str_or(owner, "apiVersion", ""), json_str_or(owner, "kind", "")) == kind;
    return of_kind ? json_str(owner, "name") : NULL;
}

/* The same by the annotation "Kind/name". */
static const char *annotated_name(enum kube_kind kind, const json_t *object)
{
    const char *value = kube_annotation(object, ANNOTATION_ROOT_NAME);
    const char *word = kube_kind_row(kind)->kind;
    bool is_ours = value && str_starts(value, word) && value[strlen(word)] == '/';
    return is_ours ? value + strlen(word) + 1 : NULL;
}

static bool map_to_root(const struct reconciler *reconciler, const json_t *object, struct key *ret)
{
    const char *name = owner_name(reconciler->kind, object);
    if (!name)
        name = annotated_name(reconciler->kind, object);
    const char *namespace = kube_kind_row(reconciler->kind)->scope == NAMESPACED
                                ? json_str_or(object, "metadata.namespace", "")
                                : "";
    return key_set(ret, namespace, strlen(namespace), name);
}

void controller_enqueue(struct controller *controller, const struct key *key)
{
    char text[WORKQUEUE_KEY_BYTES];
    key_write(key, text);
    workqueue_add(controller->queue, text);
}

static void enqueue_paced(struct controller *controller, const struct key *key, int every_ms,
                          bool begun)
{
    char text[WORKQUEUE_KEY_BYTES];
    key_write(key, text);
    workqueue_add_paced(controller->queue, text, every_ms, begun);
}

static void wake_by(struct controller *controller, int cache, const json_t *object)
{
    const struct reconciler *reconciler = controller->reconciler;
    struct key key;
    if (controller->cache_of_root == cache && key_of(object, &key))
        enqueue_paced(controller, &key, reconciler->root_every_ms, false);
    for (int source = 0; source < reconciler->source_count; source++) {
        if (controller->cache_of_source[source] != cache)
            continue;
        const struct source *from = &reconciler->sources[source];
        key = (struct key){0}; /* nothing of the key before: a map may set the name only */
        if (from->map ? from->map(object, &key) : map_to_root(reconciler, object, &key))
            enqueue_paced(controller, &key, from->wake_every_ms, true);
    }
}

static void on_event(void *arg, enum kube_kind kind, const json_t *object, enum kube_change change)
{
    (void)kind;
    const struct shared_cache *shared = arg;
    struct engine *engine = shared->engine;
    char id[OWN_WRITE_BYTES];
    own_write_id(object, id);
    for (int at = 0; at < engine->controller_count; at++) {
        struct controller *controller = &engine->controllers[at];
        bool own = change == KUBE_CHANGED && controller->own && seen_has(controller->own, id);
        if (!own) /* of what a list finds the last state may be our write, and old */
            wake_by(controller, (int)(shared - engine->caches), object);
    }
}

/* Keys of a shard that was not ours were dropped: now each of its roots is looked at. */
static void on_acquired(void *arg, uint64_t shards)
{
    struct engine *engine = arg;
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "operate");
    for (int at = 0; at < engine->controller_count; at++) {
        struct controller *controller = &engine->controllers[at];
        json_t *root, *roots = kube_cache_list(
                          &ctx, engine->caches[controller->cache_of_root].cache, NULL, NULL, NULL);
        size_t index;
        json_array_foreach(roots, index, root) {
            struct key key;
            if (key_of(root, &key) && shards >> controller_shard(&ctx, controller, &key) & 1)
                controller_enqueue(controller, &key);
        }
    }
    arena_free(arena);
}

/* ---- set-up ---- */

struct engine *engine_new(const struct engine_options *options)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        abort();
    engine->options = *options;
    engine->events = seen_new();
    return engine;
}

static int share_cache(struct engine *engine, enum kube_kind kind, const char *label_selector,
                       bool optional)
{
    for (int at = 0; at < engine->cache_count; at++) {
        struct shared_cache *shared = &engine->caches[at];
        if (shared->kind == kind && str_equal(shared->label_selector, label_selector)) {
            shared->optional &= optional;
            return at;
        }
    }
    if (engine->cache_count == CACHES_MAX)
        abort(); /* what an engine watches is fixed when it is compiled */
    engine->caches[engine->cache_count] = (struct shared_cache){
        .engine = engine, .kind = kind, .label_selector = label_selector, .optional = optional};
    return engine->cache_count++;
}

void engine_add(struct engine *engine, const struct reconciler *reconciler, void *home)
{
    if (engine->controller_count == CONTROLLERS_MAX)
        abort();
    struct controller *controller = &engine->controllers[engine->controller_count++];
    controller->engine = engine;
    controller->reconciler = reconciler;
    controller->home = home;
    snprintf(controller->manager, sizeof controller->manager, "flotilla-%s", reconciler->name);
    controller->queue = workqueue_new(reconciler->name, BACKOFF_CAP_MS);
    controller->own = reconciler->knows_own_writes ? seen_new() : NULL;
    controller->cache_of_root =
        share_cache(engine, reconciler->kind, reconciler->label_selector, false);
    for (int at = 0; at < reconciler->source_count; at++) {
        const struct source *source = &reconciler->sources[at];
        controller->cache_of_source[at] =
            share_cache(engine, source->kind, source->label_selector, source->optional);
    }
}

/* ---- life ---- */

static void start_caches(struct engine *engine)
{
    for (int at = 0; at < engine->cache_count; at++) {
        struct shared_cache *shared = &engine->caches[at];
        struct kube_cache_options options = {
            .kind = shared->kind,
            .label_selector = shared->label_selector,
            .home = engine->options.lease_namespace,
            .optional = shared->optional,
            .on_event = on_event,
            .arg = shared,
        };
        shared->cache = kube_cache_new(engine->options.kube, engine->io, &options);
    }
}

static int start_workers(struct ctx *ctx, struct controller *controller)
{
    for (int at = 0; at < controller->engine->options.workers; at++) {
        if (pthread_create(&controller->workers[at], NULL, runner_main, controller) != 0)
            return err_set(ctx, ERR_INTERNAL, NULL, "cannot start a worker thread");
        controller->worker_count++;
    }
    metric_set(METRIC_RECONCILE_WORKERS, controller->worker_count, controller->reconciler->name);
    return 0;
}

static int start_threads(struct ctx *ctx, struct engine *engine)
{
    const struct engine_options *options = &engine->options;
    engine->io = http_io_new();
    start_caches(engine);
    engine->shards = shards_new(&(struct shards_options){
        .kube = options->lease_kube,
        .io = engine->io,
        .identity = options->identity,
        .namespace = options->lease_namespace,
        .duration_ms = options->lease_duration_ms,
        .renew_ms = options->lease_renew_ms,
        .deadline_ms = options->lease_deadline_ms,
        .gate = options->lease_gate,
        .acquired = on_acquired,
        .arg = engine,
    });
    TRY(shards_start(ctx, engine->shards));
    for (int at = 0; at < engine->controller_count; at++)
        TRY(start_workers(ctx, &engine->controllers[at]));
    return 0;
}

int engine_start(struct ctx *ctx, struct engine *engine)
{
    int workers = engine->options.workers;
    if (workers < 1 || workers > WORKERS_MAX)
        return err_set(ctx, ERR_CONFIG, NULL, "workers must be from 1 to %d", WORKERS_MAX);
    sigset_t all, before; /* signals are the main thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = start_threads(ctx, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

bool controller_synced(const struct controller *controller)
{
    const struct shared_cache *caches = controller->engine->caches;
    if (!kube_cache_synced(caches[controller->cache_of_root].cache))
        return false;
    for (int at = 0; at < controller->reconciler->source_count; at++)
        if (!kube_cache_synced(caches[controller->cache_of_source[at]].cache))
            return false;
    return true;
}

bool engine_ready(const struct engine *engine)
{
    if (!engine->shards || !shards_spoken(engine->shards))
        return false;
    for (int at = 0; at < engine->controller_count; at++)
        if (!controller_synced(&engine->controllers[at]))
            return false;
    return true;
}

bool engine_holds(struct engine *engine, int shard)
{
    return engine->shards && shards_holds(engine->shards, shard);
}

static struct kube_cache *whole_cache(struct engine *engine, enum kube_kind kind)
{
    for (int at = 0; at < engine->cache_count; at++)
        if (engine->caches[at].kind == kind && !engine->caches[at].label_selector)
            return engine->caches[at].cache;
    abort(); /* what an engine watches is fixed when it is compiled */
}

json_t *engine_get(struct ctx *ctx, struct engine *engine, enum kube_kind kind,
                   const char *namespace, const char *name)
{
    return kube_cache_get(ctx, whole_cache(engine, kind), namespace, name);
}

json_t *engine_list(struct ctx *ctx, struct engine *engine, enum kube_kind kind,
                    const char *namespace)
{
    return kube_cache_list(ctx, whole_cache(engine, kind), namespace, NULL, NULL);
}

void engine_stop(struct engine *engine)
{
    if (!engine)
        return;
    atomic_store(&engine->stopping, true);
    for (int at = 0; at < engine->controller_count; at++)
        workqueue_close(engine->controllers[at].queue);
    for (int at = 0; at < engine->controller_count; at++)
        for (int worker = 0; worker < engine->controllers[at].worker_count; worker++)
            pthread_join(engine->controllers[at].workers[worker], NULL);
    shards_stop(engine->shards); /* after the last pass: another may begin at once */
    for (int at = 0; at < engine->cache_count; at++)
        kube_cache_free(engine->caches[at].cache);
    if (engine->io)
        http_io_free(engine->io);
    for (int at = 0; at < engine->controller_count; at++) {
        workqueue_free(engine->controllers[at].queue);
        seen_free(engine->controllers[at].own);
    }
    seen_free(engine->events);
    free(engine);
}
