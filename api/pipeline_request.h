/*
 * What a client of the provider API may say about a pipeline: the bodies of POST and PATCH, checked
 * by the rows and by the CRD's schema, and bound. How the graph is drawn the handler asks
 * (reconcilers/pipeline/graph). Pure; no I/O.
 */
#pragma once

#include "api/schema.h"

struct pipeline_request {
    const char *name;
    int64_t documents_per_second;
    int64_t priority;
    const json_t *workers; /* the graph, as in the spec of a Pipeline; borrowed */
};

/* A whole pipeline; the priority may be left out. */
int pipeline_request_create(struct ctx *ctx, enum audience audience, const json_t *body,
                            struct pipeline_request *ret, struct field_errors *errors);
/* A merge patch over `current`: the rate may change, all else may be repeated. */
int pipeline_request_patch(struct ctx *ctx, enum audience audience, const json_t *body,
                           const struct pipeline_request *current, struct pipeline_request *ret,
                           struct field_errors *errors);

/* {documentsPerSecond, priority, workers} as JSON text: what the column resource.spec holds. */
const char *pipeline_request_spec(struct ctx *ctx, const struct pipeline_request *request);
/* The other way round; `spec` is such a text, `name` is kept by reference. */
int pipeline_request_of(struct ctx *ctx, const char *spec, const char *name,
                        struct pipeline_request *ret);
