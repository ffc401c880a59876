/* Sessions to an object store and its drivers, shared by the s3*.c files of this folder and by
 * nobody else. */
#pragma once

#include "reconcilers/backends/s3.h"
#include "server/adapters/curl.h"
#include "server/adapters/s3.h"
#include "server/base/failpoint.h"

struct s3 {
    const struct s3_pool *pool;
    const struct s3_driver *driver;
    const struct s3_want *want; /* NULL where the pool as a whole is meant */
    const char *bucket, *mark, *prefix;
    struct s3_store *store;
    bool unreachable; /* the last call got no answer */
    int changes;
};

/* An account of anybody's, as a driver lists it. */
struct s3_account {
    const char *name;     /* of the account: access key, or user */
    const char *identity; /* from its mark; NULL = not of this cell */
};

/*
 * What stores do not agree upon: accounts. All of S3 itself is common. Changes are counted and ask
 * the gate in session_change().
 */
struct s3_driver {
    const char *name;
    bool administered;   /* has an administrator, who makes buckets and accounts */
    bool tags_at_create; /* bucket and mark are one request */
    /* Our accounts of this identity into state; -ERR_TAKEN when a wanted one is a stranger's. */
    int (*observe)(struct ctx *ctx, struct s3 *s3, struct s3_state *state);
    /* Makes the account, or gives it this secret. */
    int (*set)(struct ctx *ctx, struct s3 *s3, const struct s3_state *state,
               const struct s3_key *key);
    int (*drop)(struct ctx *ctx, struct s3 *s3, const char *access);
    /* What is left when all keys are gone; NULL = nothing. */
    int (*drop_user)(struct ctx *ctx, struct s3 *s3);
    /* NULL = the policy does it alone. */
    int (*suspend)(struct ctx *ctx, struct s3 *s3, bool suspended);
    /* The policy's principals for these keys, as a JSON array. */
    char *(*principals)(struct ctx *ctx, const struct s3 *s3, const struct s3_key keys[],
                        int count);
    int (*list)(struct ctx *ctx, struct s3 *s3, struct s3_account **ret, int *ret_count);
};

extern const struct s3_driver s3_versitygw, s3_radosgw, s3_static;

/* Gate and store; ended by s3_end(). */
int s3_enter(struct ctx *ctx, const struct s3_pool *pool, struct s3 **ret);
/* "flotilla:<cell>:<identity>" */
char *s3_mark(struct ctx *ctx, const struct s3_pool *pool, const char *identity);
/* The identity in a mark of this cell, or NULL. */
const char *s3_identity_of(const struct s3 *s3, const char *mark);

/* One request as a named call: failpoints, metric. `key` NULL is the administrator. */
int s3_query(struct ctx *ctx, struct s3 *s3, enum call call, const struct s3_key *key,
             const struct s3_request *request, struct http_response *ret);
/* A write: asks the gate of the lease right before sending. */
int s3_write(struct ctx *ctx, struct s3 *s3, enum call call, const struct s3_key *key,
             const struct s3_request *request, struct http_response *ret);
/* A write by the worker that is counted: it brings something closer to what is wanted. */
int s3_change(struct ctx *ctx, struct s3 *s3, enum call call, const struct s3_request *request);

/* Not found, in whatever form, is 0 and *found = false. */
int s3_maybe(struct ctx *ctx, int rc, bool *found);
/* Who works in the bucket: the administrator, or for static the registry's own key. */
const struct s3_key *s3_worker(const struct s3 *s3);
/* Whether a list of objects with this prefix has anything, and whether `name` is in it. */
int s3_look(struct ctx *ctx, struct s3 *s3, enum call call, const struct s3_key *key,
            const char *prefix, const char *name, bool *any, bool *found);
/* Text with what XML reserves encoded. */
char *s3_xml(struct ctx *ctx, const char *text);
/* Whether the bucket is there and carries s3->mark. */
int s3_marked(struct ctx *ctx, struct s3 *s3, enum call call, bool *ret);
/* Removes objects, their versions and unfinished uploads; static: all but the mark. */
int s3_empty(struct ctx *ctx, struct s3 *s3);
/* Removes the objects whose names begin so; where a store keeps versions, those stay. */
int s3_remove_under(struct ctx *ctx, struct s3 *s3, const char *prefix);

/* The policy that lets these keys in, and nobody else. */
char *s3_policy(struct ctx *ctx, const struct s3 *s3, const struct s3_key keys[], int count);
bool s3_same_policy(struct ctx *ctx, const char *a, const char *b);
