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
    const json_t *slices;        /* those that PipelineBindings control */
    struct pod_names all, ready; /* who has an endpoint; who has one that gets documents */
};

enum { LEADS_STILL_MS = 500 }; /* to look again: that a slice is rewritten wakes nobody */

/* Pure. */
struct routes routes_of(struct ctx *ctx, const json_t *slices);
/* -ERR_TOO_LARGE: they are more than 16 MiB. */
int routes_read(struct ctx *ctx, struct pass *pass, struct routes *ret);
/* An endpoint is that pod; with `ready` one that gets documents. */
bool routes_lead_to(const struct routes *routes, const char *pod, bool ready);
/* A pod "<set>-<number>" to which an endpoint leads, of a number from..before-1, and its slice;
 * NULL = none. The numbers may be anybody's: it costs no more if they are large. */
const char *routes_lead_beyond(const struct routes *routes, const char *set, int64_t from,
                               int64_t before, const char **ret_slice);
