/* routes: where the EndpointSlices of a namespace lead at this moment, read live. */
#pragma once

#include "reconcilers/engine/engine.h"

struct routes {
    const json_t *slices;
};

int routes_read(struct ctx *ctx, struct pass *pass, struct routes *ret);
/* An endpoint is that pod; with `ready` one that gets documents. */
bool routes_lead_to(const struct routes *routes, const char *pod, bool ready);
