/* Lists of large objects, from a server that answers as many as it is asked for. */
#include "reconcilers/kube/client.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/http_server.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 300, PAGE_FITS = 40 };

static struct {
    char *too_large; /* one byte over what the client takes */
    int most;        /* objects in a page that fits */
    int requests;
} world;

static int number_of(const struct request *request, const char *name)
{
    int64_t number = 0;
    const char *text = request_query(request, name);
    assert_true(!text || str_to_int(text, 0, OBJECTS * 2, &number));
    return (int)number;
}

/* A page from number `continue` on; one with more objects than fit is too large. */
static void answer(struct ctx *ctx, void *arg, const struct request *request,
                   struct response *response)
{
    (void)arg;
    int from = number_of(request, "continue"), to = from + number_of(request, "limit");
    if (to > OBJECTS)
        to = OBJECTS;
    world.requests++;
    if (to - from > world.most) {
        response->status = 200;
        response->content_type = "application/json";
        response->body = world.too_large;
        response->body_bytes = HTTP_BODY_MAX_BYTES + 1;
        return;
    }
    json_t *items = json_array();
    for (int at = from; at < to; at++)
        json_array_append_new(items, json_pack("{s:{s:i}}", "metadata", "number", at));
    json_t *page =
        json_pack("{s:{s:s}, s:o}", "metadata", "continue",
                  to < OBJECTS ? arena_printf(ctx->arena, "%d", to) : "", "items", items);
    response_json(ctx, response, 200, page);
    json_decref(page);
}

static int list(struct ctx *ctx, int most, json_t **ret)
{
    struct http_server *server;
    world.most = most;
    world.requests = 0;
    const struct http_server_options options = {
        .address = "127.0.0.1", .workers = 1, .handler = answer};
    assert_int_equal(http_server_start(ctx, &options, &server), 0);
    struct kube kube = {.target = {.base_url = arena_printf(ctx->arena, "http://127.0.0.1:%d",
                                                            http_server_port(server))}};
    kube.pool = http_pool_new(&kube.target);
    ctx->deadline_ms = clock_boottime_ms() + 60000;
    int rc = kube_list(ctx, CALL_NONE, &kube, KIND_SECRET, NULL, NULL, ret);
    http_pool_free(kube.pool);
    http_server_stop(server);
    return rc;
}

static void test_pages_are_halved_until_they_fit(void **state)
{
    struct ctx *ctx = *state;
    json_t *all;
    assert_int_equal(list(ctx, PAGE_FITS, &all), 0);
    assert_int_equal(json_array_size(all), OBJECTS);
    for (int at = 0; at < OBJECTS; at++)
        assert_int_equal(json_int_or(json_array_get(all, at), "metadata.number", -1), at);
    assert_int_equal(ctx->err.code, 0);
}

static void test_one_object_that_does_not_fit_is_an_error(void **state)
{
    struct ctx *ctx = *state;
    json_t *all;
    assert_int_equal(list(ctx, 0, &all), -ERR_TOO_LARGE);
    assert_int_equal(world.requests, 9); /* 500, 250, ... 1 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pages_are_halved_until_they_fit),
        TEST(test_one_object_that_does_not_fit_is_an_error),
    };
    world.too_large = calloc(1, HTTP_BODY_MAX_BYTES + 1);
    if (!world.too_large)
        abort();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(world.too_large);
    return failed;
}
