/*
 * PostgreSQL over libpq: blocking calls that never outlive ctx->deadline_ms, and a small pool.
 * Parameters are text; NULL is SQL NULL. SQL comes from sql/queries (server/store) or, for tenant
 * servers, from reconcilers/backends: nothing else speaks SQL. The gate is asked before each send.
 * (Host names are resolved by libpq, which blocks: give addresses where that matters.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ctx;
struct pg;

enum { PG_SQLSTATE_BYTES = 6, PG_DEFAULT_TIMEOUT_MS = 10000 };

/* The rows of one answer; text, owned by ctx->arena. */
struct pg_rows {
    int rows;
    void *result_;
};

/*
 * Opens a session. `conninfo` is a libpq connection string or URI; a password in it is not copied
 * into messages. -ERR_UNAVAILABLE when the server cannot be reached, -ERR_DENIED when it refuses
 * us.
 */
int pg_open(struct ctx *ctx, const char *conninfo, struct pg **ret);
void pg_close(struct pg *pg);

/*
 * Runs one statement. SQLSTATE decides the error: class 08, 57P0x, 53300 -> UNAVAILABLE; 40001,
 * 40P01, 55P03 -> CONFLICT (retry the transaction); 23505, 42710, 42P04 -> ALREADY_EXISTS; 42501,
 * 28xxx -> DENIED; 57014 -> TIMEOUT; others -> REFUSED. pg_sqlstate() has the code itself.
 */
int pg_query(struct ctx *ctx, struct pg *pg, const char *sql, int parameters,
             const char *const values[], struct pg_rows *ret);
/* Several statements without parameters or rows (migrations). */
int pg_script(struct ctx *ctx, struct pg *pg, const char *sql);

/* SQLSTATE of the last failure on this session, "" when the server said none. */
const char *pg_sqlstate(const struct pg *pg);
/* Warnings since the session was opened or pg_warnings_clear(): a GRANT that had no effect is one.
 */
int pg_warnings(const struct pg *pg);
const char *pg_last_warning(const struct pg *pg);
void pg_warnings_clear(struct pg *pg);
/* False once the session is broken; it must then be closed. */
bool pg_alive(const struct pg *pg);
/* Alive, outside a transaction, and the server has not ended it since. Sends nothing. */
bool pg_idle(struct pg *pg);

/* NULL for SQL NULL. The text lives as long as ctx->arena of the query. */
const char *pg_value(const struct pg_rows *rows, int row, int column);
/* By column name; aborts when the statement has no such column (a defect of ours). */
const char *pg_field(const struct pg_rows *rows, int row, const char *column);

/* A quoted identifier / literal in the arena, for DDL, which takes no parameters. */
char *pg_identifier(struct ctx *ctx, struct pg *pg, const char *name);
char *pg_literal(struct ctx *ctx, struct pg *pg, const char *text);

/* ---- pool: thread-safe, sessions are opened on demand and broken ones replaced ---- */

struct pg_pool;

/* `setup` (or NULL) is run on each new session. */
struct pg_pool *pg_pool_new(const char *conninfo, int max, const char *setup);
void pg_pool_free(struct pg_pool *pool);
/* Waits for a free session until the deadline, then -ERR_OVERLOADED. */
int pg_pool_take(struct ctx *ctx, struct pg_pool *pool, struct pg **ret);
/* Gives it back (NULL: nothing); an open transaction is rolled back, a broken session closed. */
void pg_pool_give(struct pg_pool *pool, struct pg *pg);
