/*
 * trust: whose word counts about who asks. The API server writes it down for all aggregated APIs in
 * the ConfigMap kube-system/extension-apiserver-authentication: the authority of its front proxy's
 * certificate, the names that it may have, and the headers in which it tells the user. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct ctx;

#define TRUST_NAMESPACE "kube-system"
#define TRUST_NAME "extension-apiserver-authentication"

enum { TRUST_WORDS_MAX = 16, TRUST_CA_MAX_BYTES = 256 << 10 };

struct trust {
    const char *client_ca; /* PEM; NULL = the API server has no front proxy: nobody is believed */
    /* 0 = every name that the authority certifies: so the API server means an empty list. */
    size_t name_count;
    const char *names[TRUST_WORDS_MAX];
    size_t header_count; /* at least 1 */
    const char *user_headers[TRUST_WORDS_MAX];
};

/* The texts are borrowed from `config_map` or in ctx->arena. -ERR_INVALID names the key at fault.
 */
int trust_read(struct ctx *ctx, const json_t *config_map, struct trust *ret);
bool trust_allows(const struct trust *trust, const char *name);
