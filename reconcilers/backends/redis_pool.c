/*
 * A pool as a whole: does its administrator log in, whose pool is it, what in it is ours. The owner
 * mark of a pool is the ACL user "flotilla:<cell>": saved like every user, and invisible to
 * tenants.
 */
#include "reconcilers/backends/redis_rules.h"
#include "reconcilers/backends/redis_session.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <limits.h>
#include <string.h>

static const char mark_prefix[] = "flotilla:", user_word[] = "user ";

static int ask(struct ctx *ctx, struct redis_link *link, const struct redis_command *command,
               const struct redis_reply **ret)
{
    return redis_session_read(ctx, CALL_REDIS_POOL_CHECK, link, command, ret);
}

/* ---- facts ---- */

/* The value of "\nname:value\r\n" in INFO's text; NULL: not there. */
static const char *info_of(struct ctx *ctx, const struct redis_reply *info, const char *name)
{
    const char *key = arena_printf(ctx->arena, "\n%s:", name);
    const char *at = strstr(info->text, key);
    if (!at)
        return NULL;
    at += strlen(key);
    return arena_strndup(ctx->arena, at, strcspn(at, "\r\n"));
}

static int read_info(struct ctx *ctx, struct redis_link *link, struct redis_health *health)
{
    const struct redis_reply *info = NULL;
    TRY(ask(ctx, link, &REDIS_COMMAND("INFO"), &info));
    const char *valkey = info_of(ctx, info, "valkey_version");
    const char *policy = info_of(ctx, info, "maxmemory_policy");
    bool bounded = !str_equal(info_of(ctx, info, "maxmemory"), "0");
    health->version = valkey ? valkey : info_of(ctx, info, "redis_version");
    health->evicting = bounded && !str_equal(policy, "noeviction") ? policy : NULL;
    return health->version ? 0 : err_set(ctx, ERR_PROTOCOL, NULL, "INFO tells no version");
}

/* A setting; *ret = NULL where the administrator may not ask, or the server has none such. */
static int read_setting(struct ctx *ctx, struct redis_link *link, const char *name,
                        const char **ret)
{
    const struct redis_reply *pair = NULL;
    int rc = ask(ctx, link, &REDIS_COMMAND("CONFIG", "GET", name), &pair);
    *ret = rc == 0 && pair->count == 2 ? pair->element[1]->text : NULL;
    if (rc != -ERR_DENIED && rc != -ERR_REFUSED)
        return rc;
    err_clear(ctx);
    return 0;
}

static int read_settings(struct ctx *ctx, struct redis_link *link, struct redis_health *health)
{
    const char *databases, *file;
    int64_t count = 0;
    TRY(read_setting(ctx, link, "databases", &databases));
    TRY(read_setting(ctx, link, "aclfile", &file));
    if (databases && str_to_int(databases, 1, INT_MAX, &count))
        health->databases = (int)count;
    if (file) {
        health->acl_persisted = *file;
        return 0;
    }
    /* It does not tell; then saving what is there already does. */
    int rc =
        redis_session_change(ctx, CALL_REDIS_POOL_CHECK, link, &REDIS_COMMAND("ACL", "SAVE"), NULL);
    health->acl_persisted = rc == 0;
    if (rc != -ERR_REFUSED)
        return rc;
    err_clear(ctx);
    return 0;
}

/* Whoever connects is the user `default`, without a password when it has none. */
static int read_default(struct ctx *ctx, struct redis_link *link, struct redis_health *health)
{
    const struct redis_reply *user = NULL;
    TRY(ask(ctx, link, &REDIS_COMMAND("ACL", "GETUSER", "default"), &user));
    const struct redis_reply *flags = redis_rules_field(user, "flags");
    const struct redis_reply *rights = redis_rules_field(user, "commands");
    bool reaches = rights && !str_equal(rights->text, "-@all");
    health->default_open =
        redis_rules_has(flags, "on") && (redis_rules_has(flags, "nopass") || reaches);
    return 0;
}

/* ---- the owner mark ---- */

/* Another's before ours: where both stand, the pool is not ours alone. */
static const char *owner_of(const struct redis_reply *users, const char *cell)
{
    const char *owner = NULL;
    for (int at = 0; at < users->count; at++) {
        const char *name = users->element[at]->text;
        if (!str_starts(name, mark_prefix))
            continue;
        const char *found = name + strlen(mark_prefix);
        if (!owner || !str_equal(found, cell))
            owner = found;
    }
    return owner;
}

static int read_owner(struct ctx *ctx, struct redis_link *link, const char *cell, const char **ret)
{
    const struct redis_reply *users = NULL;
    TRY(ask(ctx, link, &REDIS_COMMAND("ACL", "USERS"), &users));
    *ret = owner_of(users, cell);
    return 0;
}

/* Two first visitors: the one that finds another's mark beside its own takes its own back. */
static int set_owner(struct ctx *ctx, struct redis_link *link, const char *cell, const char **ret)
{
    const char *mark = arena_printf(ctx->arena, "%s%s", mark_prefix, cell);
    const struct redis_command set = REDIS_COMMAND("ACL", "SETUSER", mark, "reset");
    const struct redis_command drop = REDIS_COMMAND("ACL", "DELUSER", mark);
    TRY(redis_session_acl(ctx, CALL_REDIS_POOL_MARK, link, &set, &drop));
    TRY(read_owner(ctx, link, cell, ret));
    if (str_equal(*ret, cell))
        return 0;
    return redis_session_acl(ctx, CALL_REDIS_POOL_MARK, link, &drop, &set);
}

static int check(struct ctx *ctx, const struct redis_pool *pool, struct redis_link *link,
                 struct redis_health *ret)
{
    struct redis_health health = {0};
    TRY(read_info(ctx, link, &health));
    TRY(read_settings(ctx, link, &health));
    TRY(read_default(ctx, link, &health));
    TRY(read_owner(ctx, link, pool->cell, &health.owner));
    if (!health.owner)
        TRY(set_owner(ctx, link, pool->cell, &health.owner));
    health.ours = str_equal(health.owner, pool->cell);
    *ret = health;
    return 0;
}

int redis_check(struct ctx *ctx, const struct redis_pool *pool, struct redis_health *ret)
{
    struct redis_link *link = NULL;
    TRY(redis_session_enter(ctx, pool, &link));
    int rc = check(ctx, pool, link, ret);
    redis_session_leave(pool, link);
    return rc;
}

/* ---- the list ---- */

int redis_list(struct ctx *ctx, const struct redis_pool *pool, json_t **ret)
{
    struct redis_link *link = NULL;
    const struct redis_reply *users = NULL;
    const char *prefix = arena_printf(ctx->arena, "&%s%s:", mark_prefix, pool->cell);
    TRY(redis_session_enter(ctx, pool, &link));
    int rc = redis_session_read(ctx, CALL_REDIS_LIST, link, &REDIS_COMMAND("ACL", "LIST"), &users);
    redis_session_leave(pool, link);
    TRY(rc);
    json_t *list = arena_json(ctx->arena, json_array());
    for (int at = 0; at < users->count; at++) {
        const char *line = users->element[at]->text;
        const char *identity = redis_rules_word(ctx, line, prefix, false);
        if (!identity || !str_starts(line, user_word))
            continue;
        const char *name = line + strlen(user_word);
        json_array_append_new(list, json_pack("{s:s, s:s%, s:s}", "kind", "User", "name", name,
                                              strcspn(name, " "), "identity", identity));
    }
    *ret = list;
    return 0;
}
