#include "server/dev/faultproxy/target.h"

#include "server/base/arena.h"
#include "server/base/str.h"

#include <string.h>

enum { PARTS_MAX = 10 };

static int split(struct arena *arena, const char *path, const char *parts[PARTS_MAX])
{
    int count = 0;
    char *rest = arena_strdup(arena, path), *part;
    while (count < PARTS_MAX - 1 && (part = strsep(&rest, "/")))
        if (*part)
            parts[count++] = part;
    return count;
}

bool target_of(struct arena *arena, const char *path, struct target *ret)
{
    const char *parts[PARTS_MAX] = {NULL}, **rest = parts;
    int count = split(arena, path, parts);
    bool core = str_equal(parts[0], "api");
    int head = core ? 2 : 3; /* /api/VERSION, /apis/GROUP/VERSION */
    if ((!core && !str_equal(parts[0], "apis")) || count <= head)
        return false;
    rest += head;
    *ret = (struct target){.group = core ? "" : parts[1]};
    bool within = str_equal(rest[0], "namespaces") && rest[1] && rest[2] &&
                  !str_equal(rest[2], "status") && !str_equal(rest[2], "finalize");
    if (within) {
        ret->namespace = rest[1];
        rest += 2;
    }
    ret->resource = rest[0];
    ret->name = rest[1];
    return true;
}
