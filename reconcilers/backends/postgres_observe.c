/*
 * Lock, observe, and whose it is. Everything that decides ownership of an external object is in
 * this file; docs/adr/0003-owner-marks.md has the reasoning at length.
 */
#include "reconcilers/backends/session.h"

#include "server/base/ctx.h"
#include "server/base/str.h"

#include <stdlib.h>

char *postgres_name(struct ctx *ctx, const char *identity)
{
    return arena_printf(ctx->arena, "t_%s", identity);
}

int postgres_begin(struct ctx *ctx, const struct postgres_pool *pool, const char *identity,
                   struct postgres **ret)
{
    struct postgres *pg = arena_alloc(ctx->arena, sizeof *pg);
    pg->pool = pool;
    pg->identity = identity;
    pg->name = postgres_name(ctx, identity);
    pg->mark = arena_printf(ctx->arena, "flotilla:%s:%s", pool->cell, identity);
    TRY(session_enter(ctx, pool, &pg->admin));
    struct pg_rows rows;
    int rc = session_query(ctx, CALL_PG_LOCK, pg->admin,
                           "SELECT pg_advisory_lock(hashtextextended($1, 0))", 1, &identity, &rows);
    if (rc == -ERR_CONFLICT)
        rc = err_set(ctx, ERR_UNAVAILABLE, "IdentityLocked", "somebody else works on '%s' for long",
                     pg->name);
    if (rc < 0) {
        session_leave(pool, pg->admin);
        return rc;
    }
    *ret = pg;
    return 0;
}

void postgres_end(struct postgres *pg)
{
    if (pg && pg->admin)
        session_leave(pg->pool, pg->admin);
}

int postgres_changes(const struct postgres *pg)
{
    return pg->changes;
}

/* One row, whatever is there. A database without an ACL of its own has the default one, which lets
 * everybody in. */
static const char observe_sql[] =
    "SELECT r.oid IS NOT NULL AS role, shobj_description(r.oid, 'pg_authid') AS role_mark,"
    " r.rolcanlogin, r.rolconnlimit,"
    " r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls"
    "  AS powers,"
    " pg_has_role(current_user, r.oid, 'USAGE') AS member,"
    " d.oid IS NOT NULL AS database, shobj_description(d.oid, 'pg_database') AS database_mark,"
    " d.datallowconn, d.datconnlimit, pg_get_userbyid(d.datdba) = current_user AS owned,"
    " (SELECT string_agg(a.privilege_type, ',') FROM aclexplode(d.datacl) a"
    "  WHERE a.grantee = r.oid) AS grants,"
    " (SELECT string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC'"
    "   ELSE a.grantee::regrole::text END, ', ')"
    "  FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a"
    "  WHERE a.grantee <> d.datdba AND a.grantee IS DISTINCT FROM r.oid) AS strangers,"
    " (SELECT count(*) FROM pg_stat_activity s WHERE s.usesysid = r.oid) AS sessions,"
    " (SELECT count(*) FROM pg_stat_activity s"
    "  WHERE s.datid = d.oid AND s.usesysid IS NOT NULL) AS visitors,"
    " floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms"
    " FROM (VALUES ($1::name)) want(name)"
    " LEFT JOIN pg_roles r ON r.rolname = want.name"
    " LEFT JOIN pg_database d ON d.datname = want.name";

static bool is_true(const struct pg_rows *rows, const char *column)
{
    return str_equal(pg_field(rows, 0, column), "t");
}

static int number(const struct pg_rows *rows, const char *column)
{
    const char *text = pg_field(rows, 0, column);
    return text ? (int)strtol(text, NULL, 10) : 0;
}

/*
 * CREATE DATABASE cannot share a transaction with COMMENT, so a crash between the two leaves a
 * database without a mark. It is ours if all of this holds: it has exactly our name; the role of
 * that name carries our mark (role and mark are one transaction, made before); we hold the
 * identity's lock, so that nobody of us is between the two now; our administrator owns it; it takes
 * no connections, has limit 0 and no session, as we make it and nobody else would; it has no
 * comment at all. Such a database has never let anyone in, so it cannot hold data of anybody.
 */
static bool adoptable(const struct pg_rows *rows, const struct postgres_state *state)
{
    return state->role && !pg_field(rows, 0, "database_mark") && is_true(rows, "owned") &&
           !state->allows_connections && state->database_limit == 0 &&
           number(rows, "visitors") == 0;
}

static int check_marks(struct ctx *ctx, const struct postgres *pg, const struct pg_rows *rows,
                       const struct postgres_state *state)
{
    const char *role_mark = pg_field(rows, 0, "role_mark");
    if (state->role && !str_equal(role_mark, pg->mark))
        return err_set(ctx, ERR_TAKEN, NULL, "role '%s' of pool '%s' %s", pg->name, pg->pool->name,
                       role_mark ? "carries another owner's mark" : "carries no owner mark");
    if (state->database && !state->marked && !adoptable(rows, state))
        return err_set(ctx, ERR_TAKEN, NULL, "database '%s' of pool '%s' does not carry our mark",
                       pg->name, pg->pool->name);
    return 0;
}

int postgres_observe(struct ctx *ctx, struct postgres *pg, struct postgres_state *ret)
{
    struct pg_rows rows;
    TRY(session_query(ctx, CALL_PG_OBSERVE, pg->admin, observe_sql, 1, &pg->name, &rows));
    struct postgres_state state = {
        .role = is_true(&rows, "role"),
        .database = is_true(&rows, "database"),
        .marked = str_equal(pg_field(&rows, 0, "database_mark"), pg->mark),
        .member = is_true(&rows, "member"),
        .can_login = is_true(&rows, "rolcanlogin"),
        .powers = is_true(&rows, "powers"),
        .role_limit = number(&rows, "rolconnlimit"),
        .database_limit = number(&rows, "datconnlimit"),
        .allows_connections = is_true(&rows, "datallowconn"),
        .granted = str_equal(pg_field(&rows, 0, "grants"), "CONNECT"),
        .strangers = pg_field(&rows, 0, "strangers"),
        .sessions = number(&rows, "sessions"),
        .now_ms = strtoll(pg_field(&rows, 0, "now_ms"), NULL, 10),
    };
    TRY(check_marks(ctx, pg, &rows, &state));
    TRY(postgres_turns_observe(ctx, pg, &state));
    *ret = state;
    return 0;
}
