/* What an object must look like before it is kept: unknown fields, defaults, schema, rules. */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* Completes `next` and refuses what the kind does not allow. */
int forms_check(struct call *call, const json_t *live, json_t *next, bool applied);
/* An apply is refused unknown fields before it merges. */
int forms_check_applied(struct call *call, json_t *patch);
