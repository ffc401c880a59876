/* Room on a PostgreSQL server: whose connection limits it bears. See room.c. */
#pragma once

#include "reconcilers/registry/scope.h"

/* The size that it has: of the spec, but while that waits for room. */
static inline const char *room_size(const struct registry_scope *scope)
{
    return scope->granted ? scope->granted : scope->spec.size;
}

/* Sum of the limits of all registries that claim a slot of a pool. */
int64_t room_promised(struct ctx *ctx, struct pass *pass, const char *pool);
/* How large it may become; INT64_MAX = nobody counts: of another type, or not looked at yet. */
int64_t room_limit(const json_t *pool);
/*
 * Is there room for `size` instead of `granted` (NULL = nothing)? As the cache knows the claims:
 * those that choose at the same moment may go beyond it together.
 */
bool room_for(struct ctx *ctx, struct pass *pass, const json_t *pool, const char *size,
              const char *granted);
/* Grants the size that the spec wants, or else tells in scope->cramped why not. -ERR_CONFLICT when
 * the claim, which is changed in *claim, is not what this pass read. */
int room_grant(struct ctx *ctx, struct pass *pass, const json_t *pool, const json_t **claim);
