#include "tests/unit/test.h"

#include "server/base/json.h"

#include <string.h>

static int parse(struct ctx *ctx, const char *text, json_t **ret)
{
    return json_parse(ctx, text, strlen(text), 1000, ret);
}

static void parse__refuses_what_is_dangerous(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"{\"a\":1,\"a\":2}", -ERR_INVALID},
        {"{\"a\":\"\\u0000\"}", -ERR_INVALID},
        {"{\"a\":1} x", -ERR_INVALID},
        {"{'a':1}", -ERR_INVALID},
        {"", -ERR_INVALID},
        {"{\"a\":\"\xff\"}", -ERR_INVALID},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", -ERR_INVALID},
        {"{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}", 0},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        json_t *value = NULL;
        assert_int_equal(parse(ctx, cases[at].text, &value), cases[at].rc);
    }
    json_t *value = NULL;
    assert_int_equal(json_parse(ctx, "\"12345678\"", 10, 9, &value), -ERR_TOO_LARGE);
}

/* It may be a Secret that was cut off, or a customer's password. */
static void parse__does_not_quote_what_it_refuses(void **state)
{
    struct ctx *ctx = *state;
    static const char *const cases[] = {
        "{\"a\":canary}",
        "{\"a\" near \"canary\"}",
        "\"canary",
        "{\"canary\":1,\"canary\":2}",
        "{\"a\":\"canary\"} canary",
        "canary near canary",
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        json_t *value = NULL;
        assert_int_equal(parse(ctx, cases[at], &value), -ERR_INVALID);
        assert_non_null(strstr(ctx->err.message, "line 1 column "));
        assert_null(strstr(ctx->err.message, "canary"));
    }
}

static void parse_foreign__reads_nul_as_replacement(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *text, *read; /* NULL = as it stands */
    } cases[] = {
        {"{\"a\":\"x\\u0000\"}", "{\"a\":\"x\xef\xbf\xbd\"}"},
        {"{\"\\u0000\":\"\\u0000\\u0000\"}", "{\"\xef\xbf\xbd\":\"\xef\xbf\xbd\xef\xbf\xbd\"}"},
        {"{\"a\":\"\\\\u0000\"}", NULL}, /* an escaped backslash, then letters */
        {"{\"a\":\"\\\\\\u0000\"}", "{\"a\":\"\\\\\xef\xbf\xbd\"}"},
        {"{\"a\":\"u0000\"}", NULL},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        json_t *value = NULL;
        const char *text = cases[at].text;
        assert_int_equal(json_parse_foreign(ctx, text, strlen(text), 1000, &value), 0);
        assert_string_equal(json_text(ctx->arena, value), cases[at].read ? cases[at].read : text);
    }
    json_t *value = NULL;
    assert_int_equal(json_parse_foreign(ctx, "\"\\u000", 6, 1000, &value), -ERR_INVALID);
    assert_int_equal(json_parse_foreign(ctx, "\"\\", 2, 1000, &value), -ERR_INVALID);
    assert_int_equal(json_parse_foreign(ctx, "\"\\u0000\"", 8, 7, &value), -ERR_TOO_LARGE);
}

static void at__walks_objects_and_arrays(void **state)
{
    struct ctx *ctx = *state;
    json_t *root = NULL;
    assert_int_equal(parse(ctx, "{\"a\":{\"b\":[{\"c\":\"x\"},{\"c\":7}]},\"t\":true}", &root), 0);
    assert_string_equal(json_str(root, "a.b.0.c"), "x");
    assert_int_equal(json_int_or(root, "a.b.1.c", -1), 7);
    assert_null(json_str(root, "a.b.1.c"));
    assert_null(json_at(root, "a.b.2.c"));
    assert_null(json_at(root, "a.nothing.deeper"));
    assert_true(json_bool_or(root, "t", false));
    assert_ptr_equal(json_find(root, "a.b", "c", "x"), json_at(root, "a.b.0"));
}

static void put__makes_the_objects_on_the_way(void **state)
{
    struct ctx *ctx = *state;
    json_t *root = arena_json(ctx->arena, json_object());
    json_put(root, "a.b.c", json_integer(1));
    json_put(root, "a.d", json_string("x"));
    assert_string_equal(json_text(ctx->arena, root), "{\"a\":{\"b\":{\"c\":1},\"d\":\"x\"}}");
}

static void copy_with__leaves_the_original_as_it_is(void **state)
{
    struct ctx *ctx = *state;
    json_t *object = NULL;
    parse(ctx, "{\"a\":{\"b\":1},\"c\":{\"d\":2}}", &object);
    json_t *copy = arena_json(ctx->arena, json_copy_with(object, "a"));
    json_put(copy, "a.x", json_integer(3));
    json_put(copy, "y", json_integer(4));
    assert_string_equal(json_text(ctx->arena, copy),
                        "{\"a\":{\"b\":1,\"x\":3},\"c\":{\"d\":2},\"y\":4}");
    assert_string_equal(json_text(ctx->arena, object), "{\"a\":{\"b\":1},\"c\":{\"d\":2}}");
    assert_ptr_equal(json_at(copy, "c"), json_at(object, "c"));
    copy = arena_json(ctx->arena, json_copy_with(object, "new"));
    assert_string_equal(json_text(ctx->arena, json_at(copy, "new")), "{}");
}

static void hash__depends_on_content_not_on_order(void **state)
{
    struct ctx *ctx = *state;
    json_t *one = NULL, *two = NULL, *three = NULL;
    parse(ctx, "{\"a\":1,\"b\":2}", &one);
    parse(ctx, "{\"b\":2,\"a\":1}", &two);
    parse(ctx, "{\"b\":2,\"a\":2}", &three);
    assert_true(json_hash(one) == json_hash(two));
    assert_true(json_hash(one) != json_hash(three));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copy_with__leaves_the_original_as_it_is),
        TEST(parse__refuses_what_is_dangerous),
        TEST(parse__does_not_quote_what_it_refuses),
        TEST(parse_foreign__reads_nul_as_replacement),
        TEST(at__walks_objects_and_arrays),
        TEST(put__makes_the_objects_on_the_way),
        TEST(hash__depends_on_content_not_on_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
