/*
 * The two roles that take turns at logging in, t_<identity>_a and _b. Whoever logs in is the owner,
 * t_<identity>, from the first statement on (`role` set for the role in its database): what it
 * makes belongs to the owner, and the other turn may do with it what this one may. A role whose
 * turn is over is not dropped: it may have made itself owner of something after RESET ROLE.
 */
#include "reconcilers/backends/session.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>

char *postgres_turn_name(struct ctx *ctx, const char *identity, int turn)
{
    return arena_printf(ctx->arena, "t_%s_%c", identity, 'a' + turn);
}

char *postgres_verifier(struct ctx *ctx, const char *identity, const char *password)
{
    unsigned char digest[SHA256_BYTES];
    const char *text = arena_printf(ctx->arena, "%s:%s", identity, password);
    crypto_sha256(text, strlen(text), digest);
    return crypto_scram_verifier(ctx->arena, password, digest);
}

/* ---- observe ---- */

static const char observe_sql[] =
    "SELECT r.oid IS NOT NULL AS role, shobj_description(r.oid, 'pg_authid') AS mark,"
    " r.rolcanlogin, r.rolconnlimit,"
    " r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls"
    "  AS powers,"
    " pg_has_role(current_user, r.oid, 'USAGE') AS member,"
    " pg_has_role(r.oid, o.oid, 'MEMBER') AND EXISTS"
    "  (SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase"
    "   WHERE s.setrole = r.oid AND d.datname = $1 AND s.setconfig @> ARRAY['role=' || $1])"
    "  AS acts,"
    " (SELECT count(*) FROM pg_stat_activity s WHERE s.usesysid = r.oid) AS sessions"
    " FROM (VALUES ('_a'), ('_b')) turn(suffix)"
    " LEFT JOIN pg_roles o ON o.rolname = $1"
    " LEFT JOIN pg_roles r ON r.rolname = $1 || suffix ORDER BY suffix";

static bool is_true(const struct pg_rows *rows, int row, const char *column)
{
    return str_equal(pg_field(rows, row, column), "t");
}

static int number(const struct pg_rows *rows, int row, const char *column)
{
    const char *text = pg_field(rows, row, column);
    return text ? (int)strtol(text, NULL, 10) : 0;
}

int postgres_turns_observe(struct ctx *ctx, struct postgres *pg, struct postgres_state *state)
{
    struct pg_rows rows;
    TRY(session_query(ctx, CALL_PG_OBSERVE, pg->admin, observe_sql, 1, &pg->name, &rows));
    for (int at = 0; at < POSTGRES_TURNS; at++) {
        state->turn[at] = (struct postgres_turn){
            .role = is_true(&rows, at, "role"),
            .member = is_true(&rows, at, "member"),
            .acts = is_true(&rows, at, "acts"),
            .can_login = is_true(&rows, at, "rolcanlogin"),
            .powers = is_true(&rows, at, "powers"),
            .limit = number(&rows, at, "rolconnlimit"),
            .sessions = number(&rows, at, "sessions"),
        };
        if (state->turn[at].role && !str_equal(pg_field(&rows, at, "mark"), pg->mark))
            return err_set(ctx, ERR_TAKEN, NULL, "role '%s' of pool '%s' does not carry our mark",
                           postgres_turn_name(ctx, pg->identity, at), pg->pool->name);
    }
    return 0;
}

/* ---- steps: what is not as wanted, and the statement that makes it so ---- */

struct turn_input {
    struct ctx *ctx;
    struct postgres *pg;
    const struct postgres_want *want;
    const struct postgres_turn *turn;
    const char *password;
    const char *name, *owner; /* quoted */
};

/* Role, mark and membership in one transaction, without LOGIN. */
static const char *make_turn(const struct turn_input *in)
{
    if (in->turn->role)
        return NULL;
    return arena_printf(in->ctx->arena,
                        "CREATE ROLE %s NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
                        " CONNECTION LIMIT %d; COMMENT ON ROLE %s IS %s",
                        in->name, in->want->connection_limit, in->name,
                        pg_literal(in->ctx, in->pg->admin, in->pg->mark));
}

static const char *join_turn(const struct turn_input *in)
{
    if (in->turn->member)
        return NULL;
    return arena_printf(in->ctx->arena, "GRANT %s TO CURRENT_USER", in->name);
}

static const char *act_as_owner(const struct turn_input *in)
{
    if (in->turn->acts)
        return NULL;
    return arena_printf(in->ctx->arena,
                        "GRANT %s TO %s; ALTER ROLE %s IN DATABASE %s SET role TO %s", in->owner,
                        in->name, in->name, in->owner, in->owner);
}

/* Who may not log in yet may know an older password: it is replaced by the same statement. */
static const char *open_turn(const struct turn_input *in)
{
    const struct postgres_turn *turn = in->turn;
    struct ctx *ctx = in->ctx;
    if (turn->can_login && turn->limit == in->want->connection_limit && !turn->powers)
        return NULL;
    const char *verifier =
        pg_literal(ctx, in->pg->admin, postgres_verifier(ctx, in->want->identity, in->password));
    return arena_printf(ctx->arena, "ALTER ROLE %s LOGIN%s CONNECTION LIMIT %d%s%s", in->name,
                        turn->powers ? " NOCREATEDB NOCREATEROLE" : "", in->want->connection_limit,
                        turn->can_login ? "" : " PASSWORD ", turn->can_login ? "" : verifier);
}

static const struct {
    enum call call;
    /* SQL, or NULL when there is nothing to do. */
    const char *(*sql)(const struct turn_input *in);
    const char *why;
} open_steps[] = {
    {CALL_PG_ROLE_CREATE, make_turn, "the role and its mark, in one transaction, without LOGIN"},
    {CALL_PG_ROLE_ALTER, join_turn, "to end its sessions the administrator must be a member"},
    {CALL_PG_ROLE_ALTER, act_as_owner, "a member of the owner, in whose name its sessions are"},
    {CALL_PG_ROLE_ALTER, open_turn, "LOGIN, limit and password; no more powers than needed"},
};

static const char *password_of(const struct postgres_want *want, int turn)
{
    return want->open ? want->turn[turn] : NULL;
}

/* The old one of a rotation stays as it is, as long as it may log in. */
static bool is_left_alone(const struct postgres_want *want, const struct postgres_turn *turn,
                          const char *name)
{
    return turn->can_login && !want->other_is_next && str_equal(want->other, name);
}

int postgres_turns_open(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                        struct postgres_state *state)
{
    for (int at = 0; at < POSTGRES_TURNS; at++) {
        const char *name = postgres_turn_name(ctx, pg->identity, at);
        const struct turn_input in = {
            .ctx = ctx,
            .pg = pg,
            .want = want,
            .turn = &state->turn[at],
            .password = password_of(want, at),
            .name = pg_identifier(ctx, pg->admin, name),
            .owner = pg_identifier(ctx, pg->admin, pg->name),
        };
        if (!in.password || is_left_alone(want, in.turn, name))
            continue;
        for (size_t step = 0; step < ARRAY_SIZE(open_steps); step++) {
            const char *sql = open_steps[step].sql(&in);
            if (!sql)
                continue;
            TRY(session_alter(ctx, open_steps[step].call, pg, sql));
            TRY(postgres_observe(ctx, pg, state));
            if (open_steps[step].sql(&in))
                return err_set(ctx, ERR_REFUSED, "ReadBack", "'%s' read back otherwise than set",
                               name);
        }
    }
    return 0;
}

int postgres_turns_shut(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                        struct postgres_state *state)
{
    for (int at = 0; at < POSTGRES_TURNS; at++) {
        const char *name = postgres_turn_name(ctx, pg->identity, at);
        if (!state->turn[at].can_login || password_of(want, at))
            continue;
        TRY(session_alter(ctx, CALL_PG_ROLE_ALTER, pg,
                          arena_printf(ctx->arena, "ALTER ROLE %s NOLOGIN",
                                       pg_identifier(ctx, pg->admin, name))));
        TRY(postgres_observe(ctx, pg, state));
        if (state->turn[at].can_login)
            return err_set(ctx, ERR_REFUSED, "ReadBack", "'%s' may still log in", name);
    }
    return 0;
}

/* ---- sessions ---- */

static int join_one(struct ctx *ctx, struct postgres *pg, const char *role)
{
    return session_alter(
        ctx, CALL_PG_ROLE_ALTER, pg,
        arena_printf(ctx->arena, "GRANT %s TO CURRENT_USER", pg_identifier(ctx, pg->admin, role)));
}

int postgres_join(struct ctx *ctx, struct postgres *pg, struct postgres_state *state)
{
    int changes = pg->changes;
    if (state->role && !state->member)
        TRY(join_one(ctx, pg, pg->name));
    for (int at = 0; at < POSTGRES_TURNS; at++)
        if (state->turn[at].role && !state->turn[at].member)
            TRY(join_one(ctx, pg, postgres_turn_name(ctx, pg->identity, at)));
    return pg->changes == changes ? 0 : postgres_observe(ctx, pg, state);
}

bool postgres_owner_logs_in(const struct postgres_want *want)
{
    return want->open && want->password;
}

int postgres_sessions_shut(const struct postgres_want *want, const struct postgres_state *state)
{
    int sessions = postgres_owner_logs_in(want) ? 0 : state->sessions;
    for (int at = 0; at < POSTGRES_TURNS; at++)
        sessions += password_of(want, at) ? 0 : state->turn[at].sessions;
    return sessions;
}

/* "{a,b": names of roles, which need no quotes. */
static int terminate(struct ctx *ctx, struct postgres *pg, const char *names)
{
    struct pg_rows rows;
    names = arena_printf(ctx->arena, "%s}", names);
    pg->changes++;
    TRY(ctx_may_write(ctx));
    return session_query(ctx, CALL_PG_TERMINATE, pg->admin,
                         "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                         " WHERE usename = ANY ($1::name[])",
                         1, &names, &rows);
}

int postgres_terminate(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want)
{
    const char *names =
        postgres_owner_logs_in(want) ? "{" : arena_printf(ctx->arena, "{%s", pg->name);
    for (int at = 0; at < POSTGRES_TURNS; at++)
        if (!password_of(want, at))
            names = arena_printf(ctx->arena, "%s%s%s", names, names[1] ? "," : "",
                                 postgres_turn_name(ctx, pg->identity, at));
    return terminate(ctx, pg, names);
}

static int end_above(struct ctx *ctx, struct postgres *pg, const char *role, int sessions,
                     int limit)
{
    const char *values[] = {role, arena_printf(ctx->arena, "%d", limit)};
    struct pg_rows rows;
    if (sessions <= limit)
        return 0;
    pg->changes++;
    TRY(ctx_may_write(ctx));
    return session_query(ctx, CALL_PG_TERMINATE, pg->admin,
                         "SELECT count(pg_terminate_backend(pid)) FROM"
                         " (SELECT pid FROM pg_stat_activity WHERE usename = $1"
                         "  ORDER BY backend_start OFFSET $2::int) surplus",
                         2, values, &rows);
}

int postgres_end_surplus(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                         const struct postgres_state *state)
{
    const int limit = want->connection_limit;
    TRY(end_above(ctx, pg, pg->name, state->sessions, limit));
    for (int at = 0; at < POSTGRES_TURNS; at++)
        TRY(end_above(ctx, pg, postgres_turn_name(ctx, pg->identity, at), state->turn[at].sessions,
                      limit));
    return 0;
}

int postgres_terminate_role(struct ctx *ctx, struct postgres *pg, const char *role)
{
    return terminate(ctx, pg, arena_printf(ctx->arena, "{%s", role));
}
