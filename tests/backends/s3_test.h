/*
 * What the tests of object stores share: which store they speak with, and short forms of what they
 * do again and again. The same cases run on a real versitygw and on tests/backends/radosgw.py,
 * which checks each signature by itself.
 */
#pragma once

#include "reconcilers/backends/gate.h"
#include "reconcilers/backends/s3.h"
#include "server/adapters/curl.h"
#include "server/adapters/s3.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "tests/backends/servers.h"

#define CELL "11111111-2222-3333-4444-555555555555"
#define SECRET "Zm9vYmFyQmF6UXV4MTIzNDU2Nzg5MAabcdefghij"

struct store {
    char driver[16], host[32], region[32], access[64], secret[64];
    int port;
    struct backend_gates *gates;
};
extern struct store store;

static inline struct s3_pool test_pool(void)
{
    return (struct s3_pool){.name = "pool",
                            .host = store.host,
                            .port = store.port,
                            .ssl_mode = "disable",
                            .region = store.region,
                            .driver = store.driver,
                            .access_key = store.access,
                            .secret_key = store.secret,
                            .cell = CELL,
                            .gates = store.gates};
}

/* A want of its own for each case, with one key. */
static inline struct s3_want test_want(struct ctx *ctx)
{
    static int number;
    char identity[17] = "aaaaaaaaaaaaaaaa";
    int n = ++number * 32 + (int)(getpid() % 32);
    for (int at = 15; at >= 0 && n; at--, n /= 32)
        identity[at] = "abcdefghijklmnopqrstuvwxyz234567"[n % 32];
    const char *kept = arena_strdup(ctx->arena, identity);
    return (struct s3_want){
        .identity = kept,
        .keys = {{arena_printf(ctx->arena, "%sk1", s3_prefix(ctx, kept)), SECRET "one"}},
        .open = true};
}

/* begin, observe, create, update, end; *changes may be NULL. */
static inline int test_converge(struct ctx *ctx, const struct s3_pool *pool,
                                const struct s3_want *want, int *changes)
{
    _cleanup_s3_ struct s3 *s3 = NULL;
    struct s3_state state;
    TRY(s3_begin(ctx, pool, want, &s3));
    TRY(s3_observe(ctx, s3, &state));
    if (want->open)
        TRY(s3_create(ctx, s3, &state));
    TRY(s3_update(ctx, s3, &state));
    if (changes)
        *changes = s3_changes(s3);
    return 0;
}

static inline int test_observe(struct ctx *ctx, const struct s3_want *want, struct s3_state *ret)
{
    const struct s3_pool pool = test_pool();
    _cleanup_s3_ struct s3 *s3 = NULL;
    TRY(s3_begin(ctx, &pool, want, &s3));
    return s3_observe(ctx, s3, ret);
}

static inline int test_remove(struct ctx *ctx, const struct s3_want *want, int *changes)
{
    const struct s3_pool pool = test_pool();
    _cleanup_s3_ struct s3 *s3 = NULL;
    TRY(s3_begin(ctx, &pool, want, &s3));
    int rc = s3_remove(ctx, s3);
    if (changes)
        *changes = s3_changes(s3);
    return rc;
}

/* One request with any key; key NULL is the administrator. */
static inline int test_send(struct ctx *ctx, const struct s3_key *key,
                            const struct s3_request *request, struct http_response *ret)
{
    struct http_response unread;
    struct s3_store *open = NULL;
    const struct s3_address address = {
        .host = store.host, .port = store.port, .ssl_mode = "disable", .region = store.region};
    TRY(s3_store_new(ctx, &address, &open));
    int rc = s3_call(ctx, open, key ? key->access : store.access, key ? key->secret : store.secret,
                     request, ret ? ret : &unread);
    s3_store_free(open);
    return rc;
}

static inline int test_do(struct ctx *ctx, const struct s3_key *key, const char *method,
                          const char *path, const char *query, const char *body,
                          struct http_response *ret)
{
    const struct sigv4_pair pair = {query, NULL};
    const struct s3_request request = {.method = method,
                                       .path = path,
                                       .query = &pair,
                                       .query_count = query ? 1 : 0,
                                       .content_type = body ? "application/xml" : NULL,
                                       .body = body,
                                       .body_bytes = body ? strlen(body) : 0};
    return test_send(ctx, key, &request, ret);
}

/* HTTP status of a GET by presigned URL. */
static inline int test_presigned(struct ctx *ctx, const struct s3_key *key, const char *path)
{
    char time[SIGV4_TIME_BYTES];
    int64_t now_s = clock_wall_ms() / 1000;
    sigv4_time(time, now_s);
    const char *host = arena_printf(ctx->arena, "%s:%d", store.host, store.port);
    const struct sigv4_pair headers[] = {{"Host", host}};
    const struct sigv4_pair query[] = {
        {"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
        {"X-Amz-Credential",
         arena_printf(ctx->arena, "%s/%.8s/%s/s3/aws4_request", key->access, time, store.region)},
        {"X-Amz-Date", time},
        {"X-Amz-Expires", "600"},
        {"X-Amz-SignedHeaders", "host"}};
    const struct sigv4_request signing = {.method = "GET",
                                          .path = path,
                                          .query = query,
                                          .query_count = ARRAY_SIZE(query),
                                          .headers = headers,
                                          .header_count = 1,
                                          .payload_hash = "UNSIGNED-PAYLOAD",
                                          .time_s = now_s,
                                          .region = store.region,
                                          .service = "s3",
                                          .access_key = key->access,
                                          .secret_key = key->secret};
    struct sigv4_signature signature;
    struct http_response response;
    sigv4_sign(ctx->arena, &signing, &signature);
    const struct http_request request = {
        .method = "GET",
        .path = arena_printf(ctx->arena, "%s?%s&X-Amz-Signature=%s", sigv4_path(ctx->arena, path),
                             sigv4_query(ctx->arena, query, ARRAY_SIZE(query)), signature.hex)};
    struct http_pool *http = http_pool_new(
        &(struct http_target){.base_url = arena_printf(ctx->arena, "http://%s", host)});
    int rc = http_call(ctx, http, &request, &response);
    http_pool_free(http);
    return rc < 0 ? rc : response.status;
}

/* All buckets and accounts of the store, and what of them is ours, as one text. */
static inline char *test_snapshot(struct ctx *ctx)
{
    bool versitygw = str_equal(store.driver, "versitygw");
    const struct s3_pool pool = test_pool();
    struct http_response buckets, users;
    json_t *ours = NULL;
    assert_int_equal(test_do(ctx, NULL, "GET", "/", NULL, NULL, &buckets), 0);
    assert_int_equal(test_do(ctx, NULL, versitygw ? "PATCH" : "GET",
                             versitygw ? "/list-users" : "/admin/user", versitygw ? NULL : "list",
                             versitygw ? "" : NULL, &users),
                     0);
    assert_int_equal(s3_list(ctx, &pool, &ours), 0);
    return arena_printf(ctx->arena, "%s\n%s\n%s", buckets.body, users.body,
                        json_text(ctx->arena, ours));
}
