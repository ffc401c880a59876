/*
 * auth: API keys, "flk_<8 of prefix>_<52 of secret>" as a bearer token. The database has the
 * secret's SHA-256; a key that was found is remembered for 5 s, so a revoked one dies within 5 s.
 */
#pragma once

#include "server/http/api.h"

struct auth;

enum { AUTH_PREFIX_LENGTH = 8, AUTH_SECRET_LENGTH = 52, AUTH_CACHE_MS = 5000 };

typedef int (*auth_finder)(struct ctx *ctx, void *app, const char *prefix, struct principal *ret,
                           bool *ret_found);

/* What is found is remembered for `cache_ms`. */
struct auth *auth_new(auth_finder find, void *app, int cache_ms);
void auth_free(struct auth *auth);
/*
 * Of the value of an Authorization header, NULL = none. -ERR_UNAUTHENTICATED for whatever is wrong
 * with the key, in the same words.
 */
int auth_check(struct ctx *ctx, struct auth *auth, const char *header, struct principal *ret);

/* A key to be handed out; text in the arena. */
struct auth_key {
    const char *prefix;
    const char *secret_hash;
    const char *text;
};
struct auth_key auth_key_make(struct arena *arena);
