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
/* pg_open as a named call. */
int session_open(struct ctx *ctx, enum call call, const char *conninfo, struct pg **ret);
