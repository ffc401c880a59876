/* Blocking HTTP calls: a pool keeps idle libcurl handles, each with its own connection, over one
 * target; a call takes one, and gives it back. */
#include "server/adapters/curl.h"

#include "server/adapters/curl_target.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_IDLE_MAX = 16 };

struct http_pool {
    struct http_target *target;
    pthread_mutex_t lock;
    CURL *idle[POOL_IDLE_MAX];
    int idle_count;
};

struct http_pool *http_pool_new(const struct http_target *target)
{
    struct http_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        abort();
    pool->target = target_copy(target);
    pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

void http_pool_free(struct http_pool *pool)
{
    if (!pool)
        return;
    while (pool->idle_count)
        curl_easy_cleanup(pool->idle[--pool->idle_count]);
    target_free(pool->target);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static CURL *take(struct http_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    CURL *easy = pool->idle_count ? pool->idle[--pool->idle_count] : NULL;
    pthread_mutex_unlock(&pool->lock);
    if (!easy)
        easy = curl_easy_init();
    if (!easy)
        abort();
    return easy;
}

static void give(struct http_pool *pool, CURL *easy)
{
    curl_easy_reset(easy); /* drops the pointers into the request; connections stay */
    pthread_mutex_lock(&pool->lock);
    bool kept = pool->idle_count < POOL_IDLE_MAX;
    if (kept)
        pool->idle[pool->idle_count++] = easy;
    pthread_mutex_unlock(&pool->lock);
    if (!kept)
        curl_easy_cleanup(easy);
}

static size_t collect_body(char *bytes, size_t size, size_t count, void *body)
{
    str_add_bytes(body, bytes, size * count);
    return ((struct str *)body)->overflow ? 0 : size * count;
}

/* What a single exchange needs besides the pool. */
struct exchange {
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    struct str body;
    int timeout_ms;
    char what[CURL_ERROR_SIZE];
};

static int prepare(struct exchange *exchange, const struct http_target *target, const char *url,
                   const struct http_request *request)
{
    CURL *easy = exchange->easy;
    if (target_prepare(easy, target) < 0 || target_authorize(easy, target) < 0)
        return -1;
    exchange->headers = target_header(exchange->headers, "Accept", request->accept);
    exchange->headers = target_header(exchange->headers, "Content-Type", request->content_type);
    exchange->headers = target_header(exchange->headers, "Expect", ""); /* no 100-continue */
    for (const char *const *line = request->headers; line && *line; line++)
        exchange->headers = target_line(exchange->headers, *line);
    if (target->connect_to) { /* whatever host and port the URL has */
        char line[512];
        snprintf(line, sizeof line, "::%s", target->connect_to);
        exchange->connect_to = target_line(NULL, line);
    }
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, url);
    rc |= curl_easy_setopt(easy, CURLOPT_CONNECT_TO, exchange->connect_to);
    rc |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* dots belong to what was signed */
    /* A connection carries one call at a time: HTTP/2 would only add its bookkeeping. */
    rc |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (request->body) {
        rc |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
        rc |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
    }
    rc |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    rc |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
    rc |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)exchange->timeout_ms);
    rc |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->what);
    rc |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect_body);
    rc |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange->body);
    return rc == CURLE_OK ? 0 : -1;
}

/* libcurl's verdict as ours. A connect that took too long is a server that is away. */
static int explain(struct ctx *ctx, const struct exchange *exchange, CURLcode rc,
                   const struct http_target *target, const struct http_request *request)
{
    const char *what = *exchange->what ? exchange->what : curl_easy_strerror(rc);
    if (exchange->body.overflow)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "%s %s: the answer is over %zu bytes",
                       request->method, target->base_url, exchange->body.cap);
    double connected_s = 0;
    curl_easy_getinfo(exchange->easy, CURLINFO_PRETRANSFER_TIME, &connected_s);
    bool late = rc == CURLE_OPERATION_TIMEDOUT &&
                (connected_s > 0 || exchange->timeout_ms <= HTTP_CONNECT_TIMEOUT_MS);
    return err_set(ctx, late ? ERR_TIMEOUT : ERR_UNAVAILABLE, NULL, "%s %s: %s", request->method,
                   target->base_url, what);
}

static void keep_body(struct arena *arena, struct str *body, struct http_response *ret)
{
    ret->body_bytes = body->length;
    if (!body->data) {
        ret->body = arena_strdup(arena, "");
        return;
    }
    ret->body = body->data; /* handed over, not copied: answers can be large */
    arena_defer(arena, free, body->data);
    *body = (struct str){0};
}

static char *kept_header(struct arena *arena, CURL *easy, const char *name)
{
    struct str text;
    struct curl_header *header = NULL;
    str_init(&text, HTTP_KEPT_MAX_BYTES);
    for (size_t at = 0; curl_easy_header(easy, name, at, CURLH_HEADER, -1, &header) == CURLHE_OK;
         at++)
        str_printf(&text, "%s%s", at ? "\n" : "", header->value);
    char *copy = text.length && !text.overflow ? arena_strdup(arena, text.data) : NULL;
    str_done(&text);
    return copy;
}

static void keep_headers(struct arena *arena, CURL *easy, const char *const *names,
                         struct http_response *ret)
{
    size_t count = 0;
    while (names && names[count])
        count++;
    if (!count)
        return;
    ret->kept = arena_alloc(arena, count * sizeof *ret->kept);
    for (size_t at = 0; at < count; at++)
        ret->kept[at] = kept_header(arena, easy, names[at]);
}

int http_call(struct ctx *ctx, struct http_pool *pool, const struct http_request *request,
              struct http_response *ret)
{
    *ret = (struct http_response){0};
    struct exchange exchange = {.timeout_ms = ctx_left_ms(ctx, HTTP_DEFAULT_TIMEOUT_MS)};
    if (exchange.timeout_ms <= 0)
        return err_set(ctx, ERR_TIMEOUT, NULL, "%s %s: the deadline passed before sending",
                       request->method, pool->target->base_url);

    char *url = arena_printf(ctx->arena, "%s%s", pool->target->base_url, request->path);
    str_init(&exchange.body,
             request->answer_max_bytes ? request->answer_max_bytes : HTTP_BODY_MAX_BYTES);
    exchange.easy = take(pool);
    int rc;
    CURLcode verdict = CURLE_FAILED_INIT;
    if (prepare(&exchange, pool->target, url, request) == 0)
        verdict = curl_easy_perform(exchange.easy);
    if (verdict == CURLE_OK) {
        long status = 0;
        curl_off_t retry_after_s = 0;
        curl_easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(exchange.easy, CURLINFO_RETRY_AFTER, &retry_after_s);
        ret->status = (int)status;
        ret->retry_after_ms = retry_after_s > 3600 ? 3600000 : (int)retry_after_s * 1000;
        keep_headers(ctx->arena, exchange.easy, request->keep, ret);
        keep_body(ctx->arena, &exchange.body, ret);
        rc = 0;
    } else {
        rc = explain(ctx, &exchange, verdict, pool->target, request);
    }
    str_done(&exchange.body);
    give(pool, exchange.easy);
    curl_slist_free_all(exchange.headers);
    curl_slist_free_all(exchange.connect_to);
    return rc;
}

char *http_encode(struct ctx *ctx, const char *text)
{
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char hex[] = "0123456789ABCDEF";
    char *encoded = arena_alloc(ctx->arena, strlen(text) * 3 + 1);
    char *to = encoded;
    for (const char *from = text; *from; from++) {
        unsigned char c = (unsigned char)*from;
        if (strchr(unreserved, c)) {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    return encoded;
}
