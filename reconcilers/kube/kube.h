/*
 * A Kubernetes API client: dynamic (objects are jansson trees), blocking, thread-safe. Every call
 * names its row in calls.def. Objects that come back are owned by ctx->arena.
 *
 * Errors (the table is in status.c): 404 on a get is success with NULL; on a list (the kind is not
 * served) or a write -ERR_NOT_FOUND. 409 AlreadyExists -> ALREADY_EXISTS, other 409 -> CONFLICT,
 * and so a 422 about metadata.uid (the object was made anew); 410 -> GONE; other 422 and 400 ->
 * INVALID; 401, 403 -> DENIED, but into a namespace that is being deleted REFUSED with reason
 * NamespaceTerminating; 429 -> RATE_LIMITED with err.retry_after_ms; 5xx -> UNAVAILABLE (504
 * TIMEOUT). ctx->err.message carries the Status message of the server.
 */
#pragma once

#include "server/base/failpoint.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct ctx;
struct http_io;

enum kube_scope { CLUSTER, NAMESPACED };

enum kube_kind {
#define KIND(id, group, version, plural, kind, scope) KIND_##id,
#include "reconcilers/kube/kinds.def"
#undef KIND
    KIND_MAX
};

struct kube_kind_row {
    const char *group, *version, *plural, *kind;
    const char *api_version; /* "apps/v1", "v1" */
    enum kube_scope scope;
};

const struct kube_kind_row *kube_kind_row(enum kube_kind kind);
/* KIND_MAX when we do not know it. */
enum kube_kind kube_kind_of(const char *api_version, const char *kind);

/* Borrowed, or NULL. Their keys hold dots and slashes: json_str() cannot reach them. */
const char *kube_label(const json_t *object, const char *key);
const char *kube_annotation(const json_t *object, const char *key);
/* Of an array of objects the one of that name, borrowed, and where it stands (ret_at may be NULL);
 * NULL when there is none. */
json_t *kube_named(const json_t *list, const char *name, size_t *ret_at);
/* It is being deleted. */
bool kube_is_going(const json_t *object);
/* The ownerReference of whoever controls it, borrowed, or NULL. */
const json_t *kube_controller(const json_t *object);
/* Its controller has this uid. */
bool kube_is_controlled_by(const json_t *object, const char *uid);

/* ---- one cluster ---- */

struct kube;

/* From a kubeconfig file's current context; path NULL = in-cluster service account. Sends nothing.
 */
int kube_open(struct ctx *ctx, const char *kubeconfig_path, const char *user_agent,
              struct kube **ret);
void kube_close(struct kube *kube);

int kube_get(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
             const char *namespace, const char *name, json_t **ret);
/* All objects (pages of 500); namespace and label_selector may be NULL. *ret is an array. */
int kube_list(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
              const char *namespace, const char *label_selector, json_t **ret);
/* The same of at most *budget bytes of answers, by which it is lowered, so that several lists can
 * share one; never 0. -ERR_TOO_LARGE. For who must not read all that a tenant can write. */
int kube_list_within(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
                     const char *namespace, const char *label_selector, size_t *budget,
                     json_t **ret);
/* All, by fields, too: labels anybody may write who may make objects. */
int kube_list_where(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
                    const char *namespace, const char *label_selector, const char *field_selector,
                    json_t **ret);

/*
 * Writes. Kind, namespace and name come from the object itself; apiVersion and kind are filled in.
 * `manager` is the field manager. All ask ctx_may_write() first. `ret` may be NULL.
 */
int kube_create(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
                const json_t *object, const char *manager, json_t **ret);
/*
 * Server-side apply, force. With metadata.uid and resourceVersion it fails CONFLICT when stale or
 * gone; with resourceVersion KUBE_VERSION_ABSENT, which no object ever has, and no uid, CONFLICT
 * when it exists. See docs/adr/0002-create-only-apply.md.
 */
#define KUBE_VERSION_ABSENT "1"
int kube_apply(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
               const json_t *object, const char *manager, json_t **ret);
/* JSON merge patch; subresource NULL or "status". Put metadata.resourceVersion in for a fence. */
int kube_patch(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
               const char *namespace, const char *name, const char *subresource,
               const json_t *patch, const char *manager, json_t **ret);
/* Background propagation; uid and resource_version are preconditions, NULL = none. */
int kube_delete(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
                const char *namespace, const char *name, const char *uid,
                const char *resource_version);

/*
 * Resource versions as numbers (they are decimal since KEP-5504, up to 128 bits): <0, 0, >0.
 * Text that is no such number compares as older than everything.
 */
int kube_version_compare(const char *a, const char *b);

/*
 * ---- cache: the objects of one kind in one cluster, kept current by list and watch ----
 *
 * Others than we write what it holds, so it is bounded: 4 MiB per namespace (store.h) and no object
 * beyond FRAME_MAX_BYTES. What is left out is counted and, for who reads the cache, does not exist.
 */

struct kube_cache;

enum kube_change {
    KUBE_CHANGED, /* a watch told: it came, or is another now */
    KUBE_LISTED,  /* a full list has it otherwise than we had: the history between is not known */
    KUBE_DELETED, /* a watch told, or a full list lacks it: `object` is the last state known */
};

/*
 * Called on the I/O thread for every object that came, changed or went, our own writes included:
 * kube_cache_put itself is silent, its echo is not. It must only map and enqueue.
 */
typedef void (*kube_cache_event)(void *arg, enum kube_kind kind, const json_t *object,
                                 enum kube_change change);

struct kube_cache_options {
    enum kube_kind kind;
    const char *namespace;      /* NULL = all */
    const char *label_selector; /* NULL = all */
    const char *home;           /* the namespace whose objects are not bounded; NULL = none */
    /* The server may not know the kind: then the cache is whole and empty, and looks again. */
    bool optional;
    kube_cache_event on_event; /* may be NULL */
    void *arg;
};

/*
 * Starts listing and watching; on_event may be called before this returns. Strings are copied.
 * kube and io must outlive the cache. Free it before http_io_free(), and not from on_event.
 */
struct kube_cache *kube_cache_new(struct kube *kube, struct http_io *io,
                                  const struct kube_cache_options *options);
void kube_cache_free(struct kube_cache *cache);
/* True once all objects were there; stays true, with the old data, while the server is away. */
bool kube_cache_synced(const struct kube_cache *cache);
/* True where nothing was ever read, as the server said that we may not (403). */
bool kube_cache_refused(const struct kube_cache *cache);
/* False where the server said that it does not know the kind. */
bool kube_cache_served(const struct kube_cache *cache);

/* NULL = there is none. Held by ctx->arena and shared with other readers (parsed.h): not to be
 * changed. Missing managedFields: they are dropped before caching. */
json_t *kube_cache_get(struct ctx *ctx, struct kube_cache *cache, const char *namespace,
                       const char *name);
/* An array (in ctx->arena); namespace NULL = all; label NULL = no filter, else label == value. */
json_t *kube_cache_list(struct ctx *ctx, struct kube_cache *cache, const char *namespace,
                        const char *label, const char *value);
size_t kube_cache_count(const struct kube_cache *cache);
/* Has the watch said in the last minutes that the object of this uid was deleted? Then it is gone
 * for good. False where it may only have left the selection. */
bool kube_cache_heard_end(const struct kube_cache *cache, const char *uid);

/*
 * Read your own writes: what a write returned goes into the cache at once; a later watch event
 * that is older is ignored. What the selector does not cover is left out. kube_cache_drop does the
 * same for a deletion that the server confirmed (the object is gone, not merely terminating).
 */
void kube_cache_put(struct kube_cache *cache, const json_t *object);
void kube_cache_drop(struct kube_cache *cache, const char *namespace, const char *name,
                     const char *uid);
