/*
 * store: the fleet's database, statement by statement. Each file of sql/queries is one function
 * here or in the file of its kind, of the same name; nobody else writes SQL for the fleet.
 *
 * A transaction carries a scope: row security lets through what belongs to it and nothing else, and
 * each statement names the tenant once more.
 */
#pragma once

#include "server/adapters/pg.h"

#include <stdbool.h>

struct ctx;

struct store_scope {
    const char *tenant;     /* NULL = none */
    bool provider;          /* the provider's own key: every tenant's rows */
    const char *key_prefix; /* a log-in: the row of this API key */
};

/* Opens a transaction; scope NULL for roles whose policies need no settings. */
int store_begin(struct ctx *ctx, struct pg *pg, const struct store_scope *scope);
/* -ERR_UNAVAILABLE or -ERR_TIMEOUT with reason OutcomeUnknown: it may have been carried out. */
int store_commit(struct ctx *ctx, struct pg *pg);
/* What is done between the two in a transaction is undone by the second, as are its locks. */
int store_savepoint(struct ctx *ctx, struct pg *pg);
int store_undo(struct ctx *ctx, struct pg *pg);
/* Ends a transaction whose outcome nobody needs to know: a read, housekeeping. */
int store_end(struct ctx *ctx, struct pg *pg);

/* Runs sql/queries/<name>.sql. `values` holds as many parameters as `count` says; ret may be NULL.
 */
int store_query(struct ctx *ctx, struct pg *pg, const char *name, int count,
                const char *const values[], struct pg_rows *ret);
/* The same for a statement of which at most one row is wanted: *ret_body is its column `body`, NULL
 * when there is no row. */
int store_body(struct ctx *ctx, struct pg *pg, const char *name, int count,
               const char *const values[], const char **ret_body);

/*
 * Brings the schema of the database to what this binary carries: each file of sql/migrations once,
 * in order, in a transaction of its own, under an advisory lock; then sql/views, which are replaced
 * when they changed. -ERR_CONFIG (SchemaChanged, SchemaNewer) when an applied file was edited or
 * the database is ahead of us. `conninfo` is the owner's. *ret_applied may be NULL.
 */
int store_migrate(struct ctx *ctx, const char *conninfo, int *ret_applied);
/* -ERR_CONFIG SchemaTooOld when the schema lacks a migration that this binary carries. A newer
 * schema is fine: migrations only add while two releases run side by side. */
int store_version_check(struct ctx *ctx, struct pg *pg);
