/*
 * The end of a registry's database and roles. A role cannot be dropped while anything depends on
 * it, in any database of the server, and everybody may grant something of his own to any role he
 * can name: what neighbours granted is taken back first, in their databases, or one tenant could
 * keep another's data from ever being purged.
 */
#include "reconcilers/backends/session.h"

#include "server/base/ctx.h"

static const char grantors_sql[] =
    "SELECT DISTINCT d.datname FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid"
    " WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid ="
    " (SELECT r.oid FROM pg_roles r WHERE r.rolname = $1) ORDER BY 1";

/* By DROP OWNED, which takes back what is granted, whoever granted it, and runs nobody's code. */
static int release_in(struct ctx *ctx, struct postgres *pg, const char *database, const char *role)
{
    const struct postgres_pool *pool = pg->pool;
    struct pg *session = NULL;
    int rc =
        session_open(ctx, CALL_PG_CONNECT,
                     session_conninfo(ctx, pool, database, pool->user, pool->password), &session);
    if (rc == 0)
        rc = postgres_lives(ctx, pg);
    if (rc == 0)
        rc = session_change(
            ctx, CALL_PG_ROLE_DROP, session,
            arena_printf(ctx->arena, "DROP OWNED BY %s", pg_identifier(ctx, pg->admin, role)));
    pg_close(session);
    return rc < 0 ? err_wrap(ctx, rc, "take back what was granted to '%s' in database '%s'", role,
                             database)
                  : 0;
}

static int drop_role(struct ctx *ctx, struct postgres *pg, const char *role)
{
    struct pg_rows rows;
    TRY(session_query(ctx, CALL_PG_OBSERVE, pg->admin, grantors_sql, 1, &role, &rows));
    for (int row = 0; row < rows.rows; row++)
        TRY(release_in(ctx, pg, pg_field(&rows, row, "datname"), role));
    return session_alter(
        ctx, CALL_PG_ROLE_DROP, pg,
        arena_printf(ctx->arena, "DROP ROLE %s", pg_identifier(ctx, pg->admin, role)));
}

static bool is_anything_left(const struct postgres_state *state)
{
    bool left = state->role || state->database;
    for (int at = 0; at < POSTGRES_TURNS; at++)
        left |= state->turn[at].role;
    return left;
}

int postgres_remove(struct ctx *ctx, struct postgres *pg)
{
    struct postgres_state state;
    TRY(postgres_observe(ctx, pg, &state));
    TRY(postgres_join(ctx, pg, &state));
    if (state.database)
        TRY(session_alter(ctx, CALL_PG_DATABASE_DROP, pg,
                          arena_printf(ctx->arena, "DROP DATABASE %s WITH (FORCE)",
                                       pg_identifier(ctx, pg->admin, pg->name))));
    TRY(postgres_drop_aside(ctx, pg));
    for (int at = 0; at < POSTGRES_TURNS; at++)
        if (state.turn[at].role)
            TRY(drop_role(ctx, pg, postgres_turn_name(ctx, pg->identity, at)));
    if (state.role)
        TRY(drop_role(ctx, pg, pg->name));
    TRY(postgres_observe(ctx, pg, &state));
    if (is_anything_left(&state))
        return err_set(ctx, ERR_REFUSED, "ReadBack",
                       "something of '%s' is still there after it was dropped", pg->name);
    return 0;
}
