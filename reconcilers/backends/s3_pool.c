/*
 * A pool as a whole: does it answer its administrator, whose pool is it, what in it is ours. The
 * owner mark of a pool is the object `cell` in the administrator's bucket `flotilla-pool`: a store
 * that two clusters believe to be theirs would hand each identity's bucket to both.
 */
#include "reconcilers/backends/s3_session.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/xml.h"

#include <string.h>

enum { MARKED_MAX = 200000 };

static const char mark_path[] = "/" S3_POOL_BUCKET "/" S3_POOL_OBJECT;

static int read_owner(struct ctx *ctx, struct s3 *s3, const char **ret)
{
    const struct s3_request request = {.method = "GET", .path = mark_path};
    struct http_response response;
    bool found;
    TRY(s3_maybe(ctx, s3_query(ctx, s3, CALL_S3_POOL_CHECK, NULL, &request, &response), &found));
    *ret = found ? response.body : NULL;
    return 0;
}

/* Only where none is: of two first visitors one must find the other's. */
static int write_owner(struct ctx *ctx, struct s3 *s3)
{
    static const struct sigv4_pair headers[] = {{"If-None-Match", "*"}};
    const struct s3_request bucket = {
        .method = "PUT", .path = "/" S3_POOL_BUCKET, .content_type = "application/xml", .body = ""};
    const struct s3_request mark = {.method = "PUT",
                                    .path = mark_path,
                                    .content_type = "text/plain",
                                    .headers = headers,
                                    .header_count = ARRAY_SIZE(headers),
                                    .body = s3->pool->cell,
                                    .body_bytes = strlen(s3->pool->cell)};
    const struct s3_request *const requests[] = {&bucket, &mark};
    for (size_t at = 0; at < ARRAY_SIZE(requests); at++) {
        int rc = s3_change(ctx, s3, CALL_S3_POOL_CHECK, requests[at]);
        if (rc == -ERR_ALREADY_EXISTS)
            err_clear(ctx); /* that is read next */
        else
            TRY(rc);
    }
    return 0;
}

static int check(struct ctx *ctx, struct s3 *s3, struct s3_health *ret)
{
    *ret = (struct s3_health){0};
    if (!s3->driver->administered) {
        const struct s3_request request = {.method = "GET", .path = "/"};
        static const struct s3_key nobody = {"flotilla", "flotilla"};
        int rc = s3_query(ctx, s3, CALL_S3_POOL_CHECK, &nobody, &request, NULL);
        ret->ours = rc == 0 || rc == -ERR_DENIED || rc == -ERR_REFUSED;
        if (!ret->ours)
            return rc;
        err_clear(ctx); /* it answers; whose each bucket is, its mark tells */
        return 0;
    }
    TRY(read_owner(ctx, s3, &ret->owner));
    if (!ret->owner) {
        TRY(write_owner(ctx, s3));
        TRY(read_owner(ctx, s3, &ret->owner));
    }
    ret->ours = str_equal(ret->owner, s3->pool->cell);
    return 0;
}

int s3_check(struct ctx *ctx, const struct s3_pool *pool, struct s3_health *ret)
{
    struct s3 *s3 = NULL;
    TRY(s3_enter(ctx, pool, &s3));
    int rc = check(ctx, s3, ret);
    s3_end(s3);
    return rc;
}

/* ---- list ---- */

static void append(json_t *list, const char *kind, const char *name, const char *identity)
{
    json_array_append_new(
        list, json_pack("{s:s, s:s, s:s}", "kind", kind, "name", name, "identity", identity));
}

/* A bucket with our mark can have one name only; others are not asked. */
static int take_bucket(struct ctx *ctx, struct s3 *s3, const char *name, json_t *list)
{
    const char *identity = str_starts(name, "t-") ? name + 2 : "";
    const char *mark = s3_mark(ctx, s3->pool, identity);
    bool marked = false;
    if (!s3_identity_of(s3, mark))
        return 0;
    s3->bucket = name;
    s3->mark = mark;
    TRY(s3_marked(ctx, s3, CALL_S3_LIST, &marked));
    if (marked)
        append(list, "Bucket", name, identity);
    return 0;
}

static int take_buckets(struct ctx *ctx, struct s3 *s3, const struct http_response *response,
                        json_t *list, char **ret_next)
{
    struct xml xml;
    enum xml_event event;
    *ret_next = NULL;
    xml_init(&xml, response->body, response->body_bytes);
    while ((event = xml_next(&xml)) <= XML_CLOSE) {
        if (event != XML_CLOSE)
            continue;
        if (xml.depth == 4 && str_equal(xml.name, "Name"))
            TRY(take_bucket(ctx, s3, arena_strdup(ctx->arena, xml.text), list));
        if (xml.depth == 2 && str_equal(xml.name, "ContinuationToken") && *xml.text)
            *ret_next = arena_strdup(ctx->arena, xml.text);
    }
    if (event == XML_BAD)
        return err_set(ctx, ERR_PROTOCOL, NULL, "the list of buckets of pool '%s' is no XML",
                       s3->pool->name);
    if (json_array_size(list) > MARKED_MAX)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "pool '%s' has more than %d marked objects",
                       s3->pool->name, MARKED_MAX);
    return 0;
}

static int list_buckets(struct ctx *ctx, struct s3 *s3, json_t *list)
{
    char *next = NULL;
    do {
        const struct sigv4_pair query[] = {{"max-buckets", "1000"}, {"continuation-token", next}};
        const struct s3_request request = {
            .method = "GET", .path = "/", .query = query, .query_count = next ? 2 : 1};
        struct http_response response;
        TRY(s3_query(ctx, s3, CALL_S3_LIST, NULL, &request, &response));
        TRY(take_buckets(ctx, s3, &response, list, &next));
    } while (next);
    return 0;
}

static int list_all(struct ctx *ctx, struct s3 *s3, json_t *list)
{
    struct s3_account *accounts = NULL;
    int count = 0;
    if (!s3->driver->administered)
        return 0;
    TRY(s3->driver->list(ctx, s3, &accounts, &count));
    for (int at = 0; at < count; at++)
        append(list, "Account", accounts[at].name, accounts[at].identity);
    return list_buckets(ctx, s3, list);
}

int s3_list(struct ctx *ctx, const struct s3_pool *pool, json_t **ret)
{
    struct s3 *s3 = NULL;
    json_t *list = arena_json(ctx->arena, json_array());
    TRY(s3_enter(ctx, pool, &s3));
    int rc = list_all(ctx, s3, list);
    s3_end(s3);
    *ret = list;
    return rc;
}
