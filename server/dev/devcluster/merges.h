/* The four ways of changing an object by a part of it. All results are new trees in the arena. */
#pragma once

#include "server/dev/devcluster/shape.h"

/* Server-side apply: what the patch has wins; lists with keys merge item by item. */
json_t *merge_apply(struct arena *arena, const struct shape *shape, const json_t *live,
                    const json_t *patch);
/* RFC 7386. */
json_t *merge_patch(struct arena *arena, const json_t *live, const json_t *patch);
/* Kubernetes' own for built-in kinds; NULL when the patch holds a directive not served. */
json_t *merge_strategic(struct arena *arena, const struct shape *shape, const json_t *live,
                        const json_t *patch);
/* RFC 6902; NULL with *ret_problem when an operation cannot be done. */
json_t *merge_operations(struct arena *arena, const json_t *live, const json_t *operations,
                         const char **ret_problem);
