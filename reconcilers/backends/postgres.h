/*
 * A registry's database and role on a shared PostgreSQL, both named t_<identity>. The role owns
 * what is in the database and, at first, also logs in. When its password is to be replaced while it
 * is in use, a second role logs in beside it, and from then on two take turns, t_<identity>_a and
 * _b: members of the first, in whose name their sessions are from the beginning. All calls are
 * idempotent; all but login and list run while an advisory lock on the identity is held on one
 * session to the pool's maintenance database. The owner mark is a comment on role and database,
 * "flotilla:<cell>:<identity>": what carries another, or none, is never adopted, changed or removed
 * (-ERR_TAKEN); the one exception and its reason stand at `adoptable` in postgres_observe.c.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct backend_gates;
struct postgres;

enum { POSTGRES_TURNS = 2 };

/* Strings live as long as the pass. */
struct postgres_pool {
    const char *name; /* of the BackendPool */
    const char *host;
    int port;
    const char *ssl_mode;
    const char *user, *password; /* the administrator's */
    const char *maintenance;     /* database */
    const char *cell;            /* uid of this cluster's kube-system */
    struct backend_gates *gates;
};

struct postgres_want {
    const char *identity;
    const char *password;             /* of the role that owns; NULL = it does not log in */
    const char *turn[POSTGRES_TURNS]; /* passwords of _a and _b; NULL = it does not log in */
    /* Of two roles that log in the one that is not in use; NULL = there is none. The next one: that
     * it cannot log in is told by state.unproved, and the other one serves on. The old one: whoever
     * holds it may spoil it, and nothing waits for it any more: it is neither proved nor mended. */
    const char *other;
    bool other_is_next;
    int connection_limit; /* of each */
    bool open;            /* false: no role may log in; nothing is removed */
};

/* _a or _b, as observe found it. */
struct postgres_turn {
    bool role;   /* is there */
    bool member; /* the administrator may act for it */
    bool acts;   /* it is a member of the owner, and its sessions are the owner's */
    bool can_login;
    bool powers;
    int limit;
    int sessions;
};

/* What observe found. Only what is ours gets this far. */
struct postgres_state {
    bool role, database; /* are there */
    bool marked;         /* the database carries our mark */
    bool member;         /* the administrator may act for the role */
    bool can_login;
    bool powers; /* the role may do more than a registry's should */
    int role_limit, database_limit;
    bool allows_connections;
    bool granted;          /* CONNECT, and nothing else */
    const char *strangers; /* "PUBLIC, x": others with rights on the database; NULL = none */
    int sessions;          /* of the role */
    struct postgres_turn turn[POSTGRES_TURNS];
    const char *unproved; /* by update(): why want.other does not log in; NULL = nothing is known */
    int64_t now_ms;       /* by the server's clock */
};

/* "t_<identity>" */
char *postgres_name(struct ctx *ctx, const char *identity);
/* "t_<identity>_a", "t_<identity>_b" */
char *postgres_turn_name(struct ctx *ctx, const char *identity, int turn);

/* Passes the pool's gate, logs in as its administrator and locks the identity. */
int postgres_begin(struct ctx *ctx, const struct postgres_pool *pool, const char *identity,
                   struct postgres **ret);
void postgres_end(struct postgres *pg);
static inline void cleanup_postgres_(struct postgres **pg)
{
    postgres_end(*pg);
}
#define _cleanup_postgres_ __attribute__((cleanup(cleanup_postgres_)))

/*
 * Asks the session that holds the lock whether it lives. What happens on other sessions or other
 * servers is not held by the lock itself: it is asked before each change there, for when it is gone
 * somebody else may be at work already.
 */
int postgres_lives(struct ctx *ctx, struct postgres *pg);

int postgres_observe(struct ctx *ctx, struct postgres *pg, struct postgres_state *ret);
/* Makes what is missing, closed: nobody can log in until update() opens it. */
int postgres_create(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                    struct postgres_state *state);
/* Brings limits, rights, passwords and lock to `want` and reads them back; with open it also logs
 * in as each role that may, and ends the sessions of the others. */
int postgres_update(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                    struct postgres_state *state);
/* Drops database, then roles, and reads back that both are gone. */
int postgres_remove(struct ctx *ctx, struct postgres *pg);
/* How many changes were sent on this lock; 0 = everything was as wanted. */
int postgres_changes(const struct postgres *pg);

/* ---- another version of Harbor: postgres_hop.c ---- */

struct postgres_login {
    const char *user, *password; /* one that the registry's pods use */
};

struct postgres_schema {
    int tables;      /* of the schema public */
    int64_t version; /* as the last migration noted it; -1 = it did not */
    bool dirty;      /* a migration began and did not end */
    int server;      /* major version of PostgreSQL */
};

/* What the registry itself sees of its schema. */
int postgres_schema_read(struct ctx *ctx, struct postgres *pg, const struct postgres_login *as,
                         struct postgres_schema *ret);
/* Ends sessions that the registry has left; -ERR_UNAVAILABLE (SessionsRemain) while one stays. */
int postgres_quiet(struct ctx *ctx, struct postgres *pg);
/*
 * Leaves no database of the registry's name, and the one whose migration failed under the name
 * t_<identity>_failed: what has the name when that one is there already is a restore that was
 * interrupted, and is dropped. Needs postgres_quiet().
 */
int postgres_set_aside(struct ctx *ctx, struct postgres *pg);
/* Drops the one that was put aside, if it is there. */
int postgres_drop_aside(struct ctx *ctx, struct postgres *pg);

struct child;
/*
 * pg_dump and pg_restore as children, logged in as the registry. `tools` is their folder, "" =
 * PATH. A restore is one transaction, which the end of its input commits: child_finish().
 */
int postgres_dump_start(struct ctx *ctx, struct postgres *pg, const struct postgres_login *as,
                        const char *tools, struct child **ret);
int postgres_restore_start(struct ctx *ctx, struct postgres *pg, const struct postgres_login *as,
                           const char *tools, struct child **ret);
/* Both are there, and as new as the server: else -ERR_CONFIG (DumpToolMissing). */
int postgres_tools_check(struct ctx *ctx, const char *tools, int server);

struct postgres_health {
    const char *version; /* "15.8" */
    const char *owner;   /* the pool's mark */
    bool ours;
    int64_t connections;         /* that others than superusers may have */
    bool superuser, reaches_all; /* reaches_all: CREATEROLE of PostgreSQL <= 15 */
    const char *open_databases;  /* "postgres, template1": every role may connect; NULL = none */
    bool lends_locks; /* every role may connect to where we lock, and the administrator could end it
                       */
};

/* Logs in, sets the pool's owner mark if it has none, and tells whose it is. */
int postgres_check(struct ctx *ctx, const struct postgres_pool *pool, struct postgres_health *ret);

/* Every role and database with a mark of this cell: [{"kind": "Owner"|"Role"|"Database", "name",
 * "identity"}], by mark and never by name. Owner is the role whose loss is one; the others log in
 * in its name, or are nobody's. */
int postgres_list(struct ctx *ctx, const struct postgres_pool *pool, json_t **ret);
