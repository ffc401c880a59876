/* Registries: the desired side, which serve alone writes. */
#pragma once

#include "server/store/sealed.h"
#include "server/store/tenant.h"

#include <stdint.h>

struct store_new_registry {
    const char *id, *tenant, *name, *identity;
    const char *spec; /* JSON: {plan, version, host} */
    const char *operation;
    struct store_sealed secret; /* the first admin password */
};

/* A row that is locked until the transaction ends. */
struct store_registry {
    const char *spec; /* JSON */
    const char *name;
    bool closed;
    bool deleted;  /* a tombstone */
    bool diverged; /* from its cell; nothing is carried out until a person decided */
    bool purging;  /* the grace period is over: nothing can be undone */
    int64_t generation;
    const char *runs; /* version, as its cell told last; NULL = it did not yet */
};

struct store_registry_change {
    const char *tenant, *id;
    const char *kind;      /* "update", "close", "undo", "rotate" */
    const char *spec;      /* JSON, the whole of it */
    int64_t grace_seconds; /* of "close" */
    const char *renewed;   /* of "rotate": JSON, names of kinds of credentials; else NULL */
    const char *operation;
};

struct store_registry_view {
    const char *body; /* NULL: no such registry */
    const char *generation;
    bool deleted;
};

/* Row, status, operation, outbox, sealed secret and audit in one statement. *ret_made false: no
 * such tenant. -ERR_FORBIDDEN QuotaExceeded. */
int store_registry_insert(struct ctx *ctx, struct pg *pg, const struct store_new_registry *row,
                          const struct store_actor *actor, bool *ret_made);
int store_registry_view(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                        struct store_registry_view *ret);
int store_registry_list(struct ctx *ctx, struct pg *pg, const char *tenant,
                        const struct store_page *page, struct pg_rows *ret);
int store_registry_lock(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                        struct store_registry *ret, bool *ret_found);
/* Generation + 1, operation, outbox and audit. The row is locked and was looked at before. */
int store_registry_change(struct ctx *ctx, struct pg *pg,
                          const struct store_registry_change *change,
                          const struct store_actor *actor);
