/* Label selectors whose memory begins where their text does. */
#include "server/dev/devcluster/selectors.h"

#include "server/base/json.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

static void test_a_set_may_come_first(void **state)
{
    static const struct {
        const char *labels;
        bool matches;
    } cases[] = {{"a in (x)", true},   {"a in (y)", false}, {"a notin (x)", false},
                 {"a notin(y)", true}, {"a in(y,x)", true}, {"b notin (x)", true}};
    static const char text[] = "{\"metadata\":{\"labels\":{\"a\":\"x\"}}}";
    struct ctx *ctx = *state;
    json_t *object;
    assert_int_equal(json_parse(ctx, text, strlen(text), strlen(text), &object), 0);
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        char *labels = strdup(cases[at].labels);
        const struct selector selector = {.labels = labels};
        assert_int_equal(selector_matches(ctx->arena, &selector, object), cases[at].matches);
        free(labels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_a_set_may_come_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
