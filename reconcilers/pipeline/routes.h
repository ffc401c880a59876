/* routes: where the EndpointSlices of a namespace lead at this moment, read live. */
#pragma once

#include "reconcilers/engine/engine.h"

/* Names of pods; once sorted they are found fast. */
struct pod_names {
    const char **rows;
    size_t count, room;
};

void pod_names_add(struct arena *arena, struct pod_names *names, const char *name);
void pod_names_sort(struct pod_names *names);
bool pod_names_have(const struct pod_names *names, const char *name);

struct routes {
    struct pod_names all, ready; /* who has an endpoint; who has one that gets documents */
};

int routes_read(struct ctx *ctx, struct pass *pass, struct routes *ret);
/* An endpoint is that pod; with `ready` one that gets documents. */
bool routes_lead_to(const struct routes *routes, const char *pod, bool ready);
