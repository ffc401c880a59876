/* One request: who asks, what for, and the answer. */
#include "reconcilers/pipeline/metricsapi/metricsapi_private.h"
#include "reconcilers/pipeline/metricsapi/told.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <string.h>

enum { TOLD_AGAIN_MS = 10000 }; /* a line about strangers at most so often */

static void refuse(struct ctx *ctx, enum told_refusal refusal, const char *message,
                   struct response *response)
{
    const struct told_refusal_row *row = &told_refusals[refusal];
    metric_add(METRIC_METRICS_API_ANSWERS, 1, row->reason);
    response_json(ctx, response, row->code, told_status(ctx, refusal, message));
    if (refusal == TOLD_METHOD)
        response_header(response, "Allow", "GET");
    if (refusal == TOLD_UNAUTHORIZED) /* a stranger's connection is not kept */
        response_header(response, "Connection", "close");
}

static void answer(struct ctx *ctx, const json_t *body, struct response *response)
{
    metric_add(METRIC_METRICS_API_ANSWERS, 1, "OK");
    response_json(ctx, response, 200, body);
}

/* An API server that knows aggregated discovery falls back to the plain one when it is told so;
 * some took any other answer for a group that is broken. */
static bool wants_only_aggregated(const struct request *request)
{
    const char *accept = request_header(request, "Accept");
    if (!accept || !strstr(accept, "as=APIGroupDiscoveryList"))
        return false;
    for (const char *at = accept; *at; at += strcspn(at, ","), at += *at == ',') {
        size_t bytes = strcspn(at, ",");
        const char *as = strstr(at, ";as=");
        if (!as || (size_t)(as - at) >= bytes)
            return false;
    }
    return true;
}

/* One class is read alone, so that its answer costs the same beside many. */
static json_t *find_classes(struct ctx *ctx, const struct metricsapi *api,
                            const struct asked *asked)
{
    struct engine *engine = api->options.engine;
    if (str_equal(asked->name, "*"))
        return engine_list(ctx, engine, KIND_WORKER_CLASS, asked->namespace);
    json_t *found = engine_get(ctx, engine, KIND_WORKER_CLASS, asked->namespace, asked->name);
    json_t *list = arena_json(ctx->arena, json_array());
    if (found)
        json_array_append(list, found);
    return list;
}

static void answer_metric(struct ctx *ctx, const struct metricsapi *api, const struct asked *asked,
                          const struct request *request, struct response *response)
{
    struct selector selector;
    const char *of_metric = request_query(request, "metricLabelSelector");
    bool one = !str_equal(asked->name, "*");
    if (!str_equal(asked->resource, METRICS_RESOURCE) ||
        !str_equal(asked->metric, METRICS_REQUEST)) {
        refuse(ctx, TOLD_NOT_FOUND, "the only metric is " METRICS_RESOURCE "/" METRICS_REQUEST,
               response);
    } else if (of_metric && *of_metric) {
        refuse(ctx, TOLD_BAD_REQUEST,
               "metricLabelSelector: " METRICS_REQUEST " has no labels; leave metric.selector out",
               response);
    } else if (selector_read(ctx, one ? NULL : request_query(request, "labelSelector"), &selector) <
               0) {
        refuse(ctx, TOLD_BAD_REQUEST, ctx->err.message, response);
    } else if (!engine_ready(api->options.engine)) {
        refuse(ctx, TOLD_UNAVAILABLE, "this process has not read the WorkerClasses yet", response);
    } else {
        json_t *values = told_values(ctx, asked->version, find_classes(ctx, api, asked), &selector,
                                     clock_wall_ms());
        size_t count = json_array_size(json_at(values, "items"));
        if (one && !count)
            refuse(ctx, TOLD_NOT_FOUND,
                   arena_printf(ctx->arena,
                                "WorkerClass %s/%s is not there, or nothing was decided about it "
                                "yet",
                                asked->namespace, asked->name),
                   response);
        else if (count > TOLD_ITEMS_MAX)
            refuse(ctx, TOLD_TOO_MANY, "more than 1000 objects: narrow labelSelector", response);
        else
            answer(ctx, values, response);
    }
}

/* NULL = the front proxy speaks for a user, else what is wrong. */
static const char *stranger(struct metricsapi *api, const struct request *request)
{
    const char *why = NULL;
    bool told = false;
    if (!request->client)
        return "no client certificate of the front proxy's authority came with the request";
    pthread_mutex_lock(&api->lock);
    if (!api->trust.client_ca || api->changing)
        why = "the front proxy's authority is not known yet";
    else if (!trust_allows(&api->trust, request->client))
        why = "the client certificate's name is not among requestheader-allowed-names";
    for (size_t at = 0; at < api->trust.header_count; at++) {
        const char *user = request_header(request, api->trust.user_headers[at]);
        told |= user && *user;
    }
    pthread_mutex_unlock(&api->lock);
    return why || told ? why : "the front proxy names no user";
}

/* Whoever reaches the port can come here: he shall not fill the log. */
static void log_stranger(struct ctx *ctx, struct metricsapi *api, const struct request *request,
                         const char *why)
{
    int64_t now_ms = clock_boottime_ms();
    pthread_mutex_lock(&api->lock);
    bool tell = !api->told_stranger_ms || now_ms - api->told_stranger_ms >= TOLD_AGAIN_MS;
    if (tell)
        api->told_stranger_ms = now_ms;
    pthread_mutex_unlock(&api->lock);
    if (tell)
        log_info(ctx, "metrics API: %s is a stranger: %s", request->peer, why);
}

void answers_handle(struct ctx *ctx, void *arg, const struct request *request,
                    struct response *response)
{
    struct metricsapi *api = arg;
    const char *why = stranger(api, request);
    if (why) {
        log_stranger(ctx, api, request, why);
        refuse(ctx, TOLD_UNAUTHORIZED, why, response);
        return;
    }
    if (!str_equal(request->method, "GET")) {
        refuse(ctx, TOLD_METHOD, "there is only GET", response);
        return;
    }
    struct asked asked = asked_read(ctx->arena, request->path);
    switch (asked.what) {
    case ASKED_NOTHING:
        refuse(ctx, TOLD_NOT_FOUND, "no path of this API: it begins with /apis/" METRICS_GROUP,
               response);
        break;
    case ASKED_GROUPS:
        if (wants_only_aggregated(request))
            refuse(ctx, TOLD_NOT_ACCEPTABLE, "discovery is plain here: application/json", response);
        else
            answer(ctx, told_groups(ctx), response);
        break;
    case ASKED_GROUP:
        answer(ctx, told_group(ctx), response);
        break;
    case ASKED_VERSION:
        answer(ctx, told_resources(ctx, asked.version), response);
        break;
    case ASKED_METRIC:
        answer_metric(ctx, api, &asked, request, response);
        break;
    }
}

/* What HTTP itself refuses: bad framing, too large, too many at once. */
void answers_refuse(struct ctx *ctx, void *arg, const struct request *request, int status,
                    struct response *response)
{
    (void)arg, (void)request;
    refuse(ctx, status == 503 ? TOLD_UNAVAILABLE : TOLD_BAD_REQUEST, ctx->err.message, response);
}
