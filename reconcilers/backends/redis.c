/*
 * Create, update and remove a registry's user and index. A user is always set whole, by one command
 * that begins with `reset`; what it needs is told by the state that observe() found, so that a
 * converged user costs no write. Closing is one flag and ending the connections, which outlive it.
 */
#include "reconcilers/backends/redis_rules.h"
#include "reconcilers/backends/redis_session.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

enum { END_CONNECTIONS_MS = 5000, END_CONNECTIONS_POLL_MS = 20 };

/* ---- the user ---- */

static int change_user(struct ctx *ctx, struct redis *rd, enum call call,
                       const struct redis_command *command, struct redis_state *state)
{
    const struct redis_command undo = redis_rules_unsaved(ctx, rd->name, rd->mark);
    rd->changes++;
    TRY(redis_session_acl(ctx, call, rd->admin, command, &undo));
    return redis_observe(ctx, rd, state);
}

static int set_user(struct ctx *ctx, struct redis *rd, const struct redis_want *want,
                    struct redis_state *state)
{
    const struct redis_command set = redis_rules_set(ctx, rd->name, rd->mark, rd->index, want);
    return change_user(ctx, rd, CALL_REDIS_USER_SET, &set, state);
}

int redis_create(struct ctx *ctx, struct redis *rd, const struct redis_want *want,
                 struct redis_state *state)
{
    return state->user ? 0 : set_user(ctx, rd, want, state);
}

static int kill_connections(struct ctx *ctx, struct redis *rd, int64_t *ret_ended)
{
    const struct redis_reply *ended = NULL;
    TRY(redis_session_change(ctx, CALL_REDIS_USER_KILL, rd->admin,
                             &REDIS_COMMAND("CLIENT", "KILL", "USER", rd->name), &ended));
    rd->changes += ended->integer > 0;
    *ret_ended = ended->integer;
    return 0;
}

/*
 * The connections of a user that is off. CLIENT KILL tells how many it ended: that it finds none is
 * the reading back.
 */
static int end_connections(struct ctx *ctx, struct redis *rd)
{
    int64_t ended, until = clock_boottime_ms() + END_CONNECTIONS_MS;
    for (;;) {
        TRY(kill_connections(ctx, rd, &ended));
        if (ended == 0)
            return 0;
        if (clock_boottime_ms() >= until)
            return err_set(ctx, ERR_UNAVAILABLE, "SessionsRemain",
                           "the connections of '%s' do not end", rd->name);
        clock_sleep_ms(END_CONNECTIONS_POLL_MS);
    }
}

/* Off first, so that no connection comes back; nothing is removed. */
static int lock_out(struct ctx *ctx, struct redis *rd, struct redis_state *state)
{
    if (!state->user)
        return 0;
    const char *mark = arena_printf(ctx->arena, "&%s", rd->mark);
    if (state->on || state->unsaved)
        TRY(change_user(ctx, rd, CALL_REDIS_USER_SET,
                        &REDIS_COMMAND("ACL", "SETUSER", rd->name, "off", "resetchannels", mark),
                        state));
    if (state->on)
        return err_set(ctx, ERR_REFUSED, "ReadBack", "'%s' may still log in", rd->name);
    return end_connections(ctx, rd);
}

static bool as_wanted(const struct redis_state *state, const struct redis_want *want)
{
    return state->user && state->on && state->rights && redis_rules_passwords(state, want);
}

int redis_update(struct ctx *ctx, struct redis *rd, const struct redis_want *want,
                 struct redis_state *state)
{
    if (!want->open)
        return lock_out(ctx, rd, state);
    if (!want->passwords[0])
        return err_set(ctx, ERR_INTERNAL, NULL, "user '%s' is to be open without a password",
                       rd->name);
    if (!as_wanted(state, want))
        TRY(set_user(ctx, rd, want, state));
    if (!as_wanted(state, want))
        return err_set(ctx, ERR_REFUSED, "ReadBack",
                       "the rights of '%s' read back otherwise than set", rd->name);
    /* A change of passwords ends no connection. Whoever comes after this has a valid one, so that
     * once is enough; a pass that died before it is repeated, for `retires` is the caller's phase.
     */
    int64_t ended;
    if (want->retires)
        TRY(kill_connections(ctx, rd, &ended));
    for (int at = 0; at < REDIS_PASSWORDS_MAX && want->passwords[at]; at++)
        TRY(redis_login(ctx, rd->pool, rd->identity, rd->index, want->passwords[at]));
    return 0;
}

/* ---- logging in as the registry ---- */

static int select_index(struct ctx *ctx, struct redis_link *link, int index)
{
    const char *text = arena_printf(ctx->arena, "%d", index);
    return redis_session_read(ctx, CALL_REDIS_FENCE, link, &REDIS_COMMAND("SELECT", text), NULL);
}

static int must_be_refused(struct ctx *ctx, struct redis_link *link, const char *name, int index)
{
    int rc = select_index(ctx, link, index);
    if (rc == 0)
        return err_set(ctx, ERR_REFUSED, "FenceOpen", "'%s' may select index %d, too", name, index);
    if (rc != -ERR_DENIED)
        return rc;
    err_clear(ctx);
    return 0;
}

static int prove_fence(struct ctx *ctx, struct redis_link *link, const char *name, int index)
{
    TRY(select_index(ctx, link, index));
    TRY(redis_session_read(ctx, CALL_REDIS_FENCE, link, &REDIS_COMMAND("PING"), NULL));
    TRY(must_be_refused(ctx, link, name, index == 1 ? 2 : 1));
    return must_be_refused(ctx, link, name, 0);
}

int redis_login(struct ctx *ctx, const struct redis_pool *pool, const char *identity, int index,
                const char *password)
{
    const char *name = redis_name(ctx, identity);
    struct redis_link *link = NULL;
    int rc = redis_session_open(ctx, CALL_REDIS_LOGIN, pool, name, password, &link);
    if (rc == 0) {
        rc = prove_fence(ctx, link, name, index);
        redis_link_close(link);
    }
    return rc < 0 ? err_wrap(ctx, rc, "log in as '%s'", name) : 0;
}

/* ---- remove ---- */

/*
 * Off and without rights but the one that proves the index to be ours: should an old ACL file ever
 * bring this user back, it can do nothing.
 */
static int disarm(struct ctx *ctx, struct redis *rd, struct redis_state *state)
{
    const char *mark = arena_printf(ctx->arena, "&%s", rd->mark);
    const char *right = arena_printf(ctx->arena, "+select|%d", rd->index);
    return change_user(
        ctx, rd, CALL_REDIS_USER_SET,
        &REDIS_COMMAND("ACL", "SETUSER", rd->name, "reset", "resetchannels", mark, "-@all", right),
        state);
}

/* FLUSHDB empties the selected index. SELECT is a call of its own: refused, nothing follows it. */
static int empty_index(struct ctx *ctx, struct redis *rd, struct redis_state *state)
{
    TRY(redis_observe_neighbours(ctx, rd));
    TRY(redis_session_read(ctx, CALL_REDIS_INDEX_SELECT, rd->admin,
                           &REDIS_COMMAND("SELECT", rd->index_text), NULL));
    rd->changes++;
    TRY(redis_session_change(ctx, CALL_REDIS_INDEX_FLUSH, rd->admin,
                             &REDIS_COMMAND("FLUSHDB", "ASYNC"), NULL));
    TRY(redis_observe(ctx, rd, state));
    if (state->keys > 0)
        return err_set(ctx, ERR_REFUSED, "ReadBack", "index %d still holds keys", rd->index);
    return 0;
}

int redis_remove(struct ctx *ctx, struct redis *rd)
{
    struct redis_state state;
    TRY(redis_observe(ctx, rd, &state));
    if (!state.user)
        return 0;
    TRY(disarm(ctx, rd, &state));
    TRY(end_connections(ctx, rd));
    if (state.keys > 0)
        TRY(empty_index(ctx, rd, &state));
    TRY(change_user(ctx, rd, CALL_REDIS_USER_DROP, &REDIS_COMMAND("ACL", "DELUSER", rd->name),
                    &state));
    if (state.user)
        return err_set(ctx, ERR_REFUSED, "ReadBack", "'%s' is still there after it was dropped",
                       rd->name);
    return 0;
}
