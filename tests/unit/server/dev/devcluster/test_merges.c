/* JSON patches whose pointers are odd. */
#include "server/base/json.h"
#include "server/dev/devcluster/merges.h"
#include "tests/unit/test.h"

#include <string.h>

/* The live object after the operations, as text; or NULL. */
static const char *patched(struct ctx *ctx, const char *live, const char *operations)
{
    json_t *object, *list;
    const char *problem = NULL;
    assert_int_equal(json_parse(ctx, live, strlen(live), strlen(live), &object), 0);
    assert_int_equal(json_parse(ctx, operations, strlen(operations), strlen(operations), &list), 0);
    const json_t *root = merge_operations(ctx->arena, object, list, &problem);
    assert_true(!root == !!problem);
    return root ? json_text(ctx->arena, root) : NULL;
}

/* Its text fills what the arena gives, so that one byte too far is somebody else's. */
static void test_a_pointer_may_end_in_a_tilde(void **state)
{
    struct ctx *ctx = *state;
    assert_string_equal(
        patched(ctx, "{}", "[{\"op\":\"add\",\"path\":\"/abcdefghijklmn~\",\"value\":1}]"),
        "{\"abcdefghijklmn~\":1}");
    assert_string_equal(patched(ctx, "{}", "[{\"op\":\"add\",\"path\":\"/a~1b~0\",\"value\":1}]"),
                        "{\"a/b~\":1}");
}

/* RFC 6902: removed there, then added here. */
static void test_a_move_finds_its_place_after_the_removal(void **state)
{
    struct ctx *ctx = *state;
    assert_null(patched(ctx, "{\"a\":{\"b\":{}}}",
                        "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b/c\"}]"));
    assert_string_equal(patched(ctx, "{\"a\":[1,{},{}]}",
                                "[{\"op\":\"move\",\"from\":\"/a/0\",\"path\":\"/a/1/b\"}]"),
                        "{\"a\":[{},{\"b\":1}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_pointer_may_end_in_a_tilde),
        TEST(test_a_move_finds_its_place_after_the_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
