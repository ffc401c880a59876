/* Paths to routes, and rates. */
#include "../../test.h"

#include "server/base/clock.h"
#include "server/http/api.h"
#include "server/http/limits.h"

#include <string.h>

#define T "tn_06h261b1kps5h4mghp67t9n7jk"
#define R "reg_06h261b25loed80ne5jgga9i8s"

static const struct route routes[] = {
    {"GET", "/v1/tenants", PERMISSION_PROVIDER, "", NULL, ""},
    {"POST", "/v1/tenants", PERMISSION_PROVIDER, "", NULL, ""},
    {"GET", "/v1/tenants/{t}", PERMISSION_TENANT, "", NULL, ""},
    {"GET", "/v1/tenants/{t}/registries/{id}", PERMISSION_TENANT, "", NULL, ""},
    {"POST", "/v1/tenants/{t}/registries/{id}:undo", PERMISSION_TENANT, "", NULL, ""},
    {0},
};

static int find(struct ctx *ctx, const char *method, const char *path, struct api_call *call,
                struct response *response)
{
    struct request *request = arena_alloc(ctx->arena, sizeof *request);
    request->method = method;
    request->path = path;
    *response = (struct response){0};
    *call = (struct api_call){.request = request, .response = response};
    return router_find(ctx, routes, call);
}

static void test_finds(void **state)
{
    struct ctx *ctx = *state;
    struct api_call call;
    struct response response;
    assert_int_equal(find(ctx, "GET", "/v1/tenants", &call, &response), 0);
    assert_ptr_equal(call.route, &routes[0]);
    assert_int_equal(find(ctx, "HEAD", "/v1/tenants/" T, &call, &response), 0);
    assert_ptr_equal(call.route, &routes[2]);
    assert_int_equal(find(ctx, "GET", "/v1/tenants/" T "/registries/" R, &call, &response), 0);
    assert_ptr_equal(call.route, &routes[3]);
    assert_string_equal(call.param[0], T);
    assert_string_equal(call.param[1], R);
    assert_int_equal(find(ctx, "POST", "/v1/tenants/" T "/registries/" R ":undo", &call, &response),
                     0);
    assert_ptr_equal(call.route, &routes[4]);
    assert_string_equal(call.param[1], R);
}

static void test_refuses(void **state)
{
    struct ctx *ctx = *state;
    static const char *const none[] = {"/",
                                       "",
                                       "/v1",
                                       "/v1/tenants/",
                                       "/v1/tenants//registries/" R,
                                       "/v1/tenantsx",
                                       "/v1/tenants/" T "/registries",
                                       "/v1/tenants/" T "/registries/" R "/",
                                       "/v1/tenants/" T "/registries/" R ":x",
                                       "/v1/tenants/" T ":b",
                                       "/v1/tenants/password",
                                       "/v1/tenants/" T "/registries/" R "s"};
    struct api_call call;
    struct response response;
    for (size_t row = 0; row < sizeof none / sizeof none[0]; row++)
        assert_int_equal(find(ctx, "GET", none[row], &call, &response), -ERR_NOT_FOUND);
    const char *longest = arena_printf(ctx->arena, "/v1/tenants/%070d", 1);
    assert_int_equal(find(ctx, "GET", longest, &call, &response), -ERR_NOT_FOUND);
}

static void test_says_what_is_allowed(void **state)
{
    struct ctx *ctx = *state;
    struct api_call call;
    struct response response;
    assert_int_equal(find(ctx, "PUT", "/v1/tenants", &call, &response), -ERR_METHOD);
    assert_int_equal(response.headers, 1);
    assert_string_equal(response.header[0].name, "Allow");
    assert_string_equal(response.header[0].value, "GET, POST");
}

static void test_a_bucket_runs_dry_and_fills(void **state)
{
    struct ctx *ctx = *state;
    struct limits *limits = limits_new("requests", 50, 3);
    for (int at = 0; at < 3; at++) {
        assert_int_equal(limits_check(ctx, limits, "a", NULL), 0);
        limits_take(limits, "a");
    }
    assert_int_equal(limits_check(ctx, limits, "a", NULL), -ERR_RATE_LIMITED);
    assert_true(ctx->err.retry_after_ms > 0 && ctx->err.retry_after_ms <= 21);
    assert_int_equal(limits_check(ctx, limits, "b", NULL), 0);
    clock_sleep_ms(ctx->err.retry_after_ms + 5);
    assert_int_equal(limits_check(ctx, limits, "a", NULL), 0);
    limits_free(limits);
}

/* More names than the table holds, each far beyond its rate: none may find its bucket new. */
static void test_names_that_share_a_bucket_are_limited(void **state)
{
    struct ctx *ctx = *state;
    struct limits *limits = limits_new("requests", 1, 3);
    int passed = 0;
    for (int round = 0; round < 4; round++)
        for (int name = 0; name < 20000; name++) {
            char text[32];
            snprintf(text, sizeof text, "name %d", name);
            if (limits_check(ctx, limits, text, NULL) < 0)
                continue;
            limits_take(limits, text);
            passed++;
        }
    assert_true(passed >= 4096 * 3);
    assert_true(passed < 20000 * 2);
    limits_free(limits);
}

/* As long as there is room, nobody pays for others. */
static void test_names_have_buckets_of_their_own(void **state)
{
    struct ctx *ctx = *state;
    struct limits *limits = limits_new("requests", 1, 3);
    for (int take = 0; take < 40; take++)
        limits_take(limits, "greedy");
    for (int name = 0; name < 200; name++)
        assert_int_equal(limits_check(ctx, limits, arena_printf(ctx->arena, "n%d", name), NULL), 0);
    assert_int_equal(limits_check(ctx, limits, "greedy", NULL), -ERR_RATE_LIMITED);
    limits_free(limits);
}

static void test_no_rate_is_no_limit(void **state)
{
    struct ctx *ctx = *state;
    struct limits *limits = limits_new("requests", 0, 0);
    for (int at = 0; at < 1000; at++) {
        assert_int_equal(limits_check(ctx, limits, "a", NULL), 0);
        limits_take(limits, "a");
    }
    limits_free(limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_finds),
        TEST(test_refuses),
        TEST(test_says_what_is_allowed),
        TEST(test_a_bucket_runs_dry_and_fills),
        TEST(test_names_that_share_a_bucket_are_limited),
        TEST(test_names_have_buckets_of_their_own),
        TEST(test_no_rate_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
