/*
 * Observe, and whose it is. Everything that decides ownership of a registry's user and index is in
 * this file.
 */
#include "reconcilers/backends/redis_rules.h"
#include "reconcilers/backends/redis_session.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

/* Lives inside a transaction only. */
static const char yardstick[] = "flotilla-yardstick";

char *redis_name(struct ctx *ctx, const char *identity)
{
    return arena_printf(ctx->arena, "t_%s", identity);
}

int redis_begin(struct ctx *ctx, const struct redis_pool *pool, const char *identity, int index,
                struct redis **ret)
{
    struct redis *rd = arena_alloc(ctx->arena, sizeof *rd);
    if (index < 1)
        return err_set(ctx, ERR_INTERNAL, NULL, "index %d is nobody's", index);
    rd->pool = pool;
    rd->identity = identity;
    rd->name = redis_name(ctx, identity);
    rd->mark = arena_printf(ctx->arena, "flotilla:%s:%s", pool->cell, identity);
    rd->index = index;
    rd->index_text = arena_printf(ctx->arena, "%d", index);
    TRY(redis_session_enter(ctx, pool, &rd->admin));
    *ret = rd;
    return 0;
}

void redis_own_index(struct redis *rd)
{
    rd->own_index = true;
}

void redis_end(struct redis *rd)
{
    if (rd && rd->admin)
        redis_session_leave(rd->pool, rd->admin);
}

int redis_changes(const struct redis *rd)
{
    return rd->changes;
}

/*
 * Somebody else's right to select our index; looked for where the index is about to become ours or
 * to be emptied. Who may select everything (administrators) has no such word, and claims nothing.
 */
int redis_observe_neighbours(struct ctx *ctx, struct redis *rd)
{
    const struct redis_reply *list = NULL;
    const char *right = arena_printf(ctx->arena, "+select|%d", rd->index);
    const char *self = arena_printf(ctx->arena, "user %s ", rd->name);
    TRY(redis_session_read(ctx, CALL_REDIS_OBSERVE, rd->admin, &REDIS_COMMAND("ACL", "LIST"),
                           &list));
    for (int at = 0; at < list->count; at++) {
        const char *line = list->element[at]->text;
        if (!str_starts(line, self) && redis_rules_word(ctx, line, right, true))
            return err_set(ctx, ERR_TAKEN, NULL,
                           "index %d of pool '%s': another user may select it", rd->index,
                           rd->pool->name);
    }
    return 0;
}

/* An index is ours by our user's right; without it, only an empty and unclaimed one is, or one that
 * was ours by the caller's records. */
static int check_owner(struct ctx *ctx, struct redis *rd, bool marked,
                       const struct redis_state *state)
{
    if (state->user && !marked)
        return err_set(ctx, ERR_TAKEN, NULL, "user '%s' of pool '%s' does not carry our mark",
                       rd->name, rd->pool->name);
    if (state->fenced)
        return 0;
    if (state->keys > 0 && !rd->own_index)
        return err_set(ctx, ERR_TAKEN, NULL,
                       "index %d of pool '%s' holds keys, and no user of ours may select it",
                       rd->index, rd->pool->name);
    return redis_observe_neighbours(ctx, rd);
}

static void read_passwords(struct ctx *ctx, const struct redis_reply *user,
                           struct redis_state *state)
{
    const struct redis_reply *list = redis_rules_field(user, "passwords");
    if (!list || !list->count)
        return;
    const char **hashes = arena_alloc(ctx->arena, (size_t)list->count * sizeof *hashes);
    for (int at = 0; at < list->count; at++)
        hashes[at] = list->element[at]->text;
    state->password = hashes;
    state->passwords = list->count;
}

/*
 * One transaction. The yardstick is a user made exactly as ours should be: the server tells both in
 * the same words, however this release folds the rules. It is gone before anybody else's command
 * runs, is off and has no password, and nothing saves it.
 */
int redis_observe(struct ctx *ctx, struct redis *rd, struct redis_state *ret)
{
    const struct redis_command commands[] = {
        redis_rules_set(ctx, yardstick, rd->mark, rd->index, NULL),
        REDIS_COMMAND("ACL", "GETUSER", yardstick),
        REDIS_COMMAND("ACL", "DELUSER", yardstick),
        REDIS_COMMAND("ACL", "GETUSER", rd->name),
        REDIS_COMMAND("SELECT", rd->index_text),
        REDIS_COMMAND("DBSIZE"),
        REDIS_COMMAND("SELECT", "0"),
    };
    const struct redis_reply *replies = NULL;
    TRY(redis_session_snapshot(ctx, CALL_REDIS_OBSERVE, rd->admin, ARRAY_SIZE(commands), commands,
                               &replies));
    const struct redis_reply *wanted = replies->element[1], *user = replies->element[3];
    const struct redis_reply *channels = redis_rules_field(user, "channels");
    const char *right = arena_printf(ctx->arena, "+select|%d", rd->index);
    bool marked = redis_rules_has(channels, arena_printf(ctx->arena, "&%s", rd->mark));
    struct redis_state state = {
        .user = user->type == REDIS_ARRAY,
        .on = redis_rules_has(redis_rules_field(user, "flags"), "on"),
        .rights = redis_rules_same(user, wanted),
        .fenced = marked && redis_rules_has(redis_rules_field(user, "commands"), right),
        .unsaved = redis_rules_is_unsaved(user),
        .keys = replies->element[5]->integer,
    };
    read_passwords(ctx, user, &state);
    TRY(check_owner(ctx, rd, marked, &state));
    *ret = state;
    return 0;
}
