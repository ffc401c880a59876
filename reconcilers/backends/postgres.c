/*
 * Create and update a registry's role and database. A database is made closed (no
 * connections, limit 0) and opened only when its rights are set and read back; the role is made
 * without LOGIN and gets it last. Closing is one flag: NOLOGIN, then its sessions are ended. What a
 * step needs is read from the state that observe() found, so that a converged pair costs no write.
 */
#include "reconcilers/backends/gate.h"
#include "reconcilers/backends/session.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <string.h>

enum {
    ADMIN_CONNECTIONS = 5, /* of the database's limit, above the role's: ours */
    END_SESSIONS_MS = 5000,
    END_SESSIONS_POLL_MS = 50,
};

/* ---- steps: what is not as wanted, and the statement that makes it so ---- */

struct step_input {
    struct ctx *ctx;
    struct postgres *pg;
    const struct postgres_want *want;
    const struct postgres_state *state;
    const char *name; /* quoted */
    const char *mark; /* quoted */
};

struct step {
    enum call call;
    /* SQL, or NULL when there is nothing to do. */
    const char *(*sql)(const struct step_input *in);
    const char *why;
};

static const char *make_role(const struct step_input *in)
{
    const struct postgres_want *want = in->want;
    struct ctx *ctx = in->ctx;
    if (in->state->role)
        return NULL;
    const char *password =
        want->password
            ? pg_literal(ctx, in->pg->admin, postgres_verifier(ctx, want->identity, want->password))
            : "NULL";
    return arena_printf(ctx->arena,
                        "CREATE ROLE %s NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
                        " CONNECTION LIMIT %d PASSWORD %s; COMMENT ON ROLE %s IS %s",
                        in->name, want->connection_limit, password, in->name, in->mark);
}

static const char *join_role(const struct step_input *in)
{
    if (in->state->member || !in->state->role)
        return NULL;
    return arena_printf(in->ctx->arena, "GRANT %s TO CURRENT_USER", in->name);
}

static const char *make_database(const struct step_input *in)
{
    if (in->state->database)
        return NULL;
    return arena_printf(in->ctx->arena,
                        "CREATE DATABASE %s TEMPLATE template0 ALLOW_CONNECTIONS false"
                        " CONNECTION LIMIT 0",
                        in->name);
}

static const char *mark_database(const struct step_input *in)
{
    if (in->state->marked)
        return NULL;
    return arena_printf(in->ctx->arena, "COMMENT ON DATABASE %s IS %s", in->name, in->mark);
}

static const char *shut_strangers_out(const struct step_input *in)
{
    if (!in->state->strangers)
        return NULL;
    return arena_printf(in->ctx->arena, "REVOKE ALL ON DATABASE %s FROM %s", in->name,
                        in->state->strangers);
}

static const char *grant_connect(const struct step_input *in)
{
    if (in->state->granted)
        return NULL;
    return arena_printf(in->ctx->arena,
                        "REVOKE ALL ON DATABASE %s FROM %s; GRANT CONNECT ON DATABASE %s TO %s",
                        in->name, in->name, in->name, in->name);
}

/* Each role that logs in has its own limit: pods of before must not keep those of after out. */
static int database_limit(const struct postgres_want *want)
{
    int logins = want->password ? 1 : 0;
    for (int at = 0; at < POSTGRES_TURNS; at++)
        logins += want->turn[at] ? 1 : 0;
    return (logins > 1 ? logins : 1) * want->connection_limit + ADMIN_CONNECTIONS;
}

static const char *open_database(const struct step_input *in)
{
    if (in->state->allows_connections && in->state->database_limit == database_limit(in->want))
        return NULL;
    return arena_printf(in->ctx->arena,
                        "ALTER DATABASE %s WITH ALLOW_CONNECTIONS true CONNECTION LIMIT %d",
                        in->name, database_limit(in->want));
}

static const char *set_role(const struct step_input *in)
{
    const struct postgres_state *state = in->state;
    if (state->can_login == postgres_owner_logs_in(in->want) &&
        state->role_limit == in->want->connection_limit && !state->powers)
        return NULL;
    return arena_printf(in->ctx->arena, "ALTER ROLE %s %s%s CONNECTION LIMIT %d", in->name,
                        postgres_owner_logs_in(in->want) ? "LOGIN" : "NOLOGIN",
                        state->powers ? " NOCREATEDB NOCREATEROLE" : "",
                        in->want->connection_limit);
}

/* Each list ends at a row without sql. */
static const struct step create_steps[] = {
    {CALL_PG_ROLE_CREATE, make_role, "the role and its mark, in one transaction, without LOGIN"},
    {CALL_PG_ROLE_ALTER, join_role,
     "to end the role's sessions the administrator must be a member"},
    {CALL_PG_DATABASE_CREATE, make_database, "closed: rights are not copied from a template"},
    {CALL_PG_DATABASE_ALTER, mark_database, "the mark; see adoptable() for a crash before it"},
    {0},
};
static const struct step right_steps[] = {
    {CALL_PG_DATABASE_ALTER, shut_strangers_out, "PUBLIC may connect by default"},
    {CALL_PG_DATABASE_ALTER, grant_connect, "the role may connect, and nothing else"},
    {0},
};
static const struct step open_steps[] = {
    {CALL_PG_DATABASE_ALTER, open_database, "its rights are set: let sessions in"},
    {0},
};
static const struct step role_steps[] = {
    {CALL_PG_ROLE_ALTER, set_role, "LOGIN or NOLOGIN, the limit, no more powers than needed"},
    {0},
};
/* Runs what is needed; the state is read again after each change. */
static int run_steps(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                     struct postgres_state *state, const struct step *steps)
{
    const struct step_input in = {
        .ctx = ctx,
        .pg = pg,
        .want = want,
        .state = state,
        .name = pg_identifier(ctx, pg->admin, pg->name),
        .mark = pg_literal(ctx, pg->admin, pg->mark),
    };
    for (const struct step *step = steps; step->sql; step++) {
        const char *sql = step->sql(&in);
        if (!sql)
            continue;
        TRY(session_alter(ctx, step->call, pg, sql));
        TRY(postgres_observe(ctx, pg, state));
    }
    return 0;
}

int postgres_create(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                    struct postgres_state *state)
{
    return run_steps(ctx, pg, want, state, create_steps);
}

/* ---- inside the registry's database ---- */

struct credential {
    const char *user, *password;
};

/* What a role itself sees after it logged in. */
struct inside {
    bool granted;          /* USAGE and CREATE on the schema, as the owner */
    const char *strangers; /* others with rights on it */
};

static const char inside_sql[] =
    "SELECT has_schema_privilege('public', 'USAGE') AND has_schema_privilege('public', 'CREATE')"
    "  AND current_user = current_database() AS granted,"
    " (SELECT string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC'"
    "   ELSE a.grantee::regrole::text END, ', ')"
    "  FROM pg_namespace n,"
    "   aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a"
    "  WHERE n.nspname = 'public' AND a.grantee <> n.nspowner"
    "   AND pg_get_userbyid(a.grantee) <> current_user) AS strangers";

int postgres_lives(struct ctx *ctx, struct postgres *pg)
{
    struct pg_rows rows;
    return session_query(ctx, CALL_PG_LOCK, pg->admin, "SELECT 1", 0, NULL, &rows);
}

/* The session to the registry's database is a second one: it does not hold the lock. */
static int grant_schema(struct ctx *ctx, struct postgres *pg, const char *strangers)
{
    const struct postgres_pool *pool = pg->pool;
    struct pg *session = NULL;
    TRY(session_open(ctx, CALL_PG_CONNECT,
                     session_conninfo(ctx, pool, pg->name, pool->user, pool->password), &session));
    pg->changes++;
    int rc = postgres_lives(ctx, pg);
    if (rc == 0)
        rc = session_change(ctx, CALL_PG_SCHEMA_GRANT, session,
                            arena_printf(ctx->arena,
                                         "REVOKE ALL ON SCHEMA public FROM %s;"
                                         " GRANT USAGE, CREATE ON SCHEMA public TO %s",
                                         strangers ? strangers : "PUBLIC",
                                         pg_identifier(ctx, pg->admin, pg->name)));
    pg_close(session);
    return rc;
}

/*
 * A role at its connection limit is refused after its password was found right: for us that is a
 * login. What it would have seen inside cannot be told then and is taken as it should be.
 */
static bool refused_for_limit(const struct ctx *ctx)
{
    return strstr(ctx->err.message, "too many connections for role ") != NULL;
}

/* SQLSTATE 28P01, which libpq does not tell of a connection that failed. No other password helps
 * against other refusals, such as pg_hba's. */
static bool refused_for_password(const struct ctx *ctx, int rc)
{
    return rc == -ERR_DENIED && strstr(ctx->err.message, "password authentication failed") != NULL;
}

static int look_inside(struct ctx *ctx, struct postgres *pg, const struct credential *as,
                       struct inside *ret)
{
    struct pg *session = NULL;
    struct pg_rows rows;
    int rc =
        session_open(ctx, CALL_PG_LOGIN,
                     session_conninfo(ctx, pg->pool, pg->name, as->user, as->password), &session);
    if (rc < 0 && refused_for_limit(ctx)) {
        err_clear(ctx);
        *ret = (struct inside){.granted = true};
        return 0;
    }
    TRY(rc);
    rc = pg_query(ctx, session, inside_sql, 0, NULL, &rows);
    pg_close(session);
    TRY(rc);
    ret->granted = str_equal(pg_field(&rows, 0, "granted"), "t");
    ret->strangers = pg_field(&rows, 0, "strangers");
    return 0;
}

/* As in set_roles(): a role that is at work on itself loses its sessions right before. */
static int set_password(struct ctx *ctx, struct postgres *pg, const struct credential *as,
                        struct postgres_state *state)
{
    const char *verifier = postgres_verifier(ctx, pg->identity, as->password);
    const char *sql =
        arena_printf(ctx->arena, "ALTER ROLE %s PASSWORD %s",
                     pg_identifier(ctx, pg->admin, as->user), pg_literal(ctx, pg->admin, verifier));
    int rc = session_alter(ctx, CALL_PG_ROLE_ALTER, pg, sql);
    if (rc != -ERR_CONFLICT && rc != -ERR_REFUSED)
        return rc;
    log_failure(ctx, arena_printf(ctx->arena, "ending the sessions of '%s' first", as->user));
    err_clear(ctx);
    TRY(postgres_join(ctx, pg, state));
    TRY(postgres_terminate_role(ctx, pg, as->user));
    return session_alter(ctx, CALL_PG_ROLE_ALTER, pg, sql);
}

/* Logs in as the registry does; repairs password and schema rights once each. */
static int prove_login(struct ctx *ctx, struct postgres *pg, const struct credential *as,
                       struct postgres_state *state)
{
    struct inside inside = {0};
    int rc = look_inside(ctx, pg, as, &inside);
    if (refused_for_password(ctx, rc)) {
        err_clear(ctx);
        TRY(set_password(ctx, pg, as, state));
        rc = look_inside(ctx, pg, as, &inside);
    }
    if (rc == 0 && (!inside.granted || inside.strangers)) {
        TRY(grant_schema(ctx, pg, inside.strangers));
        rc = look_inside(ctx, pg, as, &inside);
    }
    if (rc < 0)
        return err_wrap(ctx, rc, "log in to '%s' as '%s'", pg->name, as->user);
    if (!inside.granted || inside.strangers)
        return err_set(ctx, ERR_REFUSED, "ReadBack",
                       "the rights on schema public of '%s' are not as granted", pg->name);
    return 0;
}

/*
 * Each role that logs in. Where there are two, one is enough: the next one of a rotation when it is
 * proved, for whoever holds the login in use must not keep it from being replaced, and else the one
 * in use. So the next one is tried first.
 */
static int prove_logins(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                        struct postgres_state *state)
{
    const struct credential all[] = {
        {pg->name, want->password},
        {postgres_turn_name(ctx, pg->identity, 0), want->turn[0]},
        {postgres_turn_name(ctx, pg->identity, 1), want->turn[1]},
    };
    const char *unproved = NULL, *spoilt = NULL;
    bool next = want->other && want->other_is_next;
    for (size_t at = 0; next && at < ARRAY_SIZE(all); at++)
        if (all[at].password && str_equal(all[at].user, want->other))
            TRY(backend_hold_back(ctx, prove_login(ctx, pg, &all[at], state), &unproved));
    for (size_t at = 0; at < ARRAY_SIZE(all); at++) {
        if (!all[at].password || str_equal(all[at].user, want->other))
            continue;
        int rc = prove_login(ctx, pg, &all[at], state);
        TRY(next && !unproved ? backend_hold_back(ctx, rc, &spoilt) : rc);
    }
    state->unproved = unproved;
    return 0;
}

/* ---- update ---- */

/* What was set must be what is read: a GRANT without effect is only a warning to PostgreSQL. */
static int read_back(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                     const struct postgres_state *state)
{
    const struct {
        bool holds;
        const char *what;
    } facts[] = {
        {state->can_login == postgres_owner_logs_in(want), "LOGIN"},
        {!state->powers, "the role's attributes"},
        {state->role_limit == want->connection_limit, "the role's connection limit"},
        {state->granted, "the right to connect"},
        {!state->strangers, "rights of others on the database"},
        {state->allows_connections, "ALLOW_CONNECTIONS"},
        {state->database_limit == database_limit(want), "the database's connection limit"},
    };
    for (size_t at = 0; at < ARRAY_SIZE(facts); at++)
        if (!facts[at].holds)
            return err_set(ctx, ERR_REFUSED, "ReadBack", "%s of '%s' read back otherwise than set",
                           facts[at].what, pg->name);
    return 0;
}

int postgres_end_sessions(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                          struct postgres_state *state)
{
    int64_t until = clock_boottime_ms() + END_SESSIONS_MS;
    if (postgres_sessions_shut(want, state) > 0)
        TRY(postgres_join(ctx, pg, state));
    while (postgres_sessions_shut(want, state) > 0) {
        if (clock_boottime_ms() >= until)
            return err_set(ctx, ERR_UNAVAILABLE, "SessionsRemain", "%d sessions of '%s' do not end",
                           postgres_sessions_shut(want, state), pg->name);
        TRY(postgres_terminate(ctx, pg, want));
        clock_sleep_ms(END_SESSIONS_POLL_MS);
        TRY(postgres_observe(ctx, pg, state));
    }
    return 0;
}

/* The owner as wanted, and NOLOGIN for a role whose turn is over. */
static int try_roles(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                     struct postgres_state *state)
{
    if (state->role)
        TRY(run_steps(ctx, pg, want, state, role_steps));
    return postgres_turns_shut(ctx, pg, want, state);
}

/*
 * A role may alter itself (its password, its settings). One that does so in a transaction which it
 * leaves open, or again and again, keeps our change out (55P03, or XX000: updated concurrently),
 * and with it its closing. Then its sessions are ended right before, and ours waits first in the
 * row's queue.
 */
static int set_roles(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                     struct postgres_state *state)
{
    int rc = try_roles(ctx, pg, want, state);
    if ((rc != -ERR_CONFLICT && rc != -ERR_REFUSED) || postgres_sessions_shut(want, state) == 0)
        return rc;
    log_failure(ctx, arena_printf(ctx->arena, "ending the sessions of '%s' first", pg->name));
    err_clear(ctx);
    TRY(postgres_join(ctx, pg, state));
    TRY(postgres_terminate(ctx, pg, want));
    return try_roles(ctx, pg, want, state);
}

/* NOLOGIN first, so that no session comes back; nothing is removed. */
static int lock_out(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                    struct postgres_state *state)
{
    TRY(set_roles(ctx, pg, want, state));
    TRY(postgres_end_sessions(ctx, pg, want, state));
    if (state->can_login)
        return err_set(ctx, ERR_REFUSED, "ReadBack", "'%s' may still log in", pg->name);
    /* The limit is the plan's here, too: what stands there in the end must not tell in which order
     * plan and lifecycle were changed. A database that was never opened stays shut. */
    return state->allows_connections ? run_steps(ctx, pg, want, state, open_steps) : 0;
}

int postgres_update(struct ctx *ctx, struct postgres *pg, const struct postgres_want *want,
                    struct postgres_state *state)
{
    if (!want->open)
        return lock_out(ctx, pg, want, state);
    bool opened_before = state->allows_connections;
    TRY(run_steps(ctx, pg, want, state, right_steps));
    TRY(run_steps(ctx, pg, want, state, open_steps));
    if (!opened_before)
        TRY(grant_schema(ctx, pg, NULL));
    TRY(set_roles(ctx, pg, want, state));
    TRY(postgres_end_sessions(ctx, pg, want, state));
    TRY(postgres_turns_open(ctx, pg, want, state));
    TRY(postgres_end_surplus(ctx, pg, want, state));
    TRY(prove_logins(ctx, pg, want, state));
    return read_back(ctx, pg, want, state);
}
