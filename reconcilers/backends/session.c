/*
 * How we speak with a pool's PostgreSQL: every call is named in calls.def, counted, and framed by
 * its failpoints. A change asks the lease's gate after its failpoint, so that a worker which hung
 * before sending sends nothing once its lease is lost. Passwords stand in connection strings only,
 * which libpq does not repeat in messages.
 */
#include "reconcilers/backends/session.h"

#include "reconcilers/backends/gate.h"
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

/*
 * lock_timeout: another worker holds the identity; come again. idle_session_timeout: a hung process
 * loses its session and with it the lock, so that it cannot act on what it read long ago.
 * search_path: what others may create (public, of a registry's database all the more) is never
 * looked into, or an operator or function of theirs that fits better than the built-in one would
 * run with our rights. What is not built in is named with its schema.
 */
#define SESSION_OPTIONS                                                                            \
    "-c lock_timeout=5000 -c idle_session_timeout=20000 -c statement_timeout=60000 "               \
    "-c search_path=pg_catalog,pg_temp"

static void add(struct str *out, const char *key, const char *value)
{
    str_printf(out, "%s='", key);
    for (const char *at = value; *at; at++) {
        if (*at == '\'' || *at == '\\')
            str_add(out, "\\");
        str_add_bytes(out, at, 1);
    }
    str_add(out, "' ");
}

char *session_conninfo(struct ctx *ctx, const struct postgres_pool *pool, const char *database,
                       const char *user, const char *password)
{
    _cleanup_str_ struct str out;
    str_init(&out, 4096);
    add(&out, "host", pool->host);
    str_printf(&out, "port=%d ", pool->port);
    add(&out, "dbname", database);
    add(&out, "user", user);
    add(&out, "password", password);
    add(&out, "sslmode", pool->ssl_mode);
    add(&out, "options", SESSION_OPTIONS);
    str_add(&out,
            "application_name=flotilla passfile=/dev/null connect_timeout=3 keepalives_idle=5 "
            "keepalives_interval=2 keepalives_count=3 tcp_user_timeout=10000");
    return arena_strdup(ctx->arena, str_text(&out));
}

static void count(enum call call, struct ctx *ctx, int rc)
{
    metric_add(METRIC_EXTERNAL_CALLS, 1, call_row(call)->name, rc == 0 ? "ok" : ctx->err.reason);
}

int session_open(struct ctx *ctx, enum call call, const char *conninfo, struct pg **ret)
{
    TRY(FAILPOINT_BEFORE(ctx, call));
    int rc = pg_open(ctx, conninfo, ret);
    count(call, ctx, rc);
    if (rc == 0 && (rc = FAILPOINT_AFTER(ctx, call)) < 0)
        pg_close(*ret);
    return rc;
}

int session_enter(struct ctx *ctx, const struct postgres_pool *pool, struct pg **ret)
{
    TRY(backend_gate_enter(ctx, pool->gates, pool->name));
    const char *conninfo =
        session_conninfo(ctx, pool, pool->maintenance, pool->user, pool->password);
    int rc = session_open(ctx, CALL_PG_CONNECT, conninfo, ret);
    if (rc < 0)
        backend_gate_leave(pool->gates, pool->name, rc == -ERR_DENIED);
    return rc;
}

void session_leave(const struct postgres_pool *pool, struct pg *pg)
{
    pg_close(pg);
    backend_gate_leave(pool->gates, pool->name, true);
}

int session_query(struct ctx *ctx, enum call call, struct pg *pg, const char *sql, int parameters,
                  const char *const values[], struct pg_rows *ret)
{
    TRY(FAILPOINT_BEFORE(ctx, call));
    int rc = pg_query(ctx, pg, sql, parameters, values, ret);
    count(call, ctx, rc);
    TRY(rc);
    return FAILPOINT_AFTER(ctx, call);
}

int session_alter(struct ctx *ctx, enum call call, struct postgres *pg, const char *sql)
{
    pg->changes++;
    return session_change(ctx, call, pg->admin, sql);
}

int session_change(struct ctx *ctx, enum call call, struct pg *pg, const char *sql)
{
    TRY(FAILPOINT_BEFORE(ctx, call));
    TRY(ctx_may_write(ctx));
    pg_warnings_clear(pg);
    int rc = pg_script(ctx, pg, sql);
    if (rc == 0 && pg_warnings(pg) > 0)
        rc = err_set(ctx, ERR_REFUSED, "BackendWarning", "%s: %s", call_row(call)->name,
                     pg_last_warning(pg));
    count(call, ctx, rc);
    TRY(rc);
    return FAILPOINT_AFTER(ctx, call);
}
