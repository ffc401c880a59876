/*
 * Backends: what a registry has a part of, one row per type. The phases claim, plan and backend,
 * the teardown, the purge, the pools' health and the audit loop over the rows; what a type means
 * stands in backend_<type>.c, which translates a registry's wish for its room in
 * reconcilers/backends.
 *
 * All changes of all of a registry's backends happen under one lock, the advisory lock on its
 * identity that its PostgreSQL pool holds (docs/adr/0006-one-lock-for-all-backends.md).
 */
#pragma once

#include "api/registry.h"
#include "reconcilers/backends/postgres.h"
#include "server/base/ctx.h"

#include <jansson.h>
#include <stdbool.h>

struct kube;
struct pass;
struct registry_operator;

enum external_state {
    EXTERNAL_UNKNOWN,
    EXTERNAL_PENDING,
    EXTERNAL_OPEN,
    EXTERNAL_CLOSED,
    EXTERNAL_LOST
};

/* One registry's part of one shared server, as a pass knows it. */
struct registry_backend {
    const json_t *claim, *pool;   /* BackendClaim, its BackendPool */
    const json_t *given;          /* Secret with what the provider gave for this slot, or NULL */
    enum external_state external; /* what the pass found or made; UNKNOWN = it did not get there */
    const char *error;            /* why it is not as wanted; NULL = nothing is known to be wrong */
    const char *unproved; /* why the next credential of a rotation is not valid; NULL = it is */
    const char *made;     /* claim under which it was made, after a look; NULL = it was not */
};

/* What one look at one backend, or one change of it, goes by. Strings live as long as the pass. */
struct backend_work {
    const struct backend_row *row;
    const struct registry_operator *home;
    struct kube *kube;
    const char *identity;
    const struct registry_backend *at;
    const json_t *kept;    /* Secret; NULL: the credentials are not known, nothing can be opened */
    int connections;       /* limit of the database role */
    bool open;             /* false: nobody may log in; nothing is removed */
    bool was_there;        /* on this pool, by the status; of this claim, by the identity */
    struct postgres *lock; /* held */
    void *session;         /* the row's own */
    /* observe, converge */
    bool any;             /* something of ours is there */
    bool data;            /* that which a loss would be a loss of is there */
    bool cannot_close;    /* whatever `open` says: the keys are the provider's */
    const char *unproved; /* as in registry_backend */
};

enum { POOL_WARNINGS_MAX = 4 };

/* A condition of a pool that warns and blocks nothing. */
struct pool_warning {
    const char *type, *status, *reason, *message;
};

struct pool_health {
    const char *version; /* NULL: the server does not tell */
    const char *owner;   /* the pool's mark; NULL: it carries none */
    bool ours;
    int64_t connections; /* that registries may be promised; 0 = nobody counts */
    const char *message; /* when all is well; NULL = the usual one */
    const char *blocked,
        *blocked_why; /* no new registry may come: reason and message; NULL = none */
    struct pool_warning warnings[POOL_WARNINGS_MAX]; /* ends at one without type */
};

struct backend_row {
    enum backend_type type;
    int port;           /* of a pool that names none */
    const char *what;   /* for people: "database and role" */
    const char *failed; /* reason in BackendsReady: it cannot be reached or brought to the wish */
    const char *lost;   /* reason in Stalled: it was there, and is gone. NULL = it is made anew */
    bool slots_are_places; /* of the server itself: two pools would give each of them twice */
    bool inside;           /* its server is part of the stack: the pool has no endpoint */
    bool fenced;           /* asks before each change whether the lock is still held */
    /* As status.externals names it. */
    const char *(*name)(struct ctx *ctx, const struct backend_work *work);
    /* Reads what the provider gave for this slot into `at`; NULL = nothing is ever given. */
    int (*give)(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                struct registry_backend *at);
    int (*begin)(struct ctx *ctx, struct backend_work *work);
    void (*end)(struct backend_work *work);
    int (*observe)(struct ctx *ctx, struct backend_work *work);
    /* After observe: makes what is missing and opens it, or closes what is there. */
    int (*converge)(struct ctx *ctx, struct backend_work *work);
    int (*remove)(struct ctx *ctx, struct backend_work *work);
    int (*changes)(const struct backend_work *work);
    /* In each pass, from the caches: external state and error of an open registry; `before`: as the
     * status tells. NULL = what the last verification found counts. */
    void (*look)(struct ctx *ctx, struct pass *pass, struct registry_backend *backend,
                 enum external_state before);
    /* Facts of the bundle, beside those of any server, which are there already (of one inside the
     * stack all of them): facts.c. */
    void (*facts)(struct ctx *ctx, const struct backend_work *work, json_t *facts);
    /* Of a pool as a whole. */
    int (*check)(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                 const json_t *pool, struct pool_health *ret);
    /* [{"kind", "name", "identity"}] of what carries our mark; NULL: the server cannot tell. */
    int (*list)(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                const json_t *pool, json_t **ret);
};

extern const struct backend_row backend_postgres, backend_redis, backend_dedicated, backend_s3;
/* In the order in which backends are opened and closed; removed in the other. A type's usual row:
 * its name, its reasons, its port. */
extern const struct backend_row *const backend_rows[BACKEND_TYPES];
/* The row that a pool works by; NULL = the pool is not known, and its type's usual one is meant. */
const struct backend_row *backend_row_of(enum backend_type type, const json_t *pool);

/* ---- the lock; backend_lock.c ---- */

/* Stands before the gate of the lease: a change of a fenced backend asks both. */
struct backend_lock {
    struct gate gate;
    const struct gate *outer;
    struct postgres *held;
};

/*
 * Locks an identity on the PostgreSQL pool of `at`. A busy pool is -ERR_WAITING (PoolBusy) with a
 * soon requeue. *ret stays where it is until backend_unlock().
 */
int backend_lock(struct ctx *ctx, struct pass *pass, const struct registry_backend *at,
                 const char *identity, struct backend_lock *ret);
void backend_unlock(struct backend_lock *lock);
#define _cleanup_backend_lock_ __attribute__((cleanup(backend_unlock)))

typedef int backend_act_fn(struct ctx *ctx, struct pass *pass, struct backend_work *work);
/* Opens a session of the row's, runs `act` in it under the lock, and ends it. */
int backend_run(struct ctx *ctx, struct pass *pass, struct backend_lock *lock,
                struct backend_work *work, backend_act_fn *act);
struct s3;
/* The session of a work on an object store; only inside of backend_run(). */
struct s3 *backend_s3_session(const struct backend_work *work);
/* For a pool that has enough workers inside: come again soon, that is no failure. */
int backend_busy(struct ctx *ctx, struct pass *pass, const json_t *pool, int rc);

/* ---- how the operator gets into a pool; pools.c ---- */

/* A value of a Secret in the operator's namespace, and no newline that a file left behind it. */
const char *pool_secret_text(struct ctx *ctx, const json_t *secret, const char *key);
/* Reads live a Secret of the operator's namespace that `why` needs: two values that must be there,
 * -ERR_UNAVAILABLE (SecretMissing) when they are not. */
int pool_secret(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                const char *name, const char *const keys[2], json_t **ret);
/* The administrator's two values of a pool. */
int pool_administrator(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                       const json_t *pool, const char *const keys[2], const char *ret_values[2]);
/* The authorities that endpoint.caSecretRef names; NULL = none named. */
int pool_authorities(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                     const json_t *pool, const char **ret);
const char *pool_name(const json_t *pool);
const char *pool_host(const json_t *pool);
int pool_port(const json_t *pool);
const char *pool_ssl_mode(const json_t *pool);
/* Of type Redis, and each registry gets one of its own. */
bool pool_is_dedicated(const json_t *pool);
/* A fact of the bundle: text at a path. */
void fact_put(json_t *facts, const char *path, const char *text);
