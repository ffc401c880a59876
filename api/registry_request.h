/*
 * What a client of the provider API may say about a registry: the bodies of POST and PATCH, checked
 * and bound. (api/registry.h is the other side of it: the custom resource.) Pure; no I/O.
 */
#pragma once

#include "api/schema.h"

struct registry_request {
    const char *name;
    const char *plan; /* is looked up by the handler: plans are rows of the database */
    const char *version;
    const char *host;
    bool trivy, exporter; /* components */
};

/* A whole registry; the version may be left out. */
int registry_request_create(struct ctx *ctx, enum audience audience, const json_t *body,
                            struct registry_request *ret, struct field_errors *errors);
/*
 * A merge patch over `current`, a spec {plan, version, host, components}, and name. What may not
 * change, or only forward, is an error if it would; *ret is the whole as it shall be. The version
 * goes forward from what `runs` (NULL: not known, from current's): naming that withdraws a hop that
 * has not ended, or was rolled back.
 */
int registry_request_patch(struct ctx *ctx, enum audience audience, const json_t *body,
                           const struct registry_request *current, const char *runs,
                           struct registry_request *ret, struct field_errors *errors);

/* {plan, version, host, components} as JSON text: what the column registry.spec holds. */
const char *registry_request_spec(struct ctx *ctx, const struct registry_request *request);
/* The other way round; `spec` is such a text, `name` is kept by reference. */
int registry_request_of(struct ctx *ctx, const char *spec, const char *name,
                        struct registry_request *ret);
