/*
 * One signed request to an S3 store, path-style, its payload's hash signed. Answers of 2xx and the
 * others: any error of the store becomes one of ours, with the store's own code as its reason. What
 * comes as XML is read with server/base/xml.h by the caller.
 */
#pragma once

#include "server/adapters/sigv4.h"

#include <stdbool.h>

struct ctx;
struct http_response;
struct s3_store;

struct s3_address {
    const char *host;
    int port;
    const char
        *ssl_mode;      /* disable: plain HTTP; require: any certificate; verify-ca, verify-full */
    const char *ca_pem; /* NULL = the system's */
    const char *region;
};

struct s3_request {
    const char *method;
    const char *path; /* "/bucket/key", not encoded */
    const struct sigv4_pair *query;
    size_t query_count;
    const char *content_type;
    const struct sigv4_pair *headers; /* sent and signed, as everything else is */
    size_t header_count;
    const char *body; /* NULL = none */
    size_t body_bytes;
};

/* -ERR_CONFIG: an ssl_mode that we do not know. */
int s3_store_new(struct ctx *ctx, const struct s3_address *address, struct s3_store **ret);
void s3_store_free(struct s3_store *store);

/*
 * -ERR_DENIED: the key is refused, or may not do this; -ERR_NOT_FOUND; -ERR_ALREADY_EXISTS;
 * -ERR_CONFLICT; -ERR_UNAVAILABLE, also where the store asks to slow down; -ERR_REFUSED otherwise;
 * those of http_call().
 */
int s3_call(struct ctx *ctx, struct s3_store *store, const char *access, const char *secret,
            const struct s3_request *request, struct http_response *ret);
/* What the store itself calls the error, "" when it did not say. After s3_call() has failed. */
bool s3_error_is(const struct ctx *ctx, const char *code);
