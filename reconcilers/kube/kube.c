/* The client: opening a cluster, sending, and reading. Writes are in kube_write.c. */
#include "reconcilers/kube/kube.h"

#include "reconcilers/kube/client.h"
#include "reconcilers/kube/kubeconfig.h"
#include "reconcilers/kube/path.h"
#include "reconcilers/kube/status.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/net/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_LIMIT = 500 };

static const char *keep(struct kube *kube, const char *text)
{
    return text ? arena_strdup(kube->arena, text) : NULL;
}

int kube_open(struct ctx *ctx, const char *kubeconfig_path, const char *user_agent,
              struct kube **ret)
{
    struct kubeconfig config;
    *ret = NULL;
    if (kubeconfig_path)
        TRY(kubeconfig_read(ctx, kubeconfig_path, &config));
    else
        TRY(kubeconfig_in_cluster(ctx, KUBECONFIG_SERVICE_ACCOUNT, &config));

    struct kube *kube = calloc(1, sizeof *kube);
    if (!kube)
        abort();
    kube->arena = arena_new();
    int rc = token_init(ctx, &kube->token, config.token, keep(kube, config.token_file));
    if (rc < 0) {
        kube_close(kube);
        return rc;
    }
    kube->target = (struct http_target){
        .base_url = keep(kube, config.server),
        .ca_pem = keep(kube, config.ca_pem),
        .client_cert_pem = keep(kube, config.client_cert_pem),
        .client_key_pem = keep(kube, config.client_key_pem),
        .user_agent = keep(kube, user_agent),
        .insecure = config.insecure,
        .bearer = *kube->token.text ? token_write : NULL,
        .bearer_arg = &kube->token,
    };
    kube->pool = http_pool_new(&kube->target);
    *ret = kube;
    return 0;
}

void kube_close(struct kube *kube)
{
    if (!kube)
        return;
    http_pool_free(kube->pool);
    token_done(&kube->token);
    arena_free(kube->arena);
    free(kube);
}

char *client_what(struct ctx *ctx, const char *verb, enum kube_kind kind, const char *namespace,
                  const char *name)
{
    bool spaced = namespace && *namespace;
    return arena_printf(ctx->arena, "%s %s %s%s%s", verb, kube_kind_row(kind)->kind,
                        spaced ? namespace : "", spaced ? "/" : "", name ? name : "*");
}

void client_strip(json_t *object)
{
    json_object_del(json_object_get(object, "metadata"), "managedFields");
}

void client_name_kind(json_t *object, enum kube_kind kind)
{
    json_object_set_new(object, "apiVersion", json_string(kube_kind_row(kind)->api_version));
    json_object_set_new(object, "kind", json_string(kube_kind_row(kind)->kind));
}

static void count_request(const struct client_request *request, int status, int64_t started_ms)
{
    char code[16];
    snprintf(code, sizeof code, "%d", status);
    metric_add(METRIC_REST_REQUESTS, 1, status ? code : "<error>", request->method);
    metric_observe(METRIC_REST_TIME, (double)(clock_boottime_ms() - started_ms) / 1000,
                   request->method);
}

static int parse_answer(struct ctx *ctx, const struct client_request *request,
                        const struct http_response *response, json_t **ret)
{
    json_t *object = NULL;
    if (client_parse(ctx, response->body, response->body_bytes, HTTP_BODY_MAX_BYTES, &object) < 0)
        return err_set(ctx, ERR_PROTOCOL, NULL, "%s: the answer is not JSON", request->what);
    client_strip(object);
    *ret = object;
    return 0;
}

/* One exchange, without failpoints. */
static int exchange(struct ctx *ctx, struct kube *kube, const struct client_request *request,
                    json_t **ret)
{
    const char *body = request->body ? client_text(ctx, request->body) : NULL;
    struct http_request http = {.method = request->method,
                                .path = request->path,
                                .content_type = request->content_type,
                                .accept = CLIENT_ACCEPT,
                                .body = body,
                                .body_bytes = body ? strlen(body) : 0,
                                .answer_max_bytes = request->budget ? *request->budget : 0};
    struct http_response response = {0};
    *ret = NULL;
    if (request->is_write)
        TRY(ctx_may_write(ctx));
    int64_t started_ms = clock_boottime_ms();
    int rc = http_call(ctx, kube->pool, &http, &response);
    count_request(request, response.status, started_ms);
    if (rc < 0)
        return err_wrap(ctx, rc, "%s", request->what);
    if (request->budget) /* never down to 0, which would be no bound */
        *request->budget -=
            response.body_bytes < *request->budget ? response.body_bytes : *request->budget - 1;
    if (response.status == 404 && request->absent_is_ok)
        return 0;
    rc = status_check(ctx, &response, request->what);
    if (rc == -ERR_CONFLICT && request->is_write)
        metric_add(METRIC_STALE_WRITES, 1, call_row(request->call)->name);
    return rc < 0 ? rc : parse_answer(ctx, request, &response, ret);
}

int client_send(struct ctx *ctx, struct kube *kube, const struct client_request *request,
                json_t **ret)
{
    json_t *answer = NULL;
    TRY(FAILPOINT_BEFORE(ctx, request->call));
    int rc = exchange(ctx, kube, request, &answer);
    TRY(rc);
    TRY(FAILPOINT_AFTER(ctx, request->call));
    if (ret)
        *ret = answer;
    return 0;
}

int kube_get(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
             const char *namespace, const char *name, json_t **ret)
{
    struct client_request request = {
        .method = "GET",
        .path = path_object(ctx, kind, namespace, name, NULL),
        .what = client_what(ctx, "get", kind, namespace, name),
        .call = call,
        .absent_is_ok = true,
    };
    return client_send(ctx, kube, &request, ret);
}

/* A page that is larger than the client takes is asked for again with half as many objects. */
static int read_page(struct ctx *ctx, struct kube *kube, struct client_request *request, int *limit,
                     json_t **ret)
{
    const char *path = request->path;
    for (;;) {
        request->path = path_query(ctx, path, "limit", arena_printf(ctx->arena, "%d", *limit));
        int rc = exchange(ctx, kube, request, ret);
        if (rc != -ERR_TOO_LARGE || *limit == 1 || request->budget)
            return rc;
        err_clear(ctx);
        *limit /= 2;
    }
}

static int list_pages(struct ctx *ctx, struct kube *kube, struct client_request *request,
                      enum kube_kind kind, json_t *all)
{
    const char *first = request->path, *next = NULL;
    int limit = PAGE_LIMIT;
    do {
        json_t *page = NULL;
        size_t index;
        json_t *item;
        request->path = path_query(ctx, first, "continue", next);
        TRY(read_page(ctx, kube, request, &limit, &page));
        json_array_foreach(json_object_get(page, "items"), index, item) {
            client_strip(item);
            client_name_kind(item, kind);
            json_array_append(all, item);
        }
        next = json_str(page, "metadata.continue");
    } while (next && *next);
    return 0;
}

static int list(struct ctx *ctx, struct kube *kube, struct client_request *request,
                enum kube_kind kind, json_t **ret)
{
    json_t *all = arena_json(ctx->arena, json_array());
    TRY(FAILPOINT_BEFORE(ctx, request->call));
    TRY(list_pages(ctx, kube, request, kind, all));
    TRY(FAILPOINT_AFTER(ctx, request->call));
    *ret = all;
    return 0;
}

static struct client_request listing(struct ctx *ctx, enum call call, enum kube_kind kind,
                                     const char *namespace, const char *label_selector)
{
    char *path = path_object(ctx, kind, namespace, NULL, NULL);
    return (struct client_request){.method = "GET",
                                   .path = path_query(ctx, path, "labelSelector", label_selector),
                                   .what = client_what(ctx, "list", kind, namespace, NULL),
                                   .call = call};
}

int kube_list(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
              const char *namespace, const char *label_selector, json_t **ret)
{
    return kube_list_where(ctx, call, kube, kind, namespace, label_selector, NULL, ret);
}

int kube_list_where(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
                    const char *namespace, const char *label_selector, const char *field_selector,
                    json_t **ret)
{
    struct client_request request = listing(ctx, call, kind, namespace, label_selector);
    request.path = path_query(ctx, request.path, "fieldSelector", field_selector);
    return list(ctx, kube, &request, kind, ret);
}

int kube_list_within(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
                     const char *namespace, const char *label_selector, size_t *budget,
                     json_t **ret)
{
    struct client_request request = listing(ctx, call, kind, namespace, label_selector);
    request.budget = budget;
    return list(ctx, kube, &request, kind, ret);
}
