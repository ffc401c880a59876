/*
 * A registry's bucket t-<identity> on a shared object store, and the accounts that may use it. All
 * calls are idempotent. The caller holds the identity's PostgreSQL advisory lock (postgres_begin())
 * from s3_begin() to s3_end() of every pass that changes something: an object store has no locks,
 * so that one is what fences stale workers off.
 *
 * Who owns what. The bucket belongs to the pool's administrator, never to the registry's account;
 * a bucket policy that we write names the accounts and what they may do: objects and uploads of
 * this bucket, nothing else. So
 * - a registry can neither change nor remove the bucket's policy, tags, ACL or the bucket itself:
 *   it cannot shut itself out (an owner could), and it cannot forge the owner mark;
 * - closed = no policy: nobody but the administrator gets in. That holds for signed and presigned
 *   requests from the next one on, in every gateway process at once, while a changed secret would
 *   live on in versitygw's account cache for up to two minutes. The keys stay as they are, so that
 *   opening again is the same policy again. radosgw's user is suspended as well;
 * - two accounts (or keys) are two names in one policy: what rotation needs.
 * Any other policy is a stranger's or an administrator's mistake: observe tells, update replaces.
 *
 * Owner marks. Bucket: the tag flotilla = "flotilla:<cell>:<identity>"; only its owner, the
 * administrator, may write tags. What is not marked so is never adopted, changed or removed
 * (-ERR_TAKEN); the one exception stands at `adoptable` in s3_observe.c. Accounts: versitygw has no
 * field for words, so the number in ProjectID, which only administrators set, is taken from the
 * mark's digest, and the access key begins with s3_prefix(); radosgw: one user t-<identity>, its
 * display name is the mark, the keys are its keys.
 *
 * Driver `static` (a store without an interface for administrators): bucket and key come from the
 * provider, nothing is made, nothing can be closed (state.lockable = false). The mark is the object
 * S3_MARK_OBJECT in the bucket, written with the registry's own key: it protects from mistakes (a
 * slot given out twice), not from that key's holder, who is Harbor alone.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct backend_gates;
struct s3;

enum { S3_KEYS_MAX = 2, S3_ACCOUNTS_MAX = 16 };

#define S3_PROBE_OBJECT ".flotilla/probe"
#define S3_MARK_OBJECT ".flotilla/owner"
#define S3_POOL_BUCKET "flotilla-pool"
#define S3_POOL_OBJECT "cell"

/* Strings live as long as the pass. */
struct s3_pool {
    const char *name; /* of the BackendPool */
    const char *host;
    int port;
    const char *ssl_mode; /* see server/adapters/s3.h */
    const char *ca_pem;
    const char *region;
    const char *driver;                  /* versitygw, radosgw, static */
    const char *access_key, *secret_key; /* the administrator's; static: NULL */
    const char *cell;                    /* uid of this cluster's kube-system */
    struct backend_gates *gates;
};

struct s3_key {
    const char *access, *secret;
};

struct s3_want {
    const char *identity;
    const char *bucket;              /* static only: the provider's; else NULL */
    struct s3_key keys[S3_KEYS_MAX]; /* both are valid; the second without access: there is none */
    /* Of two keys the second is the next one, and state.unproved tells why it opens nothing; else
     * it is an old one, which is not proved: nothing waits for it any more. */
    bool second_is_next;
    bool open; /* false: no key opens anything; nothing is removed */
};

/* What observe found. Only what is ours gets this far. */
struct s3_state {
    bool bucket; /* is there */
    bool marked;
    bool lockable;       /* the driver can close */
    bool user;           /* radosgw: the registry's user is there */
    bool suspended;      /* and may do nothing */
    const char *policy;  /* as it stands there; NULL = none */
    bool foreign_policy; /* it is not one of ours */
    int accounts;        /* with our mark, whatever their key */
    struct s3_key account[S3_ACCOUNTS_MAX];
    const char *unproved; /* by update(): why the next key opens nothing; NULL = nothing is known */
};

/* "t-<identity>" */
char *s3_name(struct ctx *ctx, const char *identity);
/* "t-<identity>-": how every access key begins that the caller makes (not for static). What comes
 * behind, and the secret, are of [A-Za-z0-9]. */
char *s3_prefix(struct ctx *ctx, const char *identity);

/* Passes the pool's gate. `want` says which bucket and keys; it outlives the session. */
int s3_begin(struct ctx *ctx, const struct s3_pool *pool, const struct s3_want *want,
             struct s3 **ret);
void s3_end(struct s3 *s3);
static inline void cleanup_s3_(struct s3 **s3)
{
    s3_end(*s3);
}
#define _cleanup_s3_ __attribute__((cleanup(cleanup_s3_)))

int s3_observe(struct ctx *ctx, struct s3 *s3, struct s3_state *ret);
/* Makes what is missing, closed: a bucket that nobody but the administrator may use. */
int s3_create(struct ctx *ctx, struct s3 *s3, struct s3_state *state);
/* Brings accounts and policy to `want` and reads them back; accounts with our mark that are not
 * wanted go. With open also s3_prove() for each key but an old one; else it is tried that no key
 * opens anything. */
int s3_update(struct ctx *ctx, struct s3 *s3, struct s3_state *state);
/* Closes, empties and removes the bucket (static: empties it), removes the accounts, and reads back
 * that all is gone. Bounded in pages per call: -ERR_UNAVAILABLE (BucketEmptying) asks to be called
 * again; nothing is lost by it. */
int s3_remove(struct ctx *ctx, struct s3 *s3);
/* Signed PUT, LIST that finds it, DELETE, as the registry does. */
int s3_prove(struct ctx *ctx, struct s3 *s3, const struct s3_key *key);
/*
 * That a bucket has just let a key write, list and delete, for those to whom a bucket that does not
 * is dangerous (garbage collection). Made by s3_prove_bucket() only; zeroed it proves nothing.
 */
struct s3_proof {
    char bucket[64];
    int64_t at_ms; /* clock_boottime_ms() */
};
int s3_prove_bucket(struct ctx *ctx, struct s3 *s3, const struct s3_key *key, struct s3_proof *ret);
/* How many changes were sent in this session (a probe is none); 0 = everything was as wanted. */
int s3_changes(const struct s3 *s3);

struct s3_health {
    const char
        *owner; /* the pool's mark; NULL for static, whose buckets carry marks of their own */
    bool ours;
};

/* Does the store answer its administrator; sets the pool's owner mark if it has none, and tells
 * whose it is. */
int s3_check(struct ctx *ctx, const struct s3_pool *pool, struct s3_health *ret);

/* Every bucket and account with a mark of this cell: [{"kind": "Bucket"|"Account", "name",
 * "identity"}]; empty for static, where they are the provider's. */
int s3_list(struct ctx *ctx, const struct s3_pool *pool, json_t **ret);
