/* Resources of every kind (kind_of() of sql/migrations tells it from the id): the desired side,
 * which serve alone writes. */
#pragma once

#include "server/store/sealed.h"
#include "server/store/tenant.h"

#include <stdint.h>

struct store_new_resource {
    const char *id, *tenant, *name;
    const char *identity; /* NULL: of a kind without */
    const char *spec;     /* JSON */
    const char *operation;
    const char *counted;               /* what its quota counts: "registries" */
    const struct store_sealed *secret; /* the first admin password; NULL: of a kind without */
};

/* A row that is locked until the transaction ends. */
struct store_resource {
    const char *spec; /* JSON */
    const char *name;
    bool closed;
    bool deleted;  /* a tombstone */
    bool diverged; /* from its cell; nothing is carried out until a person decided */
    bool purging;  /* the grace period is over: nothing can be undone */
    int64_t generation;
    const char *runs; /* version, as its cell told last; NULL = it did not yet */
};

struct store_resource_change {
    const char *tenant, *id;
    const char *kind;      /* "update", "close", "delete", "undo", "rotate" */
    const char *spec;      /* JSON, the whole of it */
    int64_t grace_seconds; /* of "close" and "delete" */
    const char *renewed;   /* of "rotate": JSON, names of kinds of credentials; else NULL */
    const char *operation;
};

struct store_resource_view {
    const char *body; /* NULL: no such resource */
    const char *generation;
    bool deleted;
};

/* Row, status, operation, outbox, sealed secret and audit in one statement. *ret_made false: no
 * such tenant. -ERR_FORBIDDEN QuotaExceeded. */
int store_resource_insert(struct ctx *ctx, struct pg *pg, const struct store_new_resource *row,
                          const struct store_actor *actor, bool *ret_made);
int store_resource_view(struct ctx *ctx, struct pg *pg, const char *kind, const char *tenant,
                        const char *id, struct store_resource_view *ret);
int store_resource_list(struct ctx *ctx, struct pg *pg, const char *kind, const char *tenant,
                        const struct store_page *page, struct pg_rows *ret);
int store_resource_lock(struct ctx *ctx, struct pg *pg, const char *kind, const char *tenant,
                        const char *id, struct store_resource *ret, bool *ret_found);
/* Generation + 1, operation, outbox and audit. The row is locked and was looked at before. */
int store_resource_change(struct ctx *ctx, struct pg *pg,
                          const struct store_resource_change *change,
                          const struct store_actor *actor);
/* May the tenant's pipelines ask for so many more documents per second? `id` is that of the one
 * that asks, NULL = a new one. Others wait until this transaction ends. -ERR_FORBIDDEN
 * QuotaExceeded. */
int store_pipeline_quota(struct ctx *ctx, struct pg *pg, const char *tenant, const char *id,
                         int64_t documents_per_second);
