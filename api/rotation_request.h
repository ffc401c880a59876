/* The body of :rotate-credentials, checked and bound. Pure; no I/O. */
#pragma once

#include "api/schema.h"

struct rotation_request {
    bool kinds[CREDENTIAL_KINDS];
};

/* `body` NULL, or one that names no kind: all of them. */
int rotation_request_bind(struct ctx *ctx, enum audience audience, const json_t *body,
                          struct rotation_request *ret, struct field_errors *errors);
/* ["redis", "s3"], JSON text. */
const char *rotation_request_kinds(struct ctx *ctx, const struct rotation_request *request);
