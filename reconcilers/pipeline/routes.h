/* routes: where the EndpointSlices of a namespace lead at this moment, read live. */
#pragma once

#include "reconcilers/engine/engine.h"

struct routes {
    const json_t *slices; /* those that PipelineBindings control */
};

/* Pure. */
struct routes routes_of(struct ctx *ctx, const json_t *slices);
int routes_read(struct ctx *ctx, struct pass *pass, struct routes *ret);
/* An endpoint is that pod; with `ready` one that gets documents. */
bool routes_lead_to(const struct routes *routes, const char *pod, bool ready);
/* A pod "<set>-<number>" to which an endpoint leads, of a number from..before-1, and its slice;
 * NULL = none. The numbers may be anybody's: it costs no more if they are large. */
const char *routes_lead_beyond(const struct routes *routes, const char *set, int64_t from,
                               int64_t before, const char **ret_slice);
