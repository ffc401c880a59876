/*
 * The engine: our controller runtime. An operator is a `struct reconciler`, a table of phases over
 * a scope; the engine keeps caches, queue, shards, back-off, status, events and metrics.
 * See reconcilers/nginx for the smallest complete operator.
 *
 * A pass: the root is read from the cache, the phases run in order, the first error ends the row
 * (PHASE_ALWAYS phases still run), and at the end the status is written once if it changed. A
 * failure that only says that our view was stale (retry class NOW) is no news for the status: such
 * a pass ends at once and is repeated; only when that goes on does it end like any other.
 * Level-based: a pass never learns what woke it. Memory is never the truth.
 */
#pragma once

#include "reconcilers/kube/kube.h"
#include "server/base/ctx.h"

#include <stdint.h>

struct engine;
struct pass;

enum { KEY_NAMESPACE_BYTES = 64, KEY_NAME_BYTES = 254 };

/* Which root object to look at. namespace is "" for cluster-scoped kinds. */
struct key {
    char namespace[KEY_NAMESPACE_BYTES];
    char name[KEY_NAME_BYTES];
};

enum phase_flags {
    PHASE_ALWAYS = 1, /* runs also after an error, e.g. status */
    PHASE_GONE = 2,   /* runs also when the root is gone (pass->root is NULL); others are skipped */
};

struct phase {
    const char *name;
    int (*run)(struct ctx *ctx, struct pass *pass);
    unsigned flags;
    const char *why;
};

/* Another kind whose events wake the reconciler. */
struct source {
    enum kube_kind kind;
    const char *label_selector; /* NULL = all */
    /* Which root an object belongs to; false = none of ours. NULL = the controlling ownerReference.
     */
    bool (*map)(const json_t *object, struct key *ret);
    /* The kind is an add-on's: where it is not served, there are none. See pass_serves(). */
    bool optional;
    /* Wake the root at most so often: at once, and later for all that came meanwhile; 0 = each
     * time. For who looks at many objects for one. */
    int wake_every_ms;
};

enum shard_rule {
    SHARD_BY_ROOT, /* one of 32 shards, by the hash of the root's group, kind, namespace, name */
    SHARD_CLUSTER, /* the shard "cluster": cluster-scoped roots and whatever sums over shards */
};

enum { SOURCES_MAX = 20 };

struct reconciler {
    const char *name; /* label `controller` of the metrics, field manager "flotilla-<name>" */
    enum kube_kind kind;
    enum shard_rule shard;
    size_t scope_bytes; /* zeroed for each pass, reached as pass->scope */
    struct source sources[SOURCES_MAX];
    int source_count;
    /* Label selector of the kind's own cache; NULL = all. */
    const char *label_selector;
    const struct phase *phases; /* ends at a row without name */
    int root_every_ms;          /* as source.wake_every_ms, of events of the root itself */
    /* A pass sees to all that it writes, so that the echo of that wakes it not; a deletion does. */
    bool knows_own_writes;
    int64_t resync_ms; /* each object is looked at this often even if nothing happens */
};

struct pass {
    struct engine *engine;
    const struct reconciler *reconciler;
    struct key key;
    json_t *root; /* as cached, or as our last write returned it; NULL = gone. Not to be changed */
    void *scope;  /* the reconciler's own struct */
    void *home;   /* what engine_add() was given: configuration, adapters */
    /*
     * The status that this pass wants (a deep copy of root's at the start, or {}); the engine
     * writes it when it differs, by merge patch on /status fenced with root's resourceVersion.
     * Nothing is added to it: the phase that knows that spec was dealt with sets observedGeneration
     * itself.
     */
    json_t *status;
    int64_t requeue_ms; /* look again then; 0 = when something happens. Use pass_requeue() */
    /* Result of the phases so far, for PHASE_ALWAYS phases. */
    int rc;
    const struct err *failure;        /* reason and message when rc < 0, else NULL */
    const struct phase *failed_phase; /* NULL when rc is 0 */
};

/* ---- process ---- */

/* Defaults and bounds stand in server/config.def. */
struct engine_options {
    struct kube *kube;
    struct kube *lease_kube;     /* connections of the lease thread's own */
    const char *identity;        /* unique per process, [a-z0-9.-]: part of a Lease's name */
    const char *lease_namespace; /* where Leases live, e.g. flotilla-system */
    int workers;                 /* per reconciler */
    int lease_duration_ms, lease_renew_ms, lease_deadline_ms;
    bool lease_gate; /* false: this process acts as if it held every shard (fault proofs only) */
};

struct engine *engine_new(const struct engine_options *options);
void engine_add(struct engine *engine, const struct reconciler *reconciler, void *home);
/* Starts caches, lease thread and workers; returns at once. */
int engine_start(struct ctx *ctx, struct engine *engine);
/* All required caches are synced and the lease thread has spoken with the server. */
bool engine_ready(const struct engine *engine);
/* Is the shard ours now? Of a pass: pass_shard(). */
bool engine_holds(struct engine *engine, int shard);
/* Outside of a pass, between start and stop, from any thread: what the cache of a whole kind has
 * now, for who answers whoever holds the shard; not to be changed. NULL, an empty array: none. */
json_t *engine_get(struct ctx *ctx, struct engine *engine, enum kube_kind kind,
                   const char *namespace, const char *name);
json_t *engine_list(struct ctx *ctx, struct engine *engine, enum kube_kind kind,
                    const char *namespace);
/* Stops workers, releases leases, frees everything. */
void engine_stop(struct engine *engine);

/* ---- inside a pass ---- */

/* Keeps the soonest. */
void pass_requeue(struct pass *pass, int64_t after_ms);
/* Another root of the same kind is looked at soon: it may have what this one let go. */
void pass_wake(struct pass *pass, const struct key *other);
/*
 * From the caches that the reconciler's kind and sources declare; NULL when there is none. What a
 * pass has read once stays as it is for the whole pass (but for its own writes), so that a decision
 * and the fence of the write that follows come from the same version. Not to be changed.
 */
json_t *pass_get(struct ctx *ctx, struct pass *pass, enum kube_kind kind, const char *namespace,
                 const char *name);
/* Of the first such cache; namespace NULL = all, label NULL = no filter. */
json_t *pass_list(struct ctx *ctx, struct pass *pass, enum kube_kind kind, const char *namespace,
                  const char *label, const char *value);
/* Does the cluster serve this kind? Always true but for optional sources. */
bool pass_serves(struct pass *pass, enum kube_kind kind);
/* See kube_cache_heard_end(): whoever is gone by that need not be asked for. */
bool pass_heard_end(struct pass *pass, enum kube_kind kind, const char *uid);
/*
 * Asks the server, when the cache cannot know: an apply or create was refused because there is an
 * object that no cache of ours selects. From now on this pass knows the object like one it read.
 */
int pass_get_live(struct ctx *ctx, struct pass *pass, enum call call, enum kube_kind kind,
                  const char *namespace, const char *name, json_t **ret);
struct kube *pass_kube(struct pass *pass);
const char *pass_manager(const struct pass *pass);
int pass_shard(struct ctx *ctx, struct pass *pass);

/*
 * Writes go through here so that caches see them at once and stale owners are refused.
 * pass_apply: server-side apply. If the object was in our cache (as this pass read it) uid and
 * resourceVersion are sent along; else it must not exist yet (CONFLICT when it does).
 */
int pass_apply(struct ctx *ctx, struct pass *pass, enum call call, json_t *desired, json_t **ret);
int pass_create(struct ctx *ctx, struct pass *pass, enum call call, json_t *object, json_t **ret);
/* Merge patch on an object that was read in this pass, fenced with its uid and resourceVersion. */
int pass_patch(struct ctx *ctx, struct pass *pass, enum call call, const json_t *object,
               const char *subresource, json_t *patch, json_t **ret);
/* Deletes exactly the object that was read (by uid and resourceVersion); gone is fine. */
int pass_delete(struct ctx *ctx, struct pass *pass, enum call call, const json_t *object);
/* The status of another object that was read in this pass; sends nothing when nothing differs. */
int pass_put_status(struct ctx *ctx, struct pass *pass, enum call call, const json_t *object,
                    const json_t *status);

bool pass_has_finalizer(const struct pass *pass, const char *finalizer);
int pass_add_finalizer(struct ctx *ctx, struct pass *pass, const char *finalizer);
int pass_remove_finalizer(struct ctx *ctx, struct pass *pass, const char *finalizer);

/* An event on the root. type: "Normal" or "Warning". Failures are logged, never returned. Equal
 * ones (same object, reason and note) within 10 minutes are sent once, also by two processes: their
 * name is made of these. */
void pass_event(struct ctx *ctx, struct pass *pass, const char *type, const char *reason,
                const char *action, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* ---- names ---- */

#define LABEL_ROOT "flotilla.dev/root"   /* shard hash of the root, 16 base32 characters */
#define LABEL_FLEET "flotilla.dev/fleet" /* value "true": PostgreSQL owns spec */
#define LABEL_MANAGED_BY "app.kubernetes.io/managed-by" /* value "flotilla" */
#define ANNOTATION_HASH "flotilla.dev/desired-hash"
#define ANNOTATION_CONFIG "flotilla.dev/config" /* on pods: digest of what they read at start */
#define ANNOTATION_ROOT_NAME "flotilla.dev/root-name" /* "Kind/name" of the root, in clear */
#define ANNOTATION_BUNDLE_ID "flotilla.dev/bundle-id" /* row of the bundle; prune needs it */
#define ANNOTATION_MAY_END "flotilla.dev/may-end"     /* on a Job: prune may end it at work */

/* The value of LABEL_ROOT for a root object, in the arena. */
char *shard_root_label(struct ctx *ctx, enum kube_kind kind, const char *namespace,
                       const char *name);
