/*
 * What a phase reads and writes through. Reads come from the caches, once per object and pass;
 * writes carry the uid and resourceVersion of what this pass read, and go back into the caches.
 */
#include "reconcilers/engine/engine_internal.h"

#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <stdlib.h>
#include <string.h>

/* ---- what was read ---- */

static const char *id_of(struct ctx *ctx, enum kube_kind kind, const char *namespace,
                         const char *name)
{
    return arena_printf(ctx->arena, "%d/%s/%s", (int)kind, namespace ? namespace : "", name);
}

static struct pass_read *find_read(struct running_pass *running, const char *id)
{
    struct pass_read *read;
    HASH_FIND_STR(running->reads, id, read);
    return read;
}

static void note_read(struct ctx *ctx, struct running_pass *running, const char *id, json_t *object)
{
    struct pass_read *read = find_read(running, id);
    if (!read) {
        read = arena_alloc(ctx->arena, sizeof *read);
        read->id = id;
        HASH_ADD_KEYPTR(hh, running->reads, read->id, strlen(read->id), read);
    }
    read->object = object;
}

static const char *id_of_object(struct ctx *ctx, enum kube_kind kind, const json_t *object)
{
    return id_of(ctx, kind, json_str(object, "metadata.namespace"),
                 json_str_or(object, "metadata.name", ""));
}

/* ---- caches of this pass ---- */

/* The next cache of the kind behind *at; -1 at the start. */
static struct shared_cache *next_cache(const struct running_pass *running, enum kube_kind kind,
                                       int *at)
{
    const struct controller *controller = running->controller;
    struct shared_cache *caches = controller->engine->caches;
    for (int row = *at + 1; row <= controller->reconciler->source_count; row++) {
        int cache = row == 0 ? controller->cache_of_root : controller->cache_of_source[row - 1];
        *at = row;
        if (caches[cache].kind == kind)
            return &caches[cache];
    }
    return NULL;
}

json_t *pass_get(struct ctx *ctx, struct pass *pass, enum kube_kind kind, const char *namespace,
                 const char *name)
{
    const char *id = id_of(ctx, kind, namespace, name);
    const struct pass_read *read = find_read(running(pass), id);
    if (read)
        return read->object;
    json_t *object = NULL;
    const struct shared_cache *shared;
    for (int at = -1; !object && (shared = next_cache(running(pass), kind, &at));)
        object = kube_cache_get(ctx, shared->cache, namespace, name);
    note_read(ctx, running(pass), id, object);
    return object;
}

int pass_get_live(struct ctx *ctx, struct pass *pass, enum call call, enum kube_kind kind,
                  const char *namespace, const char *name, json_t **ret)
{
    TRY(kube_get(ctx, call, pass_kube(pass), kind, namespace, name, ret));
    note_read(ctx, running(pass), id_of(ctx, kind, namespace, name), *ret);
    return 0;
}

json_t *pass_list(struct ctx *ctx, struct pass *pass, enum kube_kind kind, const char *namespace,
                  const char *label, const char *value)
{
    json_t *list = json_array();
    int at = -1;
    const struct shared_cache *shared = next_cache(running(pass), kind, &at);
    json_t *cached = shared ? kube_cache_list(ctx, shared->cache, namespace, label, value) : NULL;
    size_t index;
    json_t *object;
    json_array_foreach(cached, index, object) {
        const char *id = id_of_object(ctx, kind, object);
        const struct pass_read *read = find_read(running(pass), id);
        if (!read)
            note_read(ctx, running(pass), id, object);
        else if (read->object)
            object = read->object; /* as this pass knows it */
        json_array_append(list, object);
    }
    return arena_json(ctx->arena, list); /* last, so that it ends before the trees are released */
}

bool pass_serves(struct pass *pass, enum kube_kind kind)
{
    int at = -1;
    const struct shared_cache *shared = next_cache(running(pass), kind, &at);
    return shared && kube_cache_served(shared->cache);
}

bool pass_heard_end(struct pass *pass, enum kube_kind kind, const char *uid)
{
    const struct shared_cache *shared;
    for (int at = -1; (shared = next_cache(running(pass), kind, &at));)
        if (kube_cache_heard_end(shared->cache, uid))
            return true;
    return false;
}

/* The finalizers are gone and so is the object, with the answer that said so. */
static bool let_go(const json_t *object)
{
    return json_at(object, "metadata.deletionTimestamp") &&
           json_array_size(json_at(object, "metadata.finalizers")) == 0;
}

void own_write_id(const json_t *object, char out[OWN_WRITE_BYTES])
{
    snprintf(out, OWN_WRITE_BYTES, "%s/%s", json_str_or(object, "metadata.resourceVersion", ""),
             json_str_or(object, "metadata.uid", ""));
}

static void write_through(struct ctx *ctx, struct pass *pass, enum kube_kind kind, json_t *object)
{
    struct seen *own = running(pass)->controller->own;
    if (own) { /* before a cache has it: the echo may be heard at once */
        char id[OWN_WRITE_BYTES];
        own_write_id(object, id);
        seen_add(own, id);
    }
    const char *namespace = json_str(object, "metadata.namespace");
    const char *name = json_str(object, "metadata.name");
    bool gone = let_go(object) && kind != KIND_POD; /* a Pod ends after its grace period */
    const struct shared_cache *shared;
    for (int at = -1; (shared = next_cache(running(pass), kind, &at));) {
        if (gone)
            kube_cache_drop(shared->cache, namespace, name, json_str(object, "metadata.uid"));
        else
            kube_cache_put(shared->cache, object);
    }
    note_read(ctx, running(pass), id_of_object(ctx, kind, object), gone ? NULL : object);
    if (kind != pass->reconciler->kind || !str_equal(name, pass->key.name) ||
        !str_equal(namespace ? namespace : "", pass->key.namespace))
        return;
    pass->root = object;
    running(pass)->root_is_gone = gone;
}

static int written(struct ctx *ctx, struct pass *pass, enum call call, enum kube_kind kind, int rc,
                   json_t *object, json_t **ret)
{
    if (rc == -ERR_ALREADY_EXISTS) /* conflicts are counted where they are heard of */
        metric_add(METRIC_STALE_WRITES, 1, call_row(call)->name);
    TRY(rc);
    write_through(ctx, pass, kind, object);
    if (ret)
        *ret = object;
    return 0;
}

static enum kube_kind kind_of(const json_t *object)
{
    enum kube_kind kind =
        kube_kind_of(json_str_or(object, "apiVersion", ""), json_str_or(object, "kind", ""));
    if (kind == KIND_MAX)
        abort(); /* an object of ours without apiVersion and kind */
    return kind;
}

/* ---- writes ---- */

int pass_apply(struct ctx *ctx, struct pass *pass, enum call call, json_t *desired, json_t **ret)
{
    enum kube_kind kind = kind_of(desired);
    const json_t *read = pass_get(ctx, pass, kind, json_str(desired, "metadata.namespace"),
                                  json_str_or(desired, "metadata.name", ""));
    json_t *fenced = arena_json(ctx->arena, json_copy_with(desired, "metadata"));
    json_put(fenced, "metadata.resourceVersion",
             json_string(json_str_or(read, "metadata.resourceVersion", KUBE_VERSION_ABSENT)));
    if (read)
        json_put(fenced, "metadata.uid", json_string(json_str(read, "metadata.uid")));
    json_t *object;
    int rc = kube_apply(ctx, call, pass_kube(pass), kind, fenced, pass_manager(pass), &object);
    return written(ctx, pass, call, kind, rc, object, ret);
}

int pass_create(struct ctx *ctx, struct pass *pass, enum call call, json_t *object, json_t **ret)
{
    enum kube_kind kind = kind_of(object);
    json_t *created;
    int rc = kube_create(ctx, call, pass_kube(pass), kind, object, pass_manager(pass), &created);
    return written(ctx, pass, call, kind, rc, created, ret);
}

int pass_patch(struct ctx *ctx, struct pass *pass, enum call call, const json_t *object,
               const char *subresource, json_t *patch, json_t **ret)
{
    enum kube_kind kind = kind_of(object);
    json_t *fenced = arena_json(ctx->arena, json_copy_with(patch, "metadata"));
    json_put(fenced, "metadata.resourceVersion",
             json_string(json_str_or(object, "metadata.resourceVersion", KUBE_VERSION_ABSENT)));
    json_put(fenced, "metadata.uid", json_string(json_str_or(object, "metadata.uid", "")));
    json_t *patched;
    int rc = kube_patch(ctx, call, pass_kube(pass), kind, json_str(object, "metadata.namespace"),
                        json_str(object, "metadata.name"), subresource, fenced, pass_manager(pass),
                        &patched);
    return written(ctx, pass, call, kind, rc, patched, ret);
}

int pass_delete(struct ctx *ctx, struct pass *pass, enum call call, const json_t *object)
{
    enum kube_kind kind = kind_of(object);
    const char *namespace = json_str(object, "metadata.namespace");
    const char *name = json_str(object, "metadata.name");
    const char *uid = json_str(object, "metadata.uid");
    int rc = kube_delete(ctx, call, pass_kube(pass), kind, namespace, name, uid,
                         json_str(object, "metadata.resourceVersion"));
    if (rc == -ERR_NOT_FOUND) {
        err_clear(ctx);
        rc = 0;
    }
    TRY(rc);
    /* With finalizers or a grace period it is only terminating: the watch will tell. */
    if (kind == KIND_POD || json_array_size(json_at(object, "metadata.finalizers")) > 0)
        return 0;
    const struct shared_cache *shared;
    for (int at = -1; (shared = next_cache(running(pass), kind, &at));)
        kube_cache_drop(shared->cache, namespace, name, uid);
    note_read(ctx, running(pass), id_of(ctx, kind, namespace, name), NULL);
    if (str_equal(uid, json_str(pass->root, "metadata.uid")))
        running(pass)->root_is_gone = true; /* and has no status any more */
    return 0;
}

/* ---- finalizers ---- */

static bool holds_text(const json_t *list, const char *text, size_t *ret_index)
{
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item) {
        if (!str_equal(json_string_value(item), text))
            continue;
        *ret_index = index;
        return true;
    }
    return false;
}

bool pass_has_finalizer(const struct pass *pass, const char *finalizer)
{
    size_t index;
    return holds_text(json_at(pass->root, "metadata.finalizers"), finalizer, &index);
}

static int set_finalizers(struct ctx *ctx, struct pass *pass, enum call call, json_t *list)
{
    json_t *patch = arena_json(ctx->arena, json_object());
    json_put(patch, "metadata.finalizers", list);
    return pass_patch(ctx, pass, call, pass->root, NULL, patch, NULL);
}

int pass_add_finalizer(struct ctx *ctx, struct pass *pass, const char *finalizer)
{
    if (pass_has_finalizer(pass, finalizer))
        return 0;
    json_t *list = json_deep_copy(json_at(pass->root, "metadata.finalizers"));
    if (!list)
        list = json_array();
    json_array_append_new(list, json_string(finalizer));
    return set_finalizers(ctx, pass, CALL_KUBE_FINALIZER_ADD, list);
}

int pass_remove_finalizer(struct ctx *ctx, struct pass *pass, const char *finalizer)
{
    size_t index;
    if (!holds_text(json_at(pass->root, "metadata.finalizers"), finalizer, &index))
        return 0;
    json_t *list = json_deep_copy(json_at(pass->root, "metadata.finalizers"));
    json_array_remove(list, index);
    return set_finalizers(ctx, pass, CALL_KUBE_FINALIZER_REMOVE, list);
}

/* ---- status ---- */

/* A merge patch that turns `from` into `to`; what is gone becomes null. */
static json_t *merge_patch(const json_t *from, const json_t *to)
{
    json_t *patch = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)from, key, value)
        if (!json_object_get(to, key))
            json_object_set_new(patch, key, json_null());
    json_object_foreach((json_t *)(uintptr_t)to, key, value) {
        json_t *old = json_object_get(from, key);
        if (json_equal(old, value))
            continue;
        bool maps = json_is_object(old) && json_is_object(value);
        json_object_set_new(patch, key, maps ? merge_patch(old, value) : json_deep_copy(value));
    }
    return patch;
}

int pass_put_status(struct ctx *ctx, struct pass *pass, enum call call, const json_t *object,
                    const json_t *status)
{
    const json_t *live = json_object_get(object, "status");
    if (live ? json_equal(live, status) : json_object_size(status) == 0)
        return 0;
    json_t *patch = arena_json(ctx->arena, json_object());
    json_put(patch, "status", merge_patch(live, status));
    return pass_patch(ctx, pass, call, object, "status", patch, NULL);
}

int pass_write_status(struct ctx *ctx, struct pass *pass)
{
    return pass_put_status(ctx, pass, CALL_KUBE_STATUS_WRITE, pass->root, pass->status);
}

/* ---- life ---- */

void pass_begin(struct ctx *ctx, struct running_pass *running, struct controller *controller,
                const struct key *key)
{
    const struct reconciler *reconciler = controller->reconciler;
    *running = (struct running_pass){
        .controller = controller,
        .pass = {.engine = controller->engine,
                 .reconciler = reconciler,
                 .home = controller->home,
                 .key = *key},
    };
    struct pass *pass = &running->pass;
    pass->scope = arena_alloc(ctx->arena, reconciler->scope_bytes);
    pass->root = pass_get(ctx, pass, reconciler->kind, key->namespace, key->name);
    json_t *status = json_object_get(pass->root, "status");
    pass->status = arena_json(ctx->arena, status ? json_deep_copy(status) : json_object());
}

void pass_end(struct running_pass *running)
{
    HASH_CLEAR(hh, running->reads); /* the reads themselves are the arena's */
}

void pass_requeue(struct pass *pass, int64_t after_ms)
{
    if (!pass->requeue_ms || after_ms < pass->requeue_ms)
        pass->requeue_ms = after_ms > 0 ? after_ms : 1;
}

void pass_wake(struct pass *pass, const struct key *other)
{
    controller_enqueue(running(pass)->controller, other);
}

struct kube *pass_kube(struct pass *pass)
{
    return pass->engine->options.kube;
}

const char *pass_manager(const struct pass *pass)
{
    return ((const struct running_pass *)(const void *)pass)->controller->manager;
}

int pass_shard(struct ctx *ctx, struct pass *pass)
{
    return controller_shard(ctx, running(pass)->controller, &pass->key);
}
