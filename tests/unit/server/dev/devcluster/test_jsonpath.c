/* Paths that end too early. */
#include "server/dev/devcluster/jsonpath.h"

#include "server/base/json.h"
#include "tests/unit/test.h"

#include <string.h>

static void test_a_quote_may_have_nothing_in_it(void **state)
{
    static const char *const odd[] = {"[']", "['']", "[\"]", "[ ]", ".a[?(@.b==]", ".a[?(@.b==']"};
    static const char text[] = "{\"a\":[{\"b\":\"x\"}],\"it's\":1}";
    struct ctx *ctx = *state;
    json_t *root;
    assert_int_equal(json_parse(ctx, text, strlen(text), strlen(text), &root), 0);
    for (size_t at = 0; at < sizeof odd / sizeof *odd; at++)
        assert_null(jsonpath_first(ctx->arena, root, odd[at]));
    assert_non_null(jsonpath_first(ctx->arena, root, "['it's']"));
    assert_non_null(jsonpath_first(ctx->arena, root, ".a[?(@.b=='x')]"));
}

static void test_a_filter_may_have_no_end(void **state)
{
    static const char text[] = "{\"a\":[{\"b\":\"x\"}]}";
    struct ctx *ctx = *state;
    json_t *root;
    assert_int_equal(json_parse(ctx, text, strlen(text), strlen(text), &root), 0);
    assert_int_equal(jsonpath_count(ctx->arena, root, ".a[?(@.b=='x')]"), 1);
    assert_int_equal(jsonpath_count(ctx->arena, root, ".a[?(@.b=='x'"), 0);
    assert_int_equal(jsonpath_count(ctx->arena, root, ".a[?]"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_quote_may_have_nothing_in_it),
        TEST(test_a_filter_may_have_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
