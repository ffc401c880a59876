#include "reconcilers/backends/harbor_rights.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum { RIGHTS_MAX_BYTES = 4096 };

static const struct {
    const char *resource, *action, *why;
} rights[] = {
    {"quota", "list", "how much each project stores, and may"},
    {"garbage-collection", "read", "the schedule"},
    {"garbage-collection", "list", "how the last run ended"},
    {"garbage-collection", "create", "run it now, or schedule it"},
    {"garbage-collection", "update", "change or end the schedule"},
    {"garbage-collection", "stop", "end a run while its bucket fails"},
};

char *harbor_rights_body(struct ctx *ctx, const char *name, const char *mark)
{
    struct str access;
    str_init(&access, RIGHTS_MAX_BYTES);
    for (size_t at = 0; at < ARRAY_SIZE(rights); at++)
        str_printf(&access, "%s{\"resource\":\"%s\",\"action\":\"%s\"}", at ? "," : "",
                   rights[at].resource, rights[at].action);
    char *body = arena_printf(ctx->arena,
                              "{\"name\":\"%s\",\"description\":\"%s\",\"level\":\"system\","
                              "\"duration\":-1,\"disable\":false,\"permissions\":[{\"kind\":"
                              "\"system\",\"namespace\":\"/\",\"access\":[%s]}]}",
                              name, mark, str_text(&access));
    str_done(&access);
    return body;
}

static bool is_wanted(const json_t *access)
{
    for (size_t at = 0; at < ARRAY_SIZE(rights); at++)
        if (str_equal(json_str(access, "resource"), rights[at].resource) &&
            str_equal(json_str(access, "action"), rights[at].action))
            return true;
    return false;
}

/* As many as ours, each one of ours, none twice: Harbor keeps them as a set. */
bool harbor_rights_same(const json_t *robot)
{
    const json_t *list = json_at(robot, "permissions.0.access");
    if (json_array_size(json_at(robot, "permissions")) != 1 ||
        !str_equal(json_str(robot, "permissions.0.kind"), "system") ||
        !str_equal(json_str(robot, "permissions.0.namespace"), "/") ||
        json_array_size(list) != ARRAY_SIZE(rights))
        return false;
    size_t at;
    json_t *access;
    json_array_foreach(list, at, access)
        if (!is_wanted(access) || str_equal(json_str(access, "effect"), "deny"))
            return false;
    return !json_bool_or(robot, "disable", true) && json_int_or(robot, "duration", 0) == -1;
}
