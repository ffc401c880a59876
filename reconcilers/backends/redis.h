/*
 * A registry's share of a shared Redis: one logical index (database number) and one ACL user,
 * t_<identity>, that may select this index and no other. Index 0, where every connection starts,
 * stays empty. All calls are idempotent; the caller holds the identity's advisory lock on
 * PostgreSQL during all of them but login, check and list, and so fences a worker whose lease was
 * lost.
 *
 * The owner mark of a user is a channel pattern, "flotilla:<cell>:<identity>": it is saved with the
 * user, set in the same command, and grants nothing, because no command that uses channels is
 * allowed. A user with another mark, or none, is never adopted, changed or removed. An index is
 * ours when our user has the right to select it; where no user of ours does, and it holds keys or
 * somebody else may select it, it is taken. (-ERR_TAKEN; docs/adr/0003-owner-marks.md)
 *
 * The administrator needs `+acl +multi +exec +select +dbsize +flushdb +info +client|kill`, and
 * `+config|get` for the pool's health. Redis 7 or newer.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct backend_gates;
struct redis;

enum { REDIS_PASSWORDS_MAX = 2 };

/* Strings live as long as the pass. */
struct redis_pool {
    const char *name; /* of the BackendPool */
    const char *host;
    int port;
    const char *ssl_mode;        /* disable|require|verify-ca|verify-full */
    const char *ca_pem;          /* NULL = the system's authorities */
    const char *user, *password; /* the administrator's */
    const char *cell;            /* uid of this cluster's kube-system */
    struct backend_gates *gates;
};

struct redis_want {
    const char *passwords[REDIS_PASSWORDS_MAX]; /* all of them valid; NULL ends the list */
    bool open;    /* false: the user may not log in, needs no passwords; nothing is removed */
    bool retires; /* with open: a password has just gone, and what was let in by it goes, too */
};

/* What observe found. Only what is ours gets this far. */
struct redis_state {
    bool user;    /* is there */
    bool on;      /* may log in */
    bool rights;  /* exactly those of a registry's user */
    bool fenced;  /* may select our index, which makes the index ours */
    bool unsaved; /* a change of it could not be saved */
    int passwords;
    const char *const *password; /* SHA-256, in hex */
    int64_t keys;                /* in the index */
};

/* "t_<identity>" */
char *redis_name(struct ctx *ctx, const char *identity);

/* Passes the pool's gate and logs in as its administrator. `index` >= 1: the claim's slot + 1. */
int redis_begin(struct ctx *ctx, const struct redis_pool *pool, const char *identity, int index,
                struct redis **ret);
/*
 * The caller knows by its own records (claim and status) that the index was this registry's. A
 * Redis that forgot its users, as one without an ACL file does at a restart, still holds their
 * keys; they are no stranger's then. Another user's right to the index is refused all the same.
 */
void redis_own_index(struct redis *rd);
void redis_end(struct redis *rd);
static inline void cleanup_redis_(struct redis **rd)
{
    redis_end(*rd);
}
#define _cleanup_redis_ __attribute__((cleanup(cleanup_redis_)))

int redis_observe(struct ctx *ctx, struct redis *rd, struct redis_state *ret);
/* Makes the user when it is missing, all of it by one command. */
int redis_create(struct ctx *ctx, struct redis *rd, const struct redis_want *want,
                 struct redis_state *state);
/*
 * Open: brings rights and passwords to `want`, reads them back and logs in with each password;
 * where a password retires, ends all connections of the user once, and they come back with another.
 * Closed: turns the user off and ends its connections.
 */
int redis_update(struct ctx *ctx, struct redis *rd, const struct redis_want *want,
                 struct redis_state *state);
/* Empties the index, drops the user, and reads back that it is gone. */
int redis_remove(struct ctx *ctx, struct redis *rd);
/* How many changes were made since begin; 0 = everything was as wanted. */
int redis_changes(const struct redis *rd);

/*
 * Logs in as the registry does, selects its index, and proves that another one and index 0 are
 * refused: -ERR_REFUSED (FenceOpen) where they are not. Passes no gate.
 */
int redis_login(struct ctx *ctx, const struct redis_pool *pool, const char *identity, int index,
                const char *password);

struct redis_health {
    const char *version; /* "7.0.15" */
    const char *owner;   /* the pool's mark */
    bool ours;
    bool acl_persisted;   /* false: the server has no ACL file and forgets its users at a restart */
    bool default_open;    /* the user `default` reaches data, or needs no password */
    int databases;        /* how many indexes there are; 0 = the server does not tell */
    const char *evicting; /* "allkeys-lru": keys go when memory is full; NULL = none does */
};

/*
 * Logs in, sets the pool's owner mark if it has none, and tells whose it is. The mark is an ACL
 * user without any rights, "flotilla:<cell>".
 */
int redis_check(struct ctx *ctx, const struct redis_pool *pool, struct redis_health *ret);

/* Every user with a mark of this cell: [{"kind": "User", "name", "identity"}], by mark and never by
 * name. */
int redis_list(struct ctx *ctx, const struct redis_pool *pool, json_t **ret);
