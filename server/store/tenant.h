/* Tenants and API keys: one function per statement of the same name. Times and ids are text. */
#pragma once

#include "server/store/store.h"

#include <stdint.h>

/* Who asks and in which request: what every change writes into the audit trail. */
struct store_actor {
    const char *name; /* "key:key_..." */
    const char *request_id;
};

/* A page of a list: {id, body} by id. */
struct store_page {
    const char *after; /* "" = from the start */
    int limit;
};

struct store_key {
    const char *id;
    const char *secret_hash; /* hexadecimal SHA-256 */
    bool provider;
    const char *tenant; /* NULL for the provider's */
};

struct store_tenant {
    const char *id, *name;
    int64_t registry_limit, key_limit, pipeline_limit, document_limit;
};

struct store_new_key {
    const char *id, *prefix, *secret_hash;
    const char *tenant; /* NULL: the provider's */
    const char *name;
};

/* The transaction's scope names the prefix. *ret_found false: no such key, or revoked. */
int store_key_find(struct ctx *ctx, struct pg *pg, const char *prefix, struct store_key *ret,
                   bool *ret_found);
int store_tenant_insert(struct ctx *ctx, struct pg *pg, const struct store_tenant *tenant,
                        const struct store_actor *actor);
/* The limits; -1 = as before. Of a tenant that is not there nothing is changed. */
int store_tenant_change(struct ctx *ctx, struct pg *pg, const struct store_tenant *tenant,
                        const struct store_actor *actor);
/* Before something is made that a quota counts: others wait until this transaction ends. */
int store_tenant_lock(struct ctx *ctx, struct pg *pg, const char *tenant);
/*
 * Of what came back from such an insert, {id, used, may}: -ERR_FORBIDDEN with reason QuotaExceeded
 * when there is no id. `what` is counted: "registries".
 */
int store_quota_check(struct ctx *ctx, const struct pg_rows *rows, const char *what);
int store_tenant_view(struct ctx *ctx, struct pg *pg, const char *id, const char **ret_body);
int store_tenant_list(struct ctx *ctx, struct pg *pg, const struct store_page *page,
                      struct pg_rows *ret);
int store_api_key_insert(struct ctx *ctx, struct pg *pg, const struct store_new_key *key,
                         const struct store_actor *actor);
int store_api_key_view(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                       const char **ret_body);
int store_api_key_list(struct ctx *ctx, struct pg *pg, const char *tenant,
                       const struct store_page *page, struct pg_rows *ret);
/* *ret_found false: the tenant has no such key. A revoked one is found and stays as it is. */
int store_api_key_revoke(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                         const struct store_actor *actor, bool *ret_found);
