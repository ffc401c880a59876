/*
 * Sealed secrets (sql/migrations/0004_sealed_secrets.sql) as the role flotilla_fleet sees them.
 * What stands in a row opens only with the key ring; see server/adapters/envelope.h. serve makes a
 * row with its owner (store_resource_insert).
 */
#pragma once

#include "server/adapters/envelope.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct pg_pool;

#define SEALED_OF_REGISTRY "registry/%s"       /* a label's owner */
#define SEALED_ADMIN_PASSWORD "admin-password" /* a label's purpose */
enum { SEALED_PASSWORD_LENGTH = 24 };

/* A row that was not shredded; strings in ctx->arena. */
struct store_sealed {
    struct envelope_label label;
    struct envelope envelope; /* of a batch: without the text */
};

/* ---- the hand-over, see reconcilers/fleet/handover.h ---- */

/* *ret_found false: `registry` has none, or it was shredded. */
int store_fleet_sealed(struct ctx *ctx, struct pg_pool *pool, const char *registry,
                       struct store_sealed *ret, bool *ret_found);
/* For good; *ret_changed false: somebody else did. */
int store_fleet_shred(struct ctx *ctx, struct pg_pool *pool, const char *registry,
                      bool *ret_changed);
/* Another secret in the place of a shredded one, for a registry that is not published: what its
 * cell kept is lost. */
int store_fleet_seal_again(struct ctx *ctx, struct pg_pool *pool, const char *registry,
                           const struct envelope *envelope);
/* Puts work into the outbox for each registry of `cell` whose secret is still here. */
int store_fleet_undelivered(struct ctx *ctx, struct pg_pool *pool, const char *cell);

/* ---- another key, see server/cmd_rekey.c; `first` is the key under which all shall be ---- */

/* Rows behind `after` that are under another one of the ring's keys; by id, *ret_count 0 = no more.
 */
int store_fleet_rekey_batch(struct ctx *ctx, struct pg_pool *pool, const struct kek_ring *ring,
                            const char *after, struct store_sealed **ret, size_t *ret_count);
/* `changes`: an array of {id, was, wrappedDek}. *ret_changed: how many of them still were so. */
int store_fleet_rekey_write(struct ctx *ctx, struct pg_pool *pool, const char *first,
                            const json_t *changes, int64_t *ret_changed);
/* Array of {kek, count}. */
int store_fleet_rekey_count(struct ctx *ctx, struct pg_pool *pool, json_t **ret);
