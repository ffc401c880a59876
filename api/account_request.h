/* Bodies of the provider API about accounts and places: tenants, API keys, cells. Pure; no I/O. */
#pragma once

#include "api/schema.h"

#include <stdint.h>

enum {
    TENANT_REGISTRY_LIMIT = 100,
    TENANT_KEY_LIMIT = 50,
    TENANT_PIPELINE_LIMIT = 100,
    TENANT_DOCUMENT_LIMIT = 100000, /* documents per second, all pipelines together */
    TENANT_LIMIT_KEPT = -1,
};

struct tenant_request {
    const char *name; /* NULL in a patch: a tenant keeps its name */
    /* TENANT_LIMIT_KEPT in a patch that says nothing of it */
    int64_t registry_limit, key_limit, pipeline_limit, document_limit;
};

struct name_request { /* an API key */
    const char *name;
};

struct cell_request {
    const char *name;
    const char *kubeconfig; /* file name */
    int64_t capacity;
};

int tenant_request_create(struct ctx *ctx, enum audience audience, const json_t *body,
                          struct tenant_request *ret, struct field_errors *errors);
int tenant_request_patch(struct ctx *ctx, enum audience audience, const json_t *body,
                         struct tenant_request *ret, struct field_errors *errors);
int name_request_bind(struct ctx *ctx, enum audience audience, const json_t *body,
                      struct name_request *ret, struct field_errors *errors);
int cell_request_bind(struct ctx *ctx, enum audience audience, const json_t *body,
                      struct cell_request *ret, struct field_errors *errors);
