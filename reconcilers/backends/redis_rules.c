/*
 * See redis_rules.h. What a server tells of a user is not what was asked for: it may fold commands
 * into a category with exceptions (7.0 shows ten of ours as "+@hash -hvals ..."), each release in
 * its own way. So nothing here interprets rules; two users of one server are compared by its words.
 */
#include "reconcilers/backends/redis_rules.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <string.h>

/*
 * Everything that Harbor's processes were seen to call, and a few that its job library can
 * (persist, decrby, incrby, zscore, lrange, scard). Not among them: KEYS, INFO, CONFIG, CLIENT,
 * MOVE, COPY, SWAPDB, FLUSH*, SORT, SCRIPT, publish and subscribe.
 */
static const char *const commands[] = {
    "+auth",      "+hello",    "+ping",          "+get",       "+set",
    "+del",       "+exists",   "+expire",        "+incr",      "+decr",
    "+scan",      "+rename",   "+hget",          "+hset",      "+hsetnx",
    "+hmget",     "+hmset",    "+hgetall",       "+hdel",      "+hincrby",
    "+hscan",     "+sadd",     "+srem",          "+spop",      "+lpush",
    "+lrem",      "+llen",     "+rpoplpush",     "+zadd",      "+zrem",
    "+zcard",     "+zrange",   "+multi",         "+exec",      "+discard",
    "+watch",     "+unwatch",  "+eval",          "+evalsha",   "+persist",
    "+decrby",    "+incrby",   "+zscore",        "+lrange",    "+scard",
    "+sismember", "+smembers", "+zrangebyscore", "+zrevrange", "+zremrangebyscore",
};

enum { WORDS_MAX = ARRAY_SIZE(commands) + 12 + REDIS_PASSWORDS_MAX };

static const char *hash_of(struct ctx *ctx, const char *password)
{
    char hex[SHA256_HEX_BYTES];
    crypto_sha256_hex(password, strlen(password), hex);
    return arena_printf(ctx->arena, "#%s", hex);
}

/* `reset` first: rules only add. The hash of a password goes over the wire, never the password. */
struct redis_command redis_rules_set(struct ctx *ctx, const char *user, const char *mark, int index,
                                     const struct redis_want *want)
{
    const char **argv = arena_alloc(ctx->arena, WORDS_MAX * sizeof *argv);
    int argc = 0;
    argv[argc++] = "ACL";
    argv[argc++] = "SETUSER";
    argv[argc++] = user;
    argv[argc++] = "reset";
    argv[argc++] = want && want->open ? "on" : "off";
    for (int at = 0; want && at < REDIS_PASSWORDS_MAX && want->passwords[at]; at++)
        argv[argc++] = hash_of(ctx, want->passwords[at]);
    argv[argc++] = "resetchannels";
    argv[argc++] = arena_printf(ctx->arena, "&%s", mark);
    argv[argc++] = "~*";
    argv[argc++] = "-@all";
    for (size_t at = 0; at < ARRAY_SIZE(commands); at++)
        argv[argc++] = commands[at];
    argv[argc++] = "-select";
    argv[argc++] = arena_printf(ctx->arena, "+select|%d", index);
    return (struct redis_command){.argc = argc, .argv = argv};
}

static const char unsaved[] = "&flotilla:unsaved";

struct redis_command redis_rules_unsaved(struct ctx *ctx, const char *user, const char *mark)
{
    const char *const words[] = {
        "ACL", "SETUSER", user, arena_printf(ctx->arena, "&%s", mark), unsaved,
    };
    const char **argv = arena_alloc(ctx->arena, sizeof words);
    memcpy(argv, words, sizeof words);
    return (struct redis_command){.argc = ARRAY_SIZE(words), .argv = argv};
}

bool redis_rules_is_unsaved(const struct redis_reply *user)
{
    return redis_rules_has(redis_rules_field(user, "channels"), unsaved);
}

const struct redis_reply *redis_rules_field(const struct redis_reply *user, const char *name)
{
    for (int at = 0; at + 1 < user->count; at += 2)
        if (str_equal(user->element[at]->text, name))
            return user->element[at + 1];
    return NULL;
}

static bool text_has(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; *at; at += strspn(at, " ")) {
        size_t here = strcspn(at, " ");
        if (here == length && strncmp(at, word, length) == 0)
            return true;
        at += here;
    }
    return false;
}

bool redis_rules_has(const struct redis_reply *words, const char *word)
{
    if (!words)
        return false;
    for (int at = 0; at < words->count; at++)
        if (str_equal(words->element[at]->text, word))
            return true;
    return words->type == REDIS_TEXT && text_has(words->text, word);
}

static bool equal(const struct redis_reply *a, const struct redis_reply *b)
{
    if (a->type != b->type || a->integer != b->integer || a->count != b->count ||
        a->bytes != b->bytes || memcmp(a->text, b->text, a->bytes) != 0)
        return false;
    for (int at = 0; at < a->count; at++)
        if (!equal(a->element[at], b->element[at]))
            return false;
    return true;
}

/* Each flag of `a` but on and off is one of `b`, too. */
static bool flags_within(const struct redis_reply *a, const struct redis_reply *b)
{
    for (int at = 0; at < a->count; at++) {
        const char *flag = a->element[at]->text;
        if (!str_equal(flag, "on") && !str_equal(flag, "off") && !redis_rules_has(b, flag))
            return false;
    }
    return true;
}

/* Fields that we do not know count: a later release may grant something by them. */
bool redis_rules_same(const struct redis_reply *user, const struct redis_reply *other)
{
    if (user->count != other->count)
        return false;
    for (int at = 0; at + 1 < user->count; at += 2) {
        const char *name = user->element[at]->text;
        const struct redis_reply *mine = user->element[at + 1];
        const struct redis_reply *theirs = redis_rules_field(other, name);
        if (str_equal(name, "passwords"))
            continue;
        if (!theirs)
            return false;
        bool same = str_equal(name, "flags")
                        ? flags_within(mine, theirs) && flags_within(theirs, mine)
                        : equal(mine, theirs);
        if (!same)
            return false;
    }
    return true;
}

bool redis_rules_passwords(const struct redis_state *state, const struct redis_want *want)
{
    int wanted = 0;
    for (; wanted < REDIS_PASSWORDS_MAX && want->passwords[wanted]; wanted++) {
        char hex[SHA256_HEX_BYTES];
        int at = 0;
        crypto_sha256_hex(want->passwords[wanted], strlen(want->passwords[wanted]), hex);
        while (at < state->passwords && !str_equal(state->password[at], hex))
            at++;
        if (at == state->passwords)
            return false;
    }
    return state->passwords == wanted;
}

const char *redis_rules_word(struct ctx *ctx, const char *line, const char *prefix, bool exact)
{
    size_t length = strlen(prefix);
    for (const char *at = line; *at; at += strspn(at, " ()")) {
        size_t here = strcspn(at, " ()");
        if (here >= length && strncmp(at, prefix, length) == 0 && (!exact || here == length))
            return arena_strndup(ctx->arena, at + length, here - length);
        at += here;
    }
    return NULL;
}
