/* The cache that operators see: a store, the reflector that feeds it, and their wiring to the I/O
 * thread. */
#include "reconcilers/kube/client.h"
#include "reconcilers/kube/parsed.h"
#include "reconcilers/kube/reflector.h"
#include "reconcilers/kube/store.h"
#include "server/base/json.h"

#include <stdlib.h>
#include <string.h>

enum {
    IDLE_TIMEOUT_MS = 90000, /* bookmarks come about every 60 s */
    HTTP_FORBIDDEN = 403,
    HTTP_NOT_FOUND = 404,
};

struct kube_cache {
    struct kube *kube;
    struct http_io *io;
    char *namespace, *label_selector;
    struct store *store;
    struct reflector reflector; /* the I/O thread's */
    bool optional;
    atomic_bool synced, unknown, refused; /* unknown: the server does not know the kind */
};

static char *copy_text(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        abort();
    return copy;
}

static bool on_data(void *arg, const char *bytes, size_t count)
{
    struct kube_cache *cache = arg;
    return reflector_data(&cache->reflector, bytes, count);
}

static void on_end(void *arg, int status, const char *body, const char *what)
{
    struct kube_cache *cache = arg;
    if (status == HTTP_NOT_FOUND)
        atomic_store(&cache->unknown, true);
    /* Others, as an outage, tell nothing of it. */
    if (status == HTTP_NOT_FOUND || status == HTTP_FORBIDDEN)
        atomic_store(&cache->refused, status == HTTP_FORBIDDEN);
    reflector_end(&cache->reflector, status, body, what);
}

static void connect_stream(void *arg, const char *path, int delay_ms)
{
    struct kube_cache *cache = arg;
    struct http_stream_events events = {.data = on_data, .end = on_end, .arg = cache};
    http_io_get(cache->io, &cache->kube->target, path, CLIENT_ACCEPT, delay_ms, IDLE_TIMEOUT_MS,
                &events);
}

static void mark_synced(void *arg)
{
    struct kube_cache *cache = arg;
    atomic_store(&cache->synced, true);
    atomic_store(&cache->unknown, false);
}

struct kube_cache *kube_cache_new(struct kube *kube, struct http_io *io,
                                  const struct kube_cache_options *options)
{
    struct kube_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        abort();
    cache->kube = kube;
    cache->io = io;
    cache->optional = options->optional;
    cache->namespace = copy_text(options->namespace);
    cache->label_selector = copy_text(options->label_selector);
    cache->store = store_new(options->home);
    struct reflector_options wiring = {
        .kind = options->kind,
        .namespace = cache->namespace,
        .label_selector = cache->label_selector,
        .store = cache->store,
        .timing = &reflector_default_timing,
        .optional = options->optional,
        .on_event = options->on_event,
        .on_event_arg = options->arg,
        .connect = connect_stream,
        .connect_arg = cache,
        .on_synced = mark_synced,
    };
    reflector_init(&cache->reflector, &wiring);
    reflector_start(&cache->reflector);
    return cache;
}

void kube_cache_free(struct kube_cache *cache)
{
    if (!cache)
        return;
    http_io_cancel(cache->io, cache);
    reflector_done(&cache->reflector);
    store_free(cache->store);
    free(cache->namespace);
    free(cache->label_selector);
    free(cache);
}

bool kube_cache_synced(const struct kube_cache *cache)
{
    return atomic_load(&cache->synced) || (cache->optional && atomic_load(&cache->unknown));
}

bool kube_cache_refused(const struct kube_cache *cache)
{
    return atomic_load(&cache->refused) && !atomic_load(&cache->synced);
}

bool kube_cache_served(const struct kube_cache *cache)
{
    return !atomic_load(&cache->unknown);
}

/* The text is our own; it parses. */
static json_t *parse_entry(struct ctx *ctx, struct entry *entry)
{
    json_t *object = parsed_hold(entry);
    arena_defer(ctx->arena, parsed_release, object);
    return object;
}

json_t *kube_cache_get(struct ctx *ctx, struct kube_cache *cache, const char *namespace,
                       const char *name)
{
    struct entry *entry = store_find(cache->store, namespace, name);
    json_t *object = entry ? parse_entry(ctx, entry) : NULL;
    entry_release(entry);
    return object;
}

json_t *kube_cache_list(struct ctx *ctx, struct kube_cache *cache, const char *namespace,
                        const char *label, const char *value)
{
    struct entry **entries;
    json_t *list = json_array();
    struct term term = {label, value,
                        label ? arena_printf(ctx->arena, "\"%s\":\"%s\"", label, value) : ""};
    size_t count = store_collect(cache->store, namespace, label ? &term : NULL, &entries);
    for (size_t at = 0; at < count; at++) {
        json_t *object = parse_entry(ctx, entries[at]);
        entry_release(entries[at]);
        if (!label || str_equal(kube_label(object, label), value))
            json_array_append(list, object);
    }
    free(entries);
    return arena_json(ctx->arena, list); /* last, so that it ends before the trees are released */
}

size_t kube_cache_count(const struct kube_cache *cache)
{
    return store_count(cache->store);
}

bool kube_cache_heard_end(const struct kube_cache *cache, const char *uid)
{
    return !cache->label_selector && store_heard_end(cache->store, uid);
}

/*
 * Whether the server would list the object here. Of selectors only "key=value" terms are
 * understood; for others the echo of the watch has to do.
 */
static bool is_selected(const struct kube_cache *cache, const json_t *object)
{
    if (cache->namespace && !str_equal(cache->namespace, json_str(object, "metadata.namespace")))
        return false;
    const json_t *labels = json_at(object, "metadata.labels");
    const char *term = cache->label_selector ? cache->label_selector : "";
    while (*term) {
        size_t length = strcspn(term, ","), key = strcspn(term, "=");
        if (key >= length || strcspn(term, "!() ") < length)
            return false;
        const char *value = json_string_value(json_object_getn(labels, term, key));
        if (!value || strlen(value) != length - key - 1 ||
            strncmp(value, term + key + 1, length - key - 1) != 0)
            return false;
        term += length + (term[length] == ',');
    }
    return true;
}

void kube_cache_put(struct kube_cache *cache, const json_t *object)
{
    if (is_selected(cache, object))
        store_put(cache->store, object);
}

void kube_cache_drop(struct kube_cache *cache, const char *namespace, const char *name,
                     const char *uid)
{
    store_drop(cache->store, namespace, name, uid);
}
