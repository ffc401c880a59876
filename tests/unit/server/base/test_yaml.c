#include "tests/unit/test.h"

#include "server/base/json.h"
#include "server/base/yaml.h"

#include <string.h>

static void parse__follows_the_core_schema(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"a: 1", "{\"a\":1}"},
        {"a: '1'", "{\"a\":\"1\"}"},
        {"a: no", "{\"a\":\"no\"}"},
        {"a: true\nb: ~", "{\"a\":true,\"b\":null}"},
        {"a: [1, x, 2.5]", "{\"a\":[1,\"x\",2.5]}"},
        {"a:\n- b: c\n  d: e", "{\"a\":[{\"b\":\"c\",\"d\":\"e\"}]}"},
        {"a: 2026-11-21", "{\"a\":\"2026-11-21\"}"},
        {"a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}"},
        {"a: 99999999999999999999", "{\"a\":1e20}"},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        json_t *value = NULL;
        assert_int_equal(yaml_parse(ctx, cases[at].yaml, strlen(cases[at].yaml), &value), 0);
        json_t *expected = NULL;
        json_parse(ctx, cases[at].json, strlen(cases[at].json), 1000, &expected);
        assert_string_equal(json_text(ctx->arena, value), json_text(ctx->arena, expected));
    }
}

static void parse__refuses_programs(void **state)
{
    struct ctx *ctx = *state;
    static const char *const cases[] = {
        "a: &x 1",         "a: *x", "a: !!python/object x", "a: 1\na: 2", "a: [1", "{[a]: 1}",
        "a: 1\n---\nb: 2", "",      "- &a [x]\n- [*a, *a]",
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        json_t *value = NULL;
        assert_int_equal(yaml_parse(ctx, cases[at], strlen(cases[at]), &value), -ERR_INVALID);
        assert_true(strlen(ctx->err.message) > 10);
    }
}

static void parse_all__keeps_the_order(void **state)
{
    struct ctx *ctx = *state;
    const char *text = "a: 1\n---\n---\nb: 2\n...\n";
    json_t *documents = NULL;
    assert_int_equal(yaml_parse_all(ctx, text, strlen(text), &documents), 0);
    assert_string_equal(json_text(ctx->arena, documents), "[{\"a\":1},{\"b\":2}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parse__follows_the_core_schema),
        TEST(parse__refuses_programs),
        TEST(parse_all__keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
