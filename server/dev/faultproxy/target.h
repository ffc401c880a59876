/* Which resource a path of a Kubernetes API is about. */
#pragma once

#include <stdbool.h>

struct arena;

struct target {
    const char *group, *resource, *namespace, *name; /* group "" = core; NULL = not said */
};

/* False: none of a resource (/version, discovery). `path` has no query. */
bool target_of(struct arena *arena, const char *path, struct target *ret);
