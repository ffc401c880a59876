/* Label and field selectors, as query parameters carry them. */
#pragma once

#include "server/dev/devcluster/cluster.h"

struct selector {
    const char *labels, *fields; /* NULL = all */
};

/* Of the call's query; -ERR_INVALID (BadRequest) for what cannot be read or is not indexed. */
int selector_of(struct call *call, struct selector *ret);
bool selector_matches(struct arena *arena, const struct selector *selector, const json_t *object);
