/* A binding's name: plain as long as it can be told from every other one, and a label in any case.
 */
#include "reconcilers/pipeline/scope.h"
#include "server/base/cleanup.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <string.h>

#define LETTERS_50 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx"

static const struct {
    const char *pipeline, *stage;
    bool plain;
} rows[] = {
    {"first", "blue", true},
    {LETTERS_50 "abcdefgh", "blue", true},    /* 63 */
    {LETTERS_50 "abcdefghi", "blue", false},  /* 64 */
    {LETTERS_50 "abcdefghi", "blu", true},    /* 63 */
    {LETTERS_50 "abcdefghi", "blues", false}, /* as the one above, from the cut on another */
    {LETTERS_50 "abcdefghijklm", "b", false}, /* the longest pipeline */
    {"b", LETTERS_50 "abcdefghijklm", false}, /* the longest stage */
    {"a", LETTERS_50 "abcdefghijk", true},    /* 63 */
    {"a-b", "c", true},
    {"a", "b-c", false}, /* which would be the same */
};

static void test_names_are_plain_or_hashed(void **state)
{
    struct ctx *ctx = *state;
    const char *names[ARRAY_SIZE(rows)];
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const char *plain = arena_printf(ctx->arena, "%s-%s", rows[at].pipeline, rows[at].stage);
        names[at] = binding_name(ctx->arena, rows[at].pipeline, rows[at].stage);
        assert_in_range(strlen(names[at]), 1, 63);
        assert_true(str_matches(names[at], "abcdefghijklmnopqrstuvwxyz0123456789-", 1, 63));
        assert_true(names[at][strlen(names[at]) - 1] != '-');
        assert_int_equal(str_equal(names[at], plain), rows[at].plain);
        for (size_t other = 0; other < at; other++)
            assert_string_not_equal(names[at], names[other]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_names_are_plain_or_hashed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
