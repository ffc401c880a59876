/* Sessions to a pool, shared by the postgres*.c files of this folder and by nobody else. */
#pragma once

#include "reconcilers/backends/postgres.h"
#include "server/adapters/pg.h"
#include "server/base/failpoint.h"

struct postgres {
    const struct postgres_pool *pool;
    const char *identity, *name, *mark;
    struct pg *admin; /* maintenance database; holds the advisory lock */
    int changes;
};

/* A libpq connection string in ctx->arena. */
char *session_conninfo(struct ctx *ctx, const struct postgres_pool *pool, const char *database,
                       const char *user, const char *password);
/* Gate and login as administrator; ended by session_leave(). */
int session_enter(struct ctx *ctx, const struct postgres_pool *pool, struct pg **ret);
void session_leave(const struct postgres_pool *pool, struct pg *pg);

/* One statement as a named call: failpoints, metric. */
int session_query(struct ctx *ctx, enum call call, struct pg *pg, const char *sql, int parameters,
                  const char *const values[], struct pg_rows *ret);
/* A change: asks the gate of the lease right before sending; a warning is a failure. Several
 * statements in one text are one transaction. */
int session_change(struct ctx *ctx, enum call call, struct pg *pg, const char *sql);
/* The same by the administrator, counted: it brings something closer to what is wanted. */
int session_alter(struct ctx *ctx, enum call call, struct postgres *pg, const char *sql);
/* pg_open as a named call. */
int session_open(struct ctx *ctx, enum call call, const char *conninfo, struct pg **ret);

/* Ends the sessions of roles that are not to log in; postgres.c */
int postgres_end_sessions(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                          struct postgres_state *state);

/* ---- postgres_turns.c ---- */

/* Repeatable, so that a retry sends the same bytes: the salt comes from the (random) password. */
char *postgres_verifier(struct ctx *ctx, const char *identity, const char *password);
/* Reads _a and _b into the state; -ERR_TAKEN where one does not carry our mark. */
int postgres_turns_observe(struct ctx *ctx, struct postgres *pg, struct postgres_state *state);
/* Makes and opens those that are to log in. */
int postgres_turns_open(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                        struct postgres_state *state);
/* NOLOGIN for those that are not. */
int postgres_turns_shut(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                        struct postgres_state *state);
/* Makes the administrator a member of each role: else it may not end their sessions. */
int postgres_join(struct ctx *ctx, struct postgres *pg, struct postgres_state *state);
/* By a password of its own: before the first rotation. */
bool postgres_owner_logs_in(const struct postgres_want *want);
/* Sessions of roles, the owner included, that are not to log in. */
int postgres_sessions_shut(const struct postgres_want *want, const struct postgres_state *state);
/* Ends them. */
int postgres_terminate(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want);
/* Ends those of one role. */
int postgres_terminate_role(struct ctx *ctx, struct postgres *pg, const char *role);
/* A lower limit leaves the sessions that are there alone: the youngest above it are ended. */
int postgres_end_surplus(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                         const struct postgres_state *state);
