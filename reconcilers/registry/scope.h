/*
 * What one pass over a Registry knows, and the phases that fill it in. Internal to this folder.
 * Strings live in the pass's arena or in objects that the pass read.
 */
#pragma once

#include "reconcilers/engine/bundle.h"
#include "reconcilers/registry/backend.h"
#include "reconcilers/registry/hop.h"
#include "reconcilers/registry/manage.h"
#include "reconcilers/registry/registry.h"
#include "reconcilers/registry/verify.h"

#define REGISTRY_FINALIZER "registry.flotilla.dev/externals"
#define LABEL_REGISTRY "flotilla.dev/registry"        /* on objects and pods of a stack: its name */
#define LABEL_COMPONENT "app.kubernetes.io/component" /* and which part of it */
#define LABEL_IDENTITY "flotilla.dev/identity"        /* on claims and kept Secrets */
#define LABEL_POOL "flotilla.dev/pool"                /* on claims */
/* Keys of the kept Secret; secrets.c has the rows. */
#define KEPT_REDIS_PASSWORD "redisPassword"
#define KEPT_S3_ACCESS "s3AccessKey"
#define KEPT_S3_SECRET "s3SecretKey"
#define KEPT_ADMIN_PASSWORD "adminPassword"
#define KEPT_ROBOT_SECRET "robotSecret"
#define LABEL_MANAGED "flotilla.dev/managed" /* value "true": a namespace that is all ours */
#define REGISTRY_USER "harbor_registry_user" /* core and jobservice, as the registry knows them */
#define ANNOTATION_ACCEPT_LOSS "registry.flotilla.dev/accept-loss" /* value: the identity */

enum {
    RETAIN_MS_PER_DAY = 86400000,
    RETAIN_DAYS = 30,
    RETAIN_DAYS_MAX = 90, /* as the provider API allows: a slot is not held for ever */
    POOL_CHECK_MS = 30000,
    POD_LOST_MS = 300000,      /* a pod that should have ended so long ago has lost its node */
    PODS_WAIT_MAX_MS = 900000, /* nobody's pods hold up a close for longer */
    WAIT_FOR_OTHERS_MS = 5000, /* somebody else's change that wakes nobody here */
    BUSY_MS = 50,              /* a pool that has enough workers inside */
    REGISTRY_MINORS_MAX = 8,
};

struct hop_places;

struct registry_operator {
    char *namespace;
    char *cell; /* owner mark of external things */
    int64_t verify_interval_ms;
    json_t *sizes, *versions; /* read only once threads run */
    /* One per minor version of versions.yaml, whose key it borrows. */
    struct {
        const char *minor;
        struct bundle *bundle;
    } bundles[REGISTRY_MINORS_MAX];
    int bundle_count;
    struct backend_gates *gates;
    struct hop_places *places;
    struct verify_table *verified;
    char *left_out; /* "core registryctl": parts that no stack has; "" = stacks are whole */
    bool serving_probe;
    int64_t probe_interval_ms, manage_interval_ms, collect_interval_ms, pull_wait_ms;
    char *postgres_tools; /* folder of pg_dump and pg_restore, "" = PATH */
    char *harbor_address; /* NULL = each registry's own Service */
    struct probe_table *probes;
};

struct registry_scope {
    /* gather */
    struct registry_spec spec;
    const char *namespace, *name, *uid;
    int64_t generation;
    const char *left_out; /* the operator's: "" = the stack is whole */
    bool fleet;           /* PostgreSQL owns the spec: by label, or once by label */
    bool deleting;        /* deletionTimestamp is set */
    bool managed;         /* the namespace is all ours: quota and default-deny are, too */
    bool certificates;    /* cert-manager's Certificate is served */
    const json_t *elder;  /* an older Registry of this namespace, or NULL */
    const json_t *pods;   /* of the stack, array */
    /* identity */
    const json_t *identity; /* RegistryIdentity that we hold, as read last */
    /* secrets */
    const json_t *kept; /* Secret with everything that cannot be made anew */
    /* claim, backend */
    struct registry_backend backends[BACKEND_TYPES];
    const char *granted; /* size that its database server has room for; NULL = no claim yet */
    const char *cramped; /* why that is not the one in the spec; NULL = it is */
    /* hop */
    struct registry_hop hop;
    /* plan */
    const json_t *size; /* row of sizes.yaml */
    struct bundle_plan plan;
    /* drain, stack */
    struct bundle_result stack;
    bool stack_seen;
    int pods_left;  /* run */
    int pods_ready; /* of the part that serves (gather.c), and are ready */
    /* rotate */
    const json_t *pod_owners; /* {uid: component}; NULL = no pod looked like one of before */
    /* gather: the operator probes; probe */
    bool probing;
    struct registry_probe probe;
    struct registry_manage manage;
    /* teardown: the object is on its way out, its status is nobody's business */
    bool let_go;
};

static inline bool registry_closed(const struct registry_scope *scope)
{
    return scope->spec.lifecycle == REGISTRY_CLOSED;
}

/* Phases, in their order; each in the file of its name. */
int registry_gather(struct ctx *ctx, struct pass *pass);
int registry_teardown(struct ctx *ctx, struct pass *pass);
int registry_admit(struct ctx *ctx, struct pass *pass);    /* gather.c */
int registry_identity(struct ctx *ctx, struct pass *pass); /* identity.c */
int registry_secrets(struct ctx *ctx, struct pass *pass);
int registry_claim(struct ctx *ctx, struct pass *pass);
int registry_plan(struct ctx *ctx, struct pass *pass);
int registry_drain(struct ctx *ctx, struct pass *pass); /* act.c */
int registry_backend(struct ctx *ctx, struct pass *pass);
int registry_stack(struct ctx *ctx, struct pass *pass);  /* act.c */
int registry_rotate(struct ctx *ctx, struct pass *pass); /* rotation.c */
int registry_probe(struct ctx *ctx, struct pass *pass);
int registry_manage(struct ctx *ctx, struct pass *pass);
int registry_status(struct ctx *ctx, struct pass *pass);

bool registry_owns(const struct registry_scope *scope, const json_t *object); /* gather.c */

/* Pure halves of phases, for tests. */
bool registry_pod_runs(const json_t *pod, int64_t now_ms);
bool registry_waited_for_pods(const struct pass *pass, int64_t now_ms); /* gather.c */
void registry_conditions(struct ctx *ctx, const struct pass *pass,
                         const struct registry_scope *scope, json_t *status);

/* What a probe means; rc is what harbor_serving() returned. probe.c */
struct registry_probe registry_probe_verdict(struct ctx *ctx, int rc, const char *address,
                                             const struct harbor_serving *serving);
/* "host:port" at which its Harbor is asked. probe.c */
const char *registry_harbor_address(struct ctx *ctx, const struct registry_operator *home,
                                    const struct registry_scope *scope);
/* Until the next probe after so many failures in a row: 1 s, 2 s, 4 s, up to the interval. */
int64_t registry_probe_wait_ms(int64_t interval_ms, int failures);

/* What deleting a registry does; pure. */
enum teardown { TEARDOWN_RETAIN, TEARDOWN_PURGE };
/* Until when its data is kept: the spec's wish, bounded; NULL = it has none. */
const char *registry_kept_until(struct ctx *ctx, const struct registry_scope *scope,
                                int64_t now_ms);
enum teardown registry_teardown_decide(const struct registry_scope *scope, int64_t now_ms);

/* ---- shared by several files ---- */

/* The Deployments of the stack are at zero and its pods gone; else -ERR_WAITING. */
int registry_pods_gone(struct ctx *ctx, const struct pass *pass);
/* The pool that a claim names; -ERR_WAITING when it is not there, or of another type. claim.c */
int registry_pool_of(struct ctx *ctx, struct pass *pass, const json_t *claim, const json_t **ret);
/* Claims, by type, to what is claimed: pools, and what the provider gave for a slot. claim.c */
int registry_resolve(struct ctx *ctx, struct pass *pass, const json_t *const claims[BACKEND_TYPES],
                     struct registry_backend ret[BACKEND_TYPES]);
/* The kept Secret of an identity; secrets.c. */
char *registry_secret_name(struct ctx *ctx, const char *identity);
/* New values for a kept Secret, key to text: expensive. secrets.c */
json_t *registry_kept_make(struct ctx *ctx, const char *identity);
/* A new value for one of its keys, made as the first one was. secrets.c */
char *registry_kept_value(struct ctx *ctx, const char *identity, const char *key);
/* The kept Secret, read live, is the one of this pass; else -ERR_CONFLICT: with an older one, what
 * a rotation made valid would be shut out again. rotation.c */
int registry_kept_still(struct ctx *ctx, struct pass *pass);
/* A data key of a Secret, decoded; NULL when missing. */
char *registry_secret_value(struct ctx *ctx, const json_t *secret, const char *key);
/* Locks the identity, and sees live that the Registry, its identity and the kept Secret are still
 * those of this pass; else -ERR_CONFLICT. backend.c */
int registry_enter(struct ctx *ctx, struct pass *pass, struct backend_lock *lock);
/* Locks the backends of a registry that is being deleted; backend.c. *ret_exists: there is
 * something to keep. */
int registry_backend_close(struct ctx *ctx, struct pass *pass, bool *ret_exists);
/* That its bucket lets its key write, list and delete, just now; backend_s3.c */
struct s3_proof;
int registry_bucket_prove(struct ctx *ctx, struct pass *pass, struct s3_proof *ret);
/* A person agreed to the loss of what is gone: annotation ANNOTATION_ACCEPT_LOSS. */
bool registry_accepts_loss(const struct pass *pass);
/* Oldest first, then by name: every observer gives the same answer. gather.c */
bool registry_is_older(const json_t *a, const json_t *b);
/* RFC 3339 text at or before now? False for NULL or garbage. */
bool registry_time_passed(const char *time, int64_t now_ms);
/* Claims of an identity by type, read live, duplicates of a race removed; claim.c. NULL = none. */
int registry_claims_live(struct ctx *ctx, struct pass *pass, const char *identity,
                         const json_t *ret[BACKEND_TYPES]);

/* The claim under which something of the type was made, as the identity remembers it; NULL =
 * nothing was. made.c */
const char *registry_made(const json_t *identity, enum backend_type type);
/* Brings that memory of the identity to `made` of each backend; no call when it is there. Under the
 * lock, with the identity as read under it. made.c */
int registry_note_made(struct ctx *ctx, struct pass *pass,
                       const struct registry_backend backends[BACKEND_TYPES]);
/* The word for a state in status.externals; not for EXTERNAL_UNKNOWN. backend.c */
const char *registry_external_name(enum external_state state);
/* The row of a type in status.externals; borrowed, or NULL. */
const json_t *registry_external(const json_t *status, enum backend_type type);
