/* The walk of a request: route, key, rate, permission, handler; and what is said of a failure. */
#include "server/http/api.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/http/auth.h"
#include "server/http/limits.h"
#include "server/net/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Log-ins that fail are answered 401 by address: one per second, twenty at once; then 429. */
enum { FAILED_LOGINS_PER_SECOND = 1, FAILED_LOGINS_BURST = 20 };

/* A tenant changes much at once, and then waits: its changes may come that many seconds early. */
enum { WRITES_BURST_SECONDS = 10 };

struct api {
    struct api_options options;
    struct auth *auth;
    struct limits *payers;
    struct limits *writers;
    struct limits *failures;
};

struct api *api_new(const struct api_options *options)
{
    struct api *api = calloc(1, sizeof *api);
    if (!api)
        abort();
    api->options = *options;
    api->auth = auth_new(options->find_key, options->app, AUTH_CACHE_MS);
    api->payers =
        limits_new("requests", options->requests_per_second, options->requests_per_second * 2);
    api->writers = limits_new("changes", options->writes_per_second,
                              options->writes_per_second * WRITES_BURST_SECONDS);
    api->failures = limits_new("wrong keys", FAILED_LOGINS_PER_SECOND, FAILED_LOGINS_BURST);
    return api;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    auth_free(api->auth);
    limits_free(api->payers);
    limits_free(api->writers);
    limits_free(api->failures);
    free(api);
}

void api_answer_json(struct api_call *call, int status, const char *json)
{
    call->response->status = status;
    call->response->content_type = "application/json";
    call->response->body = json;
    call->response->body_bytes = strlen(json);
}

/*
 * Behind a TLS front everybody has one address, so a right key is looked up first and never limited
 * by what others guess. A key has 260 random bits: the limit is not what keeps guesses out, it
 * makes them stand out.
 */
static int log_in(struct ctx *ctx, struct api *api, struct api_call *call)
{
    const char *header = request_header(call->request, "Authorization");
    int rc = auth_check(ctx, api->auth, header, &call->principal);
    if (rc != -ERR_UNAUTHENTICATED)
        return rc;
    TRY(limits_check(ctx, api->failures, call->request->peer, NULL));
    limits_take(api->failures, call->request->peer);
    response_header(call->response, "WWW-Authenticate", "Bearer");
    return rc;
}

/* Another tenant's path does not exist for you: the same answer as for an id that was never given.
 */
static int permit(struct ctx *ctx, const struct api_call *call)
{
    const struct principal *who = &call->principal;
    if (who->provider || call->route->permission == PERMISSION_ANY)
        return 0;
    if (call->route->permission == PERMISSION_TENANT)
        return str_equal(call->param[0], who->tenant)
                   ? 0
                   : err_set(ctx, ERR_NOT_FOUND, NULL, "there is no such object");
    return err_set(ctx, ERR_FORBIDDEN, NULL, "this is for the provider's own keys");
}

const char *api_payer(const struct principal *who)
{
    return who->provider ? who->key : who->tenant;
}

/* A misspelt parameter that is ignored answers a question that nobody asked. */
static int check_query(struct ctx *ctx, struct api_call *call)
{
    const char *takes = call->route->query;
    const char *name = request_query_stranger(call->request, takes);
    if (!name)
        return 0;
    field_errors_add(&call->errors, arena_printf(ctx->arena, "?%.40s", name), "UnknownParameter",
                     *takes ? arena_printf(ctx->arena, "this path takes %s", takes)
                            : "this path takes no parameters");
    return err_set(ctx, ERR_INVALID, "InvalidParameter", "not a parameter of this path");
}

/* A change costs the fleet far more than a look, so a tenant has a smaller share of those. */
static int charge(struct ctx *ctx, struct api *api, const struct api_call *call)
{
    const char *payer = api_payer(&call->principal);
    bool writes = !call->principal.provider && strcmp(call->route->method, "GET") != 0;
    if (call->request->resumed)
        return 0;
    TRY(limits_check(ctx, api->payers, payer, call->response));
    limits_take(api->payers, payer);
    if (!writes)
        return 0;
    TRY(limits_check(ctx, api->writers, payer, NULL));
    limits_take(api->writers, payer);
    return 0;
}

static int serve(struct ctx *ctx, struct api *api, struct api_call *call)
{
    TRY(router_find(ctx, api->options.routes, call));
    if (call->route->permission == PERMISSION_PUBLIC)
        return call->route->handler(ctx, call);
    TRY(log_in(ctx, api, call));
    log_field(ctx, "key", call->principal.key);
    TRY(charge(ctx, api, call));
    TRY(permit(ctx, call));
    TRY(check_query(ctx, call));
    return call->route->handler(ctx, call);
}

/* The route and the ids in its path. What else clients write there is not repeated (router.c). */
static void log_refusal(struct ctx *ctx, const struct api_call *call)
{
    static const char *const names[ROUTE_PARAMS_MAX] = {"tenant", "object"};
    if (!call->route) {
        log_failure(ctx, "no such route");
        return;
    }
    for (int at = 0; at < ROUTE_PARAMS_MAX; at++)
        log_field(ctx, names[at], call->param[at]);
    log_failure(ctx, arena_printf(ctx->arena, "%s %s", call->route->method, call->route->path));
}

static void count(const struct api_call *call, int64_t started_ms)
{
    char status[8];
    const char *route = call->route ? call->route->path : "none";
    snprintf(status, sizeof status, "%d", call->response->status);
    /* Methods come from the table, so that a client cannot invent label values. */
    metric_add(METRIC_HTTP_REQUESTS, 1, route, call->route ? call->route->method : "other", status);
    metric_observe(METRIC_HTTP_TIME, (double)(clock_boottime_ms() - started_ms) / 1000, route);
}

void api_answer(struct ctx *ctx, void *arg, const struct request *request,
                struct response *response)
{
    struct api *api = arg;
    int64_t started_ms = clock_boottime_ms();
    struct api_call *call = arena_alloc(ctx->arena, sizeof *call);
    call->app = api->options.app;
    call->request = request;
    call->response = response;
    if (serve(ctx, api, call) < 0) {
        response->parked = false;
        log_refusal(ctx, call);
        problem_write(ctx, request, 0, &call->errors, response);
    }
    if (!response->parked)
        count(call, started_ms);
}

void api_refuse(struct ctx *ctx, void *arg, const struct request *request, int status,
                struct response *response)
{
    (void)arg;
    log_failure(ctx, "request refused");
    problem_write(ctx, request, status, NULL, response);
}
