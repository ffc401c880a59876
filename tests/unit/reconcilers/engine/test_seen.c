/* A memory that may forget, and never takes for known what it was not told. */
#include "reconcilers/engine/seen.h"

#include "tests/unit/test.h"

enum { MANY = 20000, LATELY = 100 };

static const char *number(struct ctx *ctx, int at)
{
    return arena_printf(ctx->arena, "%d/uid", at);
}

static void test_what_was_told_lately_is_known(void **state)
{
    struct ctx *ctx = *state;
    struct seen *seen = seen_new();
    assert_false(seen_has(seen, "1/uid"));
    for (int at = 0; at < MANY; at++)
        seen_add(seen, number(ctx, at));
    int known = 0, early = 0;
    for (int at = 0; at < LATELY; at++) {
        known += seen_has(seen, number(ctx, MANY - LATELY + at));
        early += seen_has(seen, number(ctx, at));
    }
    assert_true(known >= LATELY * 9 / 10);
    assert_true(early <= LATELY / 10); /* it is of fixed size */
    for (int at = MANY; at < 2 * MANY; at++)
        assert_false(seen_has(seen, number(ctx, at)));
    seen_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_what_was_told_lately_is_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
