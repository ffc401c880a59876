/* Every audit prints this shape: these members, all of them strings, whatever a server said. */
#include "reconcilers/engine/finding.h"

#include "server/base/json.h"
#include "tests/unit/test.h"

static void finding__has_five_strings(void **state)
{
    struct ctx *ctx = *state;
    json_t *findings = arena_json(ctx->arena, json_array());
    const struct finding lost = {"MissingDatabase", "BackendClaim", "pool.0", "", "\xe9t\xe9"};
    finding_add(findings, &lost);
    assert_string_equal(
        json_text(ctx->arena, findings),
        "[{\"cell\":\"\",\"detail\":\"(not UTF-8)\",\"finding\":\"MissingDatabase\","
        "\"kind\":\"BackendClaim\",\"object\":\"pool.0\"}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(finding__has_five_strings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
