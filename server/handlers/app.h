/* What the handlers share: the running server, and the transactions that they work in. */
#pragma once

#include "server/adapters/pg.h"
#include "server/http/api.h"
#include "server/http/cursor.h"
#include "server/store/tenant.h"

struct kek_ring;
struct waiters;

struct app {
    struct pg_pool *pool;
    struct waiters *waiters;
    const struct kek_ring *keks; /* seal what is handed over to cells */
    const char *openapi;         /* JSON text */
};

extern const struct route app_routes[];

/* The handlers, one per row of routes.def. */
#define ROUTE(method, path, permission, query, handler, why)                                       \
    int handler(struct ctx *ctx, struct api_call *call);
#include "server/http/routes.def"
#undef ROUTE

/* ---- transaction.c ---- */

typedef int (*transaction_body)(struct ctx *ctx, struct api_call *call, struct pg *pg);

/* Runs `body` in a transaction with the caller's scope. A session that was lost is tried anew. */
int transaction_read(struct ctx *ctx, struct api_call *call, transaction_body body);
/*
 * The same for a change. With an Idempotency-Key the answer is kept in this transaction, and a
 * repeated request gets it without `body` being run. Deadlocks are tried anew. With ?dryRun=true,
 * on routes that take it, nothing is kept but what the handler says (call->kept).
 */
int transaction_write(struct ctx *ctx, struct api_call *call, transaction_body body);

/* ---- common.c ---- */

enum audience call_audience(const struct api_call *call);
struct store_actor call_actor(struct ctx *ctx, const struct api_call *call);
/* The body of a request as a JSON object. -ERR_MEDIA_TYPE when it says that it is something else.
 */
int call_body(struct ctx *ctx, struct api_call *call, json_t **ret);
int call_not_found(struct ctx *ctx);
/* Of an answer that is there: its ETag. A 200 whose If-None-Match has it becomes a 304. */
void call_etag(struct ctx *ctx, struct api_call *call, const char *tag);
/* The provider may name a tenant that is not there; a tenant's key cannot. */
int call_tenant_exists(struct ctx *ctx, const struct api_call *call, struct pg *pg);

/* A page of {id, body}; `rows` has one more than the page when there is a next one. */
void call_answer_page(struct ctx *ctx, struct api_call *call, const struct pg_rows *rows,
                      const struct page *page);
/* Answers the page that the request asks for, of everything or of the path's tenant. */
int call_list(struct ctx *ctx, struct api_call *call, struct pg *pg,
              int (*list)(struct ctx *ctx, struct pg *pg, const struct store_page *page,
                          struct pg_rows *ret));
int call_list_of_tenant(struct ctx *ctx, struct api_call *call, struct pg *pg,
                        int (*list)(struct ctx *ctx, struct pg *pg, const char *tenant,
                                    const struct store_page *page, struct pg_rows *ret));

/* Unique constraints that a client can hit, ends at a row without constraint. */
struct taken {
    const char *constraint;
    const char *pointer;
    const char *code;
    const char *detail;
};
/* Says which field is to blame when `rc` is -ERR_ALREADY_EXISTS; passes `rc` on. */
int call_taken(struct ctx *ctx, struct api_call *call, int rc, const struct taken *rows);
