/*
 * A pool as a whole: does its administrator log in, whose pool is it, what in it is ours. The owner
 * mark of a pool is the single row of flotilla_owner in its maintenance database: a server that two
 * clusters believe to be theirs would hand each slot out twice.
 */
#include "reconcilers/backends/session.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdlib.h>

enum { VERSION_CREATEROLE_BOUNDED = 160000, MARKED_MAX = 200000 };

/* Advisory locks are a database's: who may connect to ours may take them, or never let go. */
static const char facts_sql[] =
    "SELECT current_setting('server_version_num') AS number,"
    " split_part(current_setting('server_version'), ' ', 1) AS version,"
    " current_setting('max_connections')::int"
    "  - current_setting('superuser_reserved_connections')::int"
    "  - coalesce(current_setting('reserved_connections', true), '0')::int AS connections,"
    " rolsuper, rolcreaterole, to_regclass('public.flotilla_owner') IS NOT NULL AS marked,"
    " (SELECT left(string_agg(datname, ', ' ORDER BY datname), 200) FROM pg_database"
    "  WHERE datallowconn AND EXISTS"
    "  (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))"
    "   WHERE grantee = 0 AND privilege_type = 'CONNECT')) AS open_databases,"
    " EXISTS (SELECT FROM pg_database,"
    "  aclexplode(coalesce(datacl, acldefault('d', datdba)))"
    "  WHERE datname = current_database() AND grantee = 0 AND privilege_type = 'CONNECT'"
    "   AND pg_has_role(current_user, datdba, 'USAGE')) AS lends_locks"
    " FROM pg_roles WHERE rolname = current_user";

/* One transaction under a lock of its own: two first visitors must not both win. */
static const char mark_sql[] =
    "SELECT pg_advisory_xact_lock(hashtextextended('flotilla_owner', 0));"
    "CREATE TABLE IF NOT EXISTS public.flotilla_owner"
    " (one boolean PRIMARY KEY DEFAULT true CHECK (one), cell text NOT NULL);"
    "INSERT INTO public.flotilla_owner (cell) VALUES (%s) ON CONFLICT DO NOTHING";

static int owner_of(struct ctx *ctx, struct pg *session, const char **ret)
{
    struct pg_rows rows;
    TRY(session_query(ctx, CALL_PG_POOL_CHECK, session, "SELECT cell FROM public.flotilla_owner", 0,
                      NULL, &rows));
    *ret = rows.rows > 0 ? pg_value(&rows, 0, 0) : NULL;
    return 0;
}

static int check(struct ctx *ctx, const struct postgres_pool *pool, struct pg *session,
                 struct postgres_health *ret)
{
    struct pg_rows rows;
    TRY(session_query(ctx, CALL_PG_POOL_CHECK, session, facts_sql, 0, NULL, &rows));
    bool marked = str_equal(pg_field(&rows, 0, "marked"), "t");
    struct postgres_health health = {
        .version = pg_field(&rows, 0, "version"),
        .connections = strtol(pg_field(&rows, 0, "connections"), NULL, 10),
        .superuser = str_equal(pg_field(&rows, 0, "rolsuper"), "t"),
        .open_databases = pg_field(&rows, 0, "open_databases"),
        .lends_locks = str_equal(pg_field(&rows, 0, "lends_locks"), "t"),
    };
    health.reaches_all =
        str_equal(pg_field(&rows, 0, "rolcreaterole"), "t") &&
        strtol(pg_field(&rows, 0, "number"), NULL, 10) < VERSION_CREATEROLE_BOUNDED;
    if (marked)
        TRY(owner_of(ctx, session, &health.owner));
    if (!health.owner) {
        const char *cell = pg_literal(ctx, session, pool->cell);
        const char *sql = arena_printf(ctx->arena, mark_sql, cell);
        TRY(session_change(ctx, CALL_PG_POOL_CHECK, session, sql));
        TRY(owner_of(ctx, session, &health.owner));
    }
    health.ours = str_equal(health.owner, pool->cell);
    *ret = health;
    return 0;
}

int postgres_check(struct ctx *ctx, const struct postgres_pool *pool, struct postgres_health *ret)
{
    struct pg *session = NULL;
    TRY(session_enter(ctx, pool, &session));
    int rc = check(ctx, pool, session, ret);
    session_leave(pool, session);
    return rc;
}

/* The mark is all that counts for whose it is: a name that looks like ours proves nothing. */
static const char list_sql[] =
    "SELECT kind, name, substr(mark, length($1) + 1) AS identity FROM"
    " (SELECT 'Role' AS kind, rolname AS name, shobj_description(oid, 'pg_authid') AS mark"
    "  FROM pg_roles UNION ALL"
    "  SELECT 'Database', datname, shobj_description(oid, 'pg_database') FROM pg_database) found"
    " WHERE starts_with(mark, $1) ORDER BY kind, name LIMIT 200001";

/* Those that log in in its name carry the owner's mark, too; its name tells them apart. */
static const char *kind_of(struct ctx *ctx, const char *kind, const char *name,
                           const char *identity)
{
    bool role = str_equal(kind, "Role");
    return role && str_equal(name, postgres_name(ctx, identity)) ? "Owner" : kind;
}

int postgres_list(struct ctx *ctx, const struct postgres_pool *pool, json_t **ret)
{
    struct pg *session = NULL;
    struct pg_rows rows;
    const char *prefix = arena_printf(ctx->arena, "flotilla:%s:", pool->cell);
    TRY(session_enter(ctx, pool, &session));
    int rc = session_query(ctx, CALL_PG_OBSERVE, session, list_sql, 1, &prefix, &rows);
    session_leave(pool, session);
    TRY(rc);
    if (rows.rows > MARKED_MAX)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "pool '%s' has more than %d marked objects",
                       pool->name, MARKED_MAX);
    json_t *list = arena_json(ctx->arena, json_array());
    for (int row = 0; row < rows.rows; row++) {
        const char *name = pg_field(&rows, row, "name");
        const char *identity = pg_field(&rows, row, "identity");
        const char *kind = kind_of(ctx, pg_field(&rows, row, "kind"), name, identity);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s}", "kind", kind, "name", name, "identity", identity));
    }
    *ret = list;
    return 0;
}
