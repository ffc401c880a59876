/*
 * What a hop to another version of Harbor needs of a database: its schema's version, that nobody is
 * in it, a dump, and a fresh one in its place. Dump and restore log in as the registry: what stands
 * in a tenant's database (functions of an index, of a trigger) never runs with other rights than
 * its own. The fresh database has the final name from its beginning, for pg_hba.conf may let a
 * registry's roles into the one of their name only (docs/adr/0012-version-hops.md).
 */
#include "reconcilers/backends/session.h"

#include "server/adapters/child.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 12, ANSWER_BYTES = 256, ARGUMENT_MAX_BYTES = 2048 };

/* ---- the schema ---- */

static const char tables_sql[] =
    "SELECT count(*) AS tables, count(*) FILTER (WHERE tablename = 'schema_migrations') AS noted,"
    " current_setting('server_version_num')::int / 10000 AS server"
    " FROM pg_tables WHERE schemaname = 'public'";

static const char version_sql[] =
    "SELECT coalesce(max(version), -1)::bigint AS version,"
    " coalesce(bool_or(dirty), false)::boolean AS dirty FROM public.schema_migrations";

static int number(const struct pg_rows *rows, const char *column)
{
    int64_t value = 0;
    return str_to_int(pg_field(rows, 0, column), 0, INT_MAX, &value) ? (int)value : 0;
}

static int read_schema(struct ctx *ctx, struct pg *session, struct postgres_schema *ret)
{
    struct pg_rows rows;
    *ret = (struct postgres_schema){.version = -1};
    TRY(session_query(ctx, CALL_PG_SCHEMA_READ, session, tables_sql, 0, NULL, &rows));
    ret->tables = number(&rows, "tables");
    ret->server = number(&rows, "server");
    if (number(&rows, "noted") == 0)
        return 0;
    TRY(session_query(ctx, CALL_PG_SCHEMA_READ, session, version_sql, 0, NULL, &rows));
    if (!str_to_int(pg_field(&rows, 0, "version"), -1, INT_MAX, &ret->version))
        ret->version = -1;
    ret->dirty = str_equal(pg_field(&rows, 0, "dirty"), "t");
    return 0;
}

int postgres_schema_read(struct ctx *ctx, struct postgres *pg, const struct postgres_login *as,
                         struct postgres_schema *ret)
{
    struct pg *session = NULL;
    TRY(session_open(ctx, CALL_PG_LOGIN,
                     session_conninfo(ctx, pg->pool, pg->name, as->user, as->password), &session));
    int rc = read_schema(ctx, session, ret);
    pg_close(session);
    return rc < 0 ? err_wrap(ctx, rc, "read the schema's version in '%s'", pg->name) : 0;
}

int postgres_quiet(struct ctx *ctx, struct postgres *pg)
{
    const struct postgres_want nobody = {.identity = pg->identity};
    struct postgres_state state;
    TRY(postgres_observe(ctx, pg, &state));
    return postgres_end_sessions(ctx, pg, &nobody, &state);
}

/* ---- the one whose migration failed ---- */

static char *aside_name(struct ctx *ctx, const struct postgres *pg)
{
    return arena_printf(ctx->arena, "%s_failed", pg->name);
}

/* -ERR_TAKEN where it does not carry our mark, which it took along with its old name. */
static int find_aside(struct ctx *ctx, struct postgres *pg, bool *ret)
{
    struct pg_rows rows;
    const char *name = aside_name(ctx, pg);
    TRY(session_query(ctx, CALL_PG_OBSERVE, pg->admin,
                      "SELECT shobj_description(oid, 'pg_database') AS mark FROM pg_database"
                      " WHERE datname = $1",
                      1, &name, &rows));
    *ret = rows.rows > 0;
    if (*ret && !str_equal(pg_field(&rows, 0, "mark"), pg->mark))
        return err_set(ctx, ERR_TAKEN, NULL, "database '%s' of pool '%s' does not carry our mark",
                       name, pg->pool->name);
    return 0;
}

static int drop(struct ctx *ctx, struct postgres *pg, const char *name)
{
    return session_alter(ctx, CALL_PG_DATABASE_ASIDE, pg,
                         arena_printf(ctx->arena, "DROP DATABASE %s WITH (FORCE)",
                                      pg_identifier(ctx, pg->admin, name)));
}

int postgres_set_aside(struct ctx *ctx, struct postgres *pg)
{
    struct postgres_state state;
    bool aside;
    TRY(postgres_observe(ctx, pg, &state));
    TRY(find_aside(ctx, pg, &aside));
    if (!state.database)
        return aside ? 0
                     : err_set(ctx, ERR_TAKEN, "DatabaseLost",
                               "'%s' is gone while its migration was to be taken back", pg->name);
    if (aside)
        return drop(ctx, pg, pg->name);
    return session_alter(ctx, CALL_PG_DATABASE_ASIDE, pg,
                         arena_printf(ctx->arena, "ALTER DATABASE %s RENAME TO %s",
                                      pg_identifier(ctx, pg->admin, pg->name),
                                      pg_identifier(ctx, pg->admin, aside_name(ctx, pg))));
}

int postgres_drop_aside(struct ctx *ctx, struct postgres *pg)
{
    bool aside;
    TRY(find_aside(ctx, pg, &aside));
    return aside ? drop(ctx, pg, aside_name(ctx, pg)) : 0;
}

/* ---- the tools ---- */

static char *program(struct ctx *ctx, const char *tools, const char *name)
{
    return arena_printf(ctx->arena, "%s%s%s", tools, *tools ? "/" : "", name);
}

/* What stands in a password file; every host, for there is one line. */
static char *password_line(struct ctx *ctx, const char *password)
{
    _cleanup_str_ struct str out;
    str_init(&out, ARGUMENT_MAX_BYTES);
    str_add(&out, "*:*:*:*:");
    for (const char *at = password; *at; at++) {
        if (*at == ':' || *at == '\\')
            str_add(&out, "\\");
        str_add_bytes(&out, at, 1);
    }
    str_add(&out, "\n");
    return arena_strdup(ctx->arena, str_text(&out));
}

static int start_tool(struct ctx *ctx, enum call call, struct postgres *pg,
                      const struct postgres_login *as, struct child_options options,
                      const char *const *arguments, struct child **ret)
{
    const struct postgres_pool *pool = pg->pool;
    const char *all[ARGUMENTS_MAX + 1] = {NULL};
    size_t count = 0;
    while (arguments[count]) {
        all[count] = arguments[count];
        count++;
    }
    all[count++] = "--no-password";
    all[count++] = arena_printf(ctx->arena, "--role=%s", pg->name);
    all[count++] = arena_printf(ctx->arena,
                                "--dbname=host='%s' port=%d dbname='%s' user='%s' sslmode='%s' "
                                "passfile='" CHILD_SECRET_PATH "' connect_timeout=10 "
                                "application_name=flotilla",
                                pool->host, pool->port, pg->name, as->user, pool->ssl_mode);
    options.arguments = all;
    options.secret = password_line(ctx, as->password);
    TRY(FAILPOINT_BEFORE(ctx, call));
    TRY(ctx_may_write(ctx));
    int rc = child_start(ctx, &options, ret);
    metric_add(METRIC_EXTERNAL_CALLS, 1, call_row(call)->name, rc == 0 ? "ok" : ctx->err.reason);
    return rc;
}

int postgres_dump_start(struct ctx *ctx, struct postgres *pg, const struct postgres_login *as,
                        const char *tools, struct child **ret)
{
    static const char *const arguments[] = {"--format=custom", "--no-owner", "--no-privileges",
                                            "--no-comments", NULL};
    const struct child_options options = {.program = program(ctx, tools, "pg_dump")};
    return start_tool(ctx, CALL_PG_DUMP, pg, as, options, arguments, ret);
}

int postgres_restore_start(struct ctx *ctx, struct postgres *pg, const struct postgres_login *as,
                           const char *tools, struct child **ret)
{
    static const char *const arguments[] = {"--exit-on-error", "--single-transaction", "--no-owner",
                                            "--no-privileges", NULL};
    const struct child_options options = {.program = program(ctx, tools, "pg_restore"),
                                          .fed = true};
    return start_tool(ctx, CALL_PG_RESTORE, pg, as, options, arguments, ret);
}

/* "pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)" */
static int version_told(struct ctx *ctx, const char *path)
{
    static const char *const arguments[] = {"--version", NULL};
    const struct child_options options = {.program = path, .arguments = arguments};
    _cleanup_child_ struct child *child = NULL;
    char answer[ANSWER_BYTES];
    size_t bytes;
    TRY(child_start(ctx, &options, &child));
    TRY(child_read(ctx, child, answer, sizeof answer - 1, &bytes));
    TRY(child_finish(ctx, child));
    answer[bytes] = '\0';
    const char *behind = strstr(answer, ") ");
    return behind ? (int)strtol(behind + 2, NULL, 10) : 0;
}

int postgres_tools_check(struct ctx *ctx, const char *tools, int server)
{
    static const char *const names[] = {"pg_dump", "pg_restore"};
    for (size_t at = 0; at < ARRAY_SIZE(names); at++) {
        const char *path = program(ctx, tools, names[at]);
        int version = version_told(ctx, path);
        if (version < 0)
            return err_set(ctx, ERR_CONFIG, "DumpToolMissing",
                           "%s, which dumps a database before a hop, cannot be run: give "
                           "--postgres-tools",
                           path);
        if (version < server)
            return err_set(ctx, ERR_CONFIG, "DumpToolMissing",
                           "%s is of PostgreSQL %d and cannot dump a server of %d", path, version,
                           server);
    }
    return 0;
}
