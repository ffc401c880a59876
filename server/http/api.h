/*
 * api: from a request to a handler and back. api_answer() is the listener's handler: it finds the
 * route, checks the key and the rate, calls the route's handler, and turns an error into a problem
 * document, one log line and one count, all three with the same reason.
 */
#pragma once

#include "api/schema.h"
#include "server/net/http_server.h"

#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct api;

enum { ROUTE_PARAMS_MAX = 2, ID_BYTES_MAX = 64, HASH_TEXT_BYTES = 65 };

enum permission { PERMISSION_PUBLIC, PERMISSION_ANY, PERMISSION_TENANT, PERMISSION_PROVIDER };

/* Who asks: one API key. */
struct principal {
    char key[ID_BYTES_MAX];
    char tenant[ID_BYTES_MAX]; /* "" for the provider's keys */
    char secret_hash[HASH_TEXT_BYTES];
    bool provider;
};

struct api_call;
typedef int (*route_handler)(struct ctx *ctx, struct api_call *call);

struct route {
    const char *method;
    const char *path; /* "{x}" stands for an id: one segment, or its part before a colon */
    enum permission permission;
    const char *query; /* names of the parameters that it takes, with blanks between them */
    route_handler handler;
    const char *why;
};

/* One request on its way through a handler. */
struct api_call {
    void *app; /* api_options.app */
    const struct route *route;
    const struct request *request;
    struct response *response;
    struct principal principal;
    const char
        *param[ROUTE_PARAMS_MAX]; /* the {x} of the path, in order; the first is the tenant */
    const char *kept_body; /* what a repeated request gets instead of the body; NULL = the same */
    bool dry_run;          /* ?dryRun=true: what is done is rolled back, unless */
    bool kept;             /* ... the handler undid it, and left what is to be kept */
    struct field_errors errors; /* what validation found; goes into the problem document */
};

struct api_options {
    const struct route *routes; /* ends at a row without method */
    void *app;
    /* *ret_found false: no such key. Called for keys that were not looked up in the last 5 s. */
    int (*find_key)(struct ctx *ctx, void *app, const char *prefix, struct principal *ret,
                    bool *ret_found);
    int requests_per_second; /* per tenant or provider's key; 0 = no limit */
    int writes_per_second;   /* of those, changes by a tenant; 0 = no limit */
};

struct api *api_new(const struct api_options *options);
void api_free(struct api *api);
/* http_handler and http_refuser; `arg` is the struct api. */
void api_answer(struct ctx *ctx, void *arg, const struct request *request,
                struct response *response);
void api_refuse(struct ctx *ctx, void *arg, const struct request *request, int status,
                struct response *response);

/* Whose share of the server a request uses up: the tenant's, which may have as many keys as it
 * likes, or that of the provider's key. */
const char *api_payer(const struct principal *who);
/* JSON text as it comes from a view. */
void api_answer_json(struct api_call *call, int status, const char *json);

/* ---- router.c ---- */

/*
 * Fills call->route and call->param. -ERR_NOT_FOUND, or -ERR_METHOD with an Allow header set. HEAD
 * finds the route of GET.
 */
int router_find(struct ctx *ctx, const struct route *routes, struct api_call *call);

/* ---- problem.c ---- */

/* An RFC 9457 document from ctx->err; `errors` may be NULL, `status` 0 takes the error's own. */
void problem_write(struct ctx *ctx, const struct request *request, int status,
                   const struct field_errors *errors, struct response *response);
