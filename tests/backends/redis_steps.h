/* What tests do with a registry's share of a Redis, and what anybody may see of it. */
#pragma once

#include "tests/backends/redis_server.h"

/* ---- what anybody may see ---- */

static inline char *read_file(struct world *world, const char *path)
{
    char text[65536];
    _cleanup_file_ FILE *file = fopen(path, "r");
    assert_non_null(file);
    return arena_strndup(world->ctx.arena, text, fread(text, 1, sizeof text, file));
}

static inline struct redis_link *log_in_as(struct world *world, const char *user,
                                           const char *password)
{
    const struct transport_target target = {"127.0.0.1", world->pool.port, "disable", NULL};
    struct redis_link *link = NULL;
    assert_int_equal(redis_link_open(&world->ctx, &target, user, password, &link), 0);
    return link;
}

static inline const struct redis_reply *say_to(struct world *world, struct redis_link *link,
                                               const struct redis_command *command)
{
    const struct redis_reply *reply = NULL;
    assert_int_equal(redis_link_call(&world->ctx, link, command, &reply), 0);
    return reply;
}

/* As the administrator. */
#define ADMIN(world, ...) admin_says((world), &REDIS_COMMAND(__VA_ARGS__))
static inline const struct redis_reply *admin_says(struct world *world,
                                                   const struct redis_command *command)
{
    struct redis_link *link = log_in_as(world, world->pool.user, ADMIN_PASSWORD);
    const struct redis_reply *reply = say_to(world, link, command);
    redis_link_close(link);
    return reply;
}

/* ACL LIST, one user a line. */
static inline char *acl_list(struct world *world)
{
    const struct redis_reply *list = ADMIN(world, "ACL", "LIST");
    _cleanup_str_ struct str text;
    str_init(&text, 1 << 20);
    for (int at = 0; at < list->count; at++)
        str_printf(&text, "%s\n", list->element[at]->text);
    return arena_strdup(world->ctx.arena, str_text(&text));
}

/* What the server knows is what it would know after a restart. */
static inline void assert_saved(struct world *world)
{
    assert_string_equal(read_file(world, in_directory(world, "users.acl")), acl_list(world));
}

/* ---- what an operator does ---- */

/* One pass; want NULL removes. */
static inline int with_redis(struct world *world, const char *identity, int index,
                             const struct redis_want *want, int *ret_changes)
{
    struct ctx *ctx = &world->ctx;
    _cleanup_redis_ struct redis *rd = NULL;
    struct redis_state state;
    TRY(redis_begin(ctx, &world->pool, identity, index, &rd));
    if (want) {
        TRY(redis_observe(ctx, rd, &state));
        if (want->open)
            TRY(redis_create(ctx, rd, want, &state));
        TRY(redis_update(ctx, rd, want, &state));
    } else {
        TRY(redis_remove(ctx, rd));
    }
    if (ret_changes)
        *ret_changes = redis_changes(rd);
    return 0;
}
