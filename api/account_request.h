/* Bodies of the provider API about accounts and places: tenants, API keys, cells. Pure; no I/O. */
#pragma once

#include "api/schema.h"

#include <stdint.h>

struct name_request { /* a tenant, an API key */
    const char *name;
};

struct cell_request {
    const char *name;
    const char *kubeconfig; /* file name */
    int64_t capacity;
};

int name_request_bind(struct ctx *ctx, enum audience audience, const json_t *body,
                      struct name_request *ret, struct field_errors *errors);
int cell_request_bind(struct ctx *ctx, enum audience audience, const json_t *body,
                      struct cell_request *ret, struct field_errors *errors);
