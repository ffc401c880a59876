/* Operations as their callers see them, and the answers kept for repeated requests. */
#pragma once

#include "server/store/store.h"

/* *ret_body NULL: the tenant has no such operation. *ret_open: it has not ended. */
int store_operation_view(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                         const char **ret_body, bool *ret_open);
/* Id of the newest operation of a registry, NULL when there is none. */
int store_operation_latest(struct ctx *ctx, struct pg *pg, const char *tenant, const char *registry,
                           const char **ret_id);
/* One column, `id`: those of `ids` (an array as PostgreSQL writes it) that have ended. */
int store_operation_ended(struct ctx *ctx, struct pg *pg, const char *ids, struct pg_rows *ret);

struct store_idempotency {
    const char *tenant; /* "provider" for the provider's keys */
    const char *principal;
    const char *key;
    const char *fingerprint; /* of method, path and body */
};

struct store_answer {
    int status;
    const char *headers; /* JSON object */
    const char *body;
};

/* *ret_first false: another request had this key; its transaction has ended. */
int store_idempotency_take(struct ctx *ctx, struct pg *pg, const struct store_idempotency *key,
                           bool *ret_first);
/* *ret_fingerprint NULL: there is no such key (its request was rolled back). */
int store_idempotency_find(struct ctx *ctx, struct pg *pg, const struct store_idempotency *key,
                           const char **ret_fingerprint, struct store_answer *ret);
int store_idempotency_save(struct ctx *ctx, struct pg *pg, const struct store_idempotency *key,
                           const struct store_answer *answer);
/* Removes up to 1000 expired ones. *ret_more: it were so many, there may be others. */
int store_idempotency_expire(struct ctx *ctx, struct pg *pg, bool *ret_more);
