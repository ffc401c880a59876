/*
 * Emptying a bucket: pages of a list from its beginning, each removed before the next is asked for,
 * until a list is empty. So it can stop anywhere and go on later, and nothing is kept in between.
 */
#include "reconcilers/backends/s3_session.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/base/xml.h"

#include <string.h>

enum {
    PAGES_MAX = 32, /* per call, of up to 1000 each: what one pass may hold in memory */
    DELETE_MAX_BYTES = 8 << 20,
    TIME_LEFT_MS = 2000,
    AGAIN_MS = 200,
};

/* Versions first, with whatever deletions left behind. Not every store knows them, and not every
 * key may list them. */
static const struct listing {
    struct sigv4_pair query[2];
    const char *elements[2]; /* of depth 2: what one thing to remove is called */
} listings[] = {
    {{{"versions", NULL}, {"max-keys", "1000"}}, {"Version", "DeleteMarker"}},
    {{{"list-type", "2"}, {"max-keys", "1000"}}, {"Contents", NULL}},
};
static const struct listing uploads = {{{"uploads", NULL}, {"max-uploads", "1000"}},
                                       {"Upload", NULL}};

struct thing {
    char *key, *version; /* or upload */
};

struct page {
    struct thing thing[1000];
    int count;
};

static int read_page(struct ctx *ctx, const struct http_response *response,
                     const struct listing *listing, struct page *ret)
{
    struct thing thing = {0};
    struct xml xml;
    enum xml_event event;
    ret->count = 0;
    xml_init(&xml, response->body, response->body_bytes);
    while ((event = xml_next(&xml)) <= XML_CLOSE) {
        if (event != XML_CLOSE || xml.depth > 3)
            continue;
        bool leaf = xml.depth == 3;
        if (leaf && str_equal(xml.name, "Key"))
            thing.key = arena_strdup(ctx->arena, xml.text);
        else if (leaf && (str_equal(xml.name, "VersionId") || str_equal(xml.name, "UploadId")))
            thing.version = arena_strdup(ctx->arena, xml.text);
        if (leaf || (!str_equal(xml.name, listing->elements[0]) &&
                     !str_equal(xml.name, listing->elements[1])))
            continue;
        if (thing.key && ret->count < (int)ARRAY_SIZE(ret->thing))
            ret->thing[ret->count++] = thing;
        thing = (struct thing){0};
    }
    if (event == XML_BAD)
        return err_set(ctx, ERR_PROTOCOL, NULL, "a list of a bucket is no XML");
    return 0;
}

static int list_page(struct ctx *ctx, struct s3 *s3, const struct listing *listing,
                     struct page *ret)
{
    const struct s3_request request = {.method = "GET",
                                       .path = arena_printf(ctx->arena, "/%s", s3->bucket),
                                       .query = listing->query,
                                       .query_count = ARRAY_SIZE(listing->query)};
    struct http_response response;
    TRY(s3_query(ctx, s3, CALL_S3_OBSERVE, s3_worker(s3), &request, &response));
    return read_page(ctx, &response, listing, ret);
}

/* The mark of a static bucket goes last, when all else is gone. */
static bool stays(const struct s3 *s3, const struct thing *thing)
{
    return !s3->driver->administered && str_equal(thing->key, S3_MARK_OBJECT);
}

/* The store answers 200 even where it removed nothing: what it could not do stands in the answer.
 */
static int check_result(struct ctx *ctx, const struct s3 *s3, const struct http_response *response)
{
    struct xml xml;
    char code[ERR_REASON_BYTES] = "";
    xml_init(&xml, response->body, response->body_bytes);
    for (enum xml_event event; (event = xml_next(&xml)) <= XML_CLOSE;)
        if (event == XML_CLOSE && xml.depth == 3 && str_equal(xml.name, "Code") && !*code)
            snprintf(code, sizeof code, "%.*s", (int)sizeof code - 1, xml.text);
    if (*code)
        return err_set(ctx, ERR_REFUSED, "NotEmptied", "bucket '%s': objects stay: %s", s3->bucket,
                       code);
    return 0;
}

static int send_delete(struct ctx *ctx, struct s3 *s3, const struct str *body)
{
    static const struct sigv4_pair query[] = {{"delete", NULL}};
    if (body->overflow)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "the names in bucket '%s' are too long",
                       s3->bucket);
    const struct s3_request request = {.method = "POST",
                                       .path = arena_printf(ctx->arena, "/%s", s3->bucket),
                                       .query = query,
                                       .query_count = ARRAY_SIZE(query),
                                       .content_type = "application/xml",
                                       .body = body->data,
                                       .body_bytes = body->length};
    struct http_response response;
    s3->changes++;
    TRY(s3_write(ctx, s3, CALL_S3_OBJECTS_DELETE, s3_worker(s3), &request, &response));
    return check_result(ctx, s3, &response);
}

/* Removes a page's objects; *ret_count = how many. */
static int delete_objects(struct ctx *ctx, struct s3 *s3, const struct page *page, int *ret_count)
{
    _cleanup_str_ struct str body;
    str_init(&body, DELETE_MAX_BYTES);
    str_add(&body, "<Delete><Quiet>true</Quiet>");
    *ret_count = 0;
    for (int at = 0; at < page->count; at++) {
        const struct thing *thing = &page->thing[at];
        if (stays(s3, thing))
            continue;
        str_printf(&body, "<Object><Key>%s</Key>", s3_xml(ctx, thing->key));
        if (thing->version && *thing->version)
            str_printf(&body, "<VersionId>%s</VersionId>", s3_xml(ctx, thing->version));
        str_add(&body, "</Object>");
        ++*ret_count;
    }
    str_add(&body, "</Delete>");
    return *ret_count ? send_delete(ctx, s3, &body) : 0;
}

static int abort_uploads(struct ctx *ctx, struct s3 *s3, const struct page *page, int *ret_count)
{
    for (int at = 0; at < page->count; at++) {
        const struct thing *thing = &page->thing[at];
        const struct sigv4_pair query[] = {{"uploadId", thing->version}};
        const struct s3_request request = {
            .method = "DELETE",
            .path = arena_printf(ctx->arena, "/%s/%s", s3->bucket, thing->key),
            .query = query,
            .query_count = ARRAY_SIZE(query)};
        bool found;
        TRY(s3_maybe(ctx, s3_change(ctx, s3, CALL_S3_OBJECTS_DELETE, &request), &found));
    }
    *ret_count = page->count;
    return 0;
}

typedef int remove_page_fn(struct ctx *ctx, struct s3 *s3, const struct page *page, int *ret_count);

/* Until a page has nothing to remove; `pages` counts over all lists of one call. */
static int drain(struct ctx *ctx, struct s3 *s3, const struct listing *listing,
                 remove_page_fn *remove_page, int *pages)
{
    struct page *page = arena_alloc(ctx->arena, sizeof *page);
    for (int removed = 1; removed > 0;) {
        if (++*pages > PAGES_MAX || ctx_left_ms(ctx, TIME_LEFT_MS) < TIME_LEFT_MS) {
            int rc = err_set(ctx, ERR_UNAVAILABLE, "BucketEmptying",
                             "bucket '%s' is not empty yet; this goes on", s3->bucket);
            ctx->err.retry_after_ms = AGAIN_MS;
            return rc;
        }
        TRY(list_page(ctx, s3, listing, page));
        TRY(remove_page(ctx, s3, page, &removed));
    }
    return 0;
}

int s3_empty(struct ctx *ctx, struct s3 *s3)
{
    int pages = 0;
    int rc = drain(ctx, s3, &listings[0], delete_objects, &pages);
    if ((rc == -ERR_REFUSED || rc == -ERR_DENIED) && pages == 1 &&
        !s3_error_is(ctx, "NotEmptied")) {
        err_clear(ctx);
        rc = 0;
    }
    TRY(rc);
    TRY(drain(ctx, s3, &listings[1], delete_objects, &pages));
    return drain(ctx, s3, &uploads, abort_uploads, &pages);
}

int s3_remove_under(struct ctx *ctx, struct s3 *s3, const char *prefix)
{
    const struct listing listing = {{{"list-type", "2"}, {"prefix", prefix}}, {"Contents", NULL}};
    int pages = 0;
    return drain(ctx, s3, &listing, delete_objects, &pages);
}
