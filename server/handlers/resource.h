/*
 * resource: what handlers of every kind of resource do alike, in the transaction of a request:
 * answer with the view's JSON and an ETag of its generation, accept a change as an operation, lock
 * the row, and ask whether it may be changed. Tenant and id are those of the path.
 */
#pragma once

#include "server/handlers/app.h"
#include "server/store/resource.h"

struct resource_kind {
    const char *name;                    /* as kind_of() of sql/migrations says */
    const char *counted;                 /* what the quota counts, in the words of QuotaExceeded */
    int (*refuse_gone)(struct ctx *ctx); /* the 410 for a tombstone */
    const struct taken *taken;           /* what another one may have already */
};

int resource_list(struct ctx *ctx, struct api_call *call, struct pg *pg,
                  const struct resource_kind *kind);
/* -ERR_NOT_FOUND; -ERR_PURGED for a tombstone. */
int resource_read(struct ctx *ctx, struct api_call *call, struct pg *pg,
                  const struct resource_kind *kind, const char *id,
                  struct store_resource_view *ret);
/* The same, answered. A GET whose If-None-Match still holds gets 304. */
int resource_answer(struct ctx *ctx, struct api_call *call, struct pg *pg,
                    const struct resource_kind *kind, const char *id, int status);
/* 202 without a change: the newest operation is the one to look at. */
int resource_accept_again(struct ctx *ctx, struct api_call *call, struct pg *pg,
                          const struct resource_kind *kind);

/* `row` without operation and what it is counted as. -ERR_FORBIDDEN QuotaExceeded,
 * -ERR_ALREADY_EXISTS, -ERR_NOT_FOUND: no such tenant. */
int resource_insert(struct ctx *ctx, struct api_call *call, struct pg *pg,
                    const struct resource_kind *kind, struct store_new_resource *row);
/* The same, and answers 202 with Location. */
int resource_create(struct ctx *ctx, struct api_call *call, struct pg *pg,
                    const struct resource_kind *kind, struct store_new_resource *row);
/* Locks the row until the end of the transaction. -ERR_PRECONDITION when If-Match does not hold,
 * -ERR_CONFLICT (Diverged) where no change could be carried out. */
int resource_lock(struct ctx *ctx, struct api_call *call, struct pg *pg,
                  const struct resource_kind *kind, struct store_resource *ret);
int resource_refuse_purging(struct ctx *ctx, const struct resource_kind *kind);
/* The next generation of a locked row; `wanted` without tenant, id and operation. Answers 202. */
int resource_change(struct ctx *ctx, struct api_call *call, struct pg *pg,
                    const struct resource_kind *kind, struct store_resource_change *wanted);
