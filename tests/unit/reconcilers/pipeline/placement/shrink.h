/* What breaks is shrunk and told. */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/walk.h"

#include <stdio.h>

/* Leaves out what is not needed to break the same row. */
static inline void walk_shrink(struct ctx *ctx, struct walk *walk, enum row broken)
{
    static struct walk fewer;
    walk->checks = NULL;
    for (size_t chunk = walk->count / 2; chunk > 0; chunk /= 2)
        for (size_t at = 0; at + chunk <= walk->count;) {
            fewer = *walk;
            fewer.count = walk->count - chunk;
            memmove(&fewer.ops[at], &walk->ops[at + chunk], (fewer.count - at) * sizeof *fewer.ops);
            if (walk_do(ctx, &fewer) == broken)
                *walk = fewer;
            else
                at += chunk;
        }
}

static inline void walk_tell(FILE *to, const struct walk *walk, uint64_t seed, uint64_t number,
                             enum row broken)
{
    static const char *const words[OPS] = {
        [OP_ADMIT] = "admit",   [OP_ADMIT_MORE] = "admit", [OP_REMOVE] = "remove",
        [OP_RATE] = "rate",     [OP_POD] = "pod",          [OP_DRAIN] = "drain",
        [OP_TICK] = "tick",     [OP_COMPACT] = "compact",  [OP_CALM] = "calm",
        [OP_REDRAW] = "redraw", [OP_QUOTA] = "quota"};
    fprintf(to, "seed %llu, walk %llu: '%s' does not hold after %zu steps:\n",
            (unsigned long long)seed, (unsigned long long)number, rows[broken].name, walk->count);
    for (size_t at = 0; at < walk->count; at++)
        fprintf(to, "{%u, %u, %u, %u}, /* %s */\n", walk->ops[at].kind % OPS, walk->ops[at].a,
                walk->ops[at].b, walk->ops[at].c, words[walk->ops[at].kind % OPS]);
}
