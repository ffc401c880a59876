/* Label selectors: Kubernetes' own meaning, bounded, and every slip has a place. */
#include "reconcilers/pipeline/metricsapi/selector.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <string.h>

static void test_what_is_selected(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *text;
        bool matches; /* {"tier": "fast", "a.b/zone": "z-1", "empty": ""} */
    } rows[] = {
        {NULL, true},
        {"", true},
        {"  ", true},
        {"tier", true},
        {" tier ", true},
        {"!tier", false},
        {"! other", true},
        {"tier=fast", true},
        {"tier==fast", true},
        {" tier = fast ", true},
        {"tier=slow", false},
        {"tier!=fast", false},
        {"tier != slow", true},
        {"other!=slow", true},
        {"other=slow", false},
        {"empty=", true},
        {"empty", true},
        {"tier=", false},
        {"a.b/zone in (z-0, z-1)", true},
        {"a.b/zone in(z-1)", true},
        {"tier in (slow)", false},
        {"tier notin (slow,other)", true},
        {"tier notin(fast)", false},
        {"other notin (x)", true},
        {"empty in (,x)", true},
        {"tier=fast,a.b/zone,!other", true},
        {"tier=fast,a.b/zone,other", false},
        {"in in (x)", false},
        {"notin", false},
    };
    json_t *labels = json_pack("{s:s, s:s, s:s}", "tier", "fast", "a.b/zone", "z-1", "empty", "");
    arena_json(ctx->arena, labels);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct selector selector;
        assert_int_equal(selector_read(ctx, rows[row].text, &selector), 0);
        if (selector_matches(&selector, labels) != rows[row].matches)
            fail_msg("'%s'", rows[row].text);
    }
    struct selector selector;
    assert_int_equal(selector_read(ctx, "!tier", &selector), 0);
    assert_true(selector_matches(&selector, NULL)); /* an object without labels */
}

static void test_slips(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *text, *told;
    } rows[] = {
        {",", "a key of 1 to 317 characters is missing at byte 0"},
        {"a,", "a key of 1 to 317 characters is missing at byte 2"},
        {"a b", "one of = == != in notin is missing at byte 2"},
        {"a>1", "one of = == != in notin is missing at byte 1"},
        {"a=b c", "',' or the end is missing at byte 4"},
        {"!a=b", "',' or the end is missing at byte 2"},
        {"a in b", "'(' is missing at byte 5"},
        {"a in (b", "',' or ')' is missing at byte 7"},
        {"a in", "one of = == != in notin is missing at byte 2"},
        {"a in (b))", "',' or the end is missing at byte 8"},
        {"a=\xc3\xa4", "',' or the end is missing at byte 2"},
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct selector selector;
        err_clear(ctx);
        assert_int_equal(selector_read(ctx, rows[row].text, &selector), -ERR_INVALID);
        if (!strstr(ctx->err.message, rows[row].told))
            fail_msg("'%s': %s", rows[row].text, ctx->err.message);
    }
}

static char *repeated(struct ctx *ctx, const char *first, const char *piece, int times,
                      const char *last)
{
    char *text = arena_strdup(ctx->arena, first);
    for (int at = 0; at < times; at++)
        text = arena_printf(ctx->arena, "%s%s", text, piece);
    return arena_printf(ctx->arena, "%s%s", text, last);
}

static void test_bounds(void **state)
{
    struct ctx *ctx = *state;
    struct selector selector;
    const struct {
        const char *text;
        int rc;
    } rows[] = {
        {repeated(ctx, "a", ",a", SELECTOR_REQUIREMENTS_MAX - 1, ""), 0},
        {repeated(ctx, "a", ",a", SELECTOR_REQUIREMENTS_MAX, ""), -ERR_INVALID},
        {repeated(ctx, "a in (b", ",b", SELECTOR_VALUES_MAX - 1, ")"), 0},
        {repeated(ctx, "a in (b", ",b", SELECTOR_VALUES_MAX, ")"), -ERR_INVALID},
        {repeated(ctx, "a=", "b", 63, ""), 0},
        {repeated(ctx, "a=", "b", 64, ""), -ERR_INVALID},
        {repeated(ctx, "", "a", 317, ""), 0},
        {repeated(ctx, "", "a", 318, ""), -ERR_INVALID},
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++)
        assert_int_equal(selector_read(ctx, rows[row].text, &selector), rows[row].rc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_what_is_selected), TEST(test_slips),
                                       TEST(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
