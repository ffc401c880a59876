/*
 * What the s3 driver of Harbor's registry does, with the rights that our policy gives: a real
 * versitygw decides. Its requests carry a canned ACL and a storage class.
 */
#include "tests/backends/s3_stores.h"

#include "server/base/xml.h"

static const struct sigv4_pair registry_headers[] = {{"x-amz-acl", "private"},
                                                     {"x-amz-storage-class", "STANDARD"}};

struct work {
    struct ctx *ctx;
    struct s3_want want;
    const char *bucket;
};

static int send_as_registry(const struct work *work, const char *method, const char *key,
                            const struct sigv4_pair *query, size_t query_count,
                            const struct sigv4_pair *headers, size_t header_count, const char *body,
                            struct http_response *ret)
{
    const struct s3_request request = {
        .method = method,
        .path = arena_printf(work->ctx->arena, *key ? "/%s/%s" : "/%s%s", work->bucket, key),
        .query = query,
        .query_count = query_count,
        .headers = headers,
        .header_count = header_count,
        .content_type = body ? "application/octet-stream" : NULL,
        .body = body,
        .body_bytes = body ? strlen(body) : 0};
    return test_send(work->ctx, &work->want.keys[0], &request, ret);
}

/* The text of the first element of that name. */
static char *text_of(struct ctx *ctx, const struct http_response *response, const char *name)
{
    struct xml xml;
    xml_init(&xml, response->body, response->body_bytes);
    for (enum xml_event event; (event = xml_next(&xml)) <= XML_CLOSE;)
        if (event == XML_CLOSE && str_equal(xml.name, name))
            return arena_strdup(ctx->arena, xml.text);
    fail_msg("no %s in %s", name, response->body);
    return NULL;
}

static void uploads_in_parts(struct ctx *ctx, const struct work *work)
{
    static const struct sigv4_pair start[] = {{"uploads", NULL}};
    struct http_response response;
    SUCCEEDS(ctx, send_as_registry(work, "POST", "docker/upload", start, 1, registry_headers, 2, "",
                                   &response));
    const struct sigv4_pair id = {"uploadId", text_of(ctx, &response, "UploadId")};
    const struct sigv4_pair part[] = {id, {"partNumber", "1"}};
    SUCCEEDS(ctx, send_as_registry(work, "GET", "", start, 1, NULL, 0, NULL, &response));
    assert_non_null(strstr(response.body, "docker/upload"));
    SUCCEEDS(ctx, send_as_registry(work, "PUT", "docker/upload", part, 2, NULL, 0, "layer", NULL));
    SUCCEEDS(ctx, send_as_registry(work, "GET", "docker/upload", &id, 1, NULL, 0, NULL, &response));
    const char *body = arena_printf(ctx->arena,
                                    "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
                                    "<ETag>%s</ETag></Part></CompleteMultipartUpload>",
                                    text_of(ctx, &response, "ETag"));
    SUCCEEDS(ctx, send_as_registry(work, "POST", "docker/upload", &id, 1, NULL, 0, body, NULL));
}

/* How a finished upload becomes a blob: copied, then deleted. */
static void moves(struct ctx *ctx, const struct work *work)
{
    const struct sigv4_pair copy[] = {
        {"x-amz-copy-source", arena_printf(ctx->arena, "%s/docker/upload", work->bucket)},
        registry_headers[0],
        registry_headers[1]};
    static const struct sigv4_pair query[] = {{"delete", NULL}};
    static const struct sigv4_pair range[] = {{"Range", "bytes=1-3"}};
    struct http_response response;
    SUCCEEDS(ctx, send_as_registry(work, "PUT", "docker/blob", NULL, 0, copy, 3, "", NULL));
    SUCCEEDS(ctx, send_as_registry(work, "POST", "", query, 1, NULL, 0,
                                   "<Delete><Object><Key>docker/upload</Key></Object></Delete>",
                                   &response));
    assert_null(strstr(response.body, "<Error>"));
    SUCCEEDS(ctx, send_as_registry(work, "GET", "docker/blob", NULL, 0, range, 1, NULL, &response));
    assert_string_equal(response.body, "aye");
    assert_int_equal(
        send_as_registry(work, "GET", "docker/upload", NULL, 0, NULL, 0, NULL, &response),
        -ERR_NOT_FOUND);
}

static void a_registry_can_work(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool pool = test_pool();
    struct work work = {.ctx = ctx, .want = test_want(ctx)};
    static const struct sigv4_pair location[] = {{"location", NULL}};
    const char *before = test_snapshot(ctx);
    work.bucket = s3_name(ctx, work.want.identity);
    SUCCEEDS(ctx, test_converge(ctx, &pool, &work.want, NULL));
    SUCCEEDS(ctx, send_as_registry(&work, "GET", "", location, 1, NULL, 0, NULL, NULL));
    SUCCEEDS(ctx, send_as_registry(&work, "PUT", "docker/link", NULL, 0, registry_headers, 2,
                                   "sha256:0", NULL));
    uploads_in_parts(ctx, &work);
    moves(ctx, &work);
    SUCCEEDS(ctx, test_remove(ctx, &work.want, NULL));
    assert_string_equal(test_snapshot(ctx), before);
}

/* A gateway that went and came back kept all; one that hangs costs no more than the deadline. */
static void the_gateway_may_die_and_hang(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool pool = test_pool();
    const char *const crash[] = {"server/dev/stack", "kill", stack.dir, "s3-pool", NULL};
    const char *const start[] = {"server/dev/stack", "start", stack.dir, "s3-pool", NULL};
    const char *const stop[] = {"server/dev/stack", "signal", stack.dir, "s3-pool", "STOP", NULL};
    const char *const go_on[] = {"server/dev/stack", "signal", stack.dir, "s3-pool", "CONT", NULL};
    struct s3_want want = test_want(ctx);
    int changes = -1;
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    assert_int_equal(servers_run(crash, NULL, 0), 0);
    assert_int_equal(test_converge(ctx, &pool, &want, NULL), -ERR_UNAVAILABLE);
    assert_int_equal(servers_run(start, NULL, 0), 0);
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, &changes));
    assert_int_equal(changes, 0);

    assert_int_equal(servers_run(stop, NULL, 0), 0);
    int64_t started_ms = clock_boottime_ms();
    ctx->deadline_ms = started_ms + 500;
    int rc = test_converge(ctx, &pool, &want, NULL);
    int64_t took_ms = clock_boottime_ms() - started_ms;
    ctx->deadline_ms = 0;
    assert_int_equal(servers_run(go_on, NULL, 0), 0);
    assert_int_equal(rc, -ERR_TIMEOUT);
    assert_true(took_ms < 2000);
    SUCCEEDS(ctx, test_remove(ctx, &want, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_registry_can_work),
        TEST(the_gateway_may_die_and_hang),
    };
    return cmocka_run_group_tests_name("versitygw", tests, start_versitygw, stop_versitygw);
}
