/* The choice of a cell, as a table: cells in, the chosen one and each why_not out. */
#include "reconcilers/fleet/place.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct {
    const char *what;
    const char *cells;
    const char *chosen; /* NULL = none */
    const char *why_not[3];
    const char *reason; /* words of it; NULL = any */
} cases[] = {
    {"no cell at all", "[]", NULL, {NULL}, "no open cell has room"},
    {"the only one",
     "[{\"name\":\"a\",\"state\":\"open\",\"capacity\":10,\"used\":9}]",
     "a",
     {NULL},
     NULL},
    {"a cordoned one is not taken, however empty",
     "[{\"name\":\"a\",\"state\":\"cordoned\",\"capacity\":10,\"used\":0},"
     "{\"name\":\"b\",\"state\":\"open\",\"capacity\":10,\"used\":9}]",
     "b",
     {"Cordoned", NULL},
     NULL},
    {"a full one is not taken",
     "[{\"name\":\"a\",\"state\":\"open\",\"capacity\":10,\"used\":10},"
     "{\"name\":\"b\",\"state\":\"open\",\"capacity\":0,\"used\":0}]",
     NULL,
     {"Full", "Full"},
     "no open cell has room"},
    {"the largest free share, not the largest number",
     "[{\"name\":\"a\",\"state\":\"open\",\"capacity\":1000,\"used\":600},"
     "{\"name\":\"b\",\"state\":\"open\",\"capacity\":10,\"used\":5}]",
     "b",
     {NULL},
     NULL},
    {"a pipeline goes where its tenant has others, or waits",
     "[{\"name\":\"a\",\"state\":\"open\",\"capacity\":10,\"used\":0,\"elsewhere\":true},"
     "{\"name\":\"b\",\"state\":\"open\",\"capacity\":10,\"used\":9,\"elsewhere\":false}]",
     "b",
     {"TenantElsewhere", NULL},
     NULL},
    {"where its others have no room, that is why",
     "[{\"name\":\"a\",\"state\":\"open\",\"capacity\":10,\"used\":0,\"elsewhere\":true},"
     "{\"name\":\"b\",\"state\":\"open\",\"capacity\":10,\"used\":10}]",
     NULL,
     {"TenantElsewhere", "Full"},
     "the cell of the tenant's other pipelines is full or not open"},
    {"not where a cell elsewhere has no room either",
     "[{\"name\":\"a\",\"state\":\"open\",\"capacity\":10,\"used\":10,\"elsewhere\":true},"
     "{\"name\":\"b\",\"state\":\"cordoned\",\"capacity\":10,\"used\":0},"
     "{\"name\":\"c\",\"state\":\"cordoned\",\"capacity\":10,\"used\":0,\"elsewhere\":true}]",
     NULL,
     {"TenantElsewhere", "Cordoned", "TenantElsewhere"},
     "no open cell has room"},
    {"of a tenant in two cells the one with more room",
     "[{\"name\":\"a\",\"state\":\"open\",\"capacity\":10,\"used\":8,\"elsewhere\":false},"
     "{\"name\":\"b\",\"state\":\"open\",\"capacity\":10,\"used\":7,\"elsewhere\":false},"
     "{\"name\":\"c\",\"state\":\"open\",\"capacity\":10,\"used\":0,\"elsewhere\":true}]",
     "b",
     {NULL, NULL, "TenantElsewhere"},
     NULL},
    {"of equals the first by name, in any order",
     "[{\"name\":\"b\",\"state\":\"open\",\"capacity\":10,\"used\":5},"
     "{\"name\":\"a\",\"state\":\"open\",\"capacity\":20,\"used\":10}]",
     "a",
     {NULL},
     NULL},
};

static void test_place__chooses_and_says_why(void **state)
{
    (void)state;
    for (size_t row = 0; row < ARRAY_SIZE(cases); row++) {
        struct arena *arena = arena_new();
        struct ctx ctx = ctx_make(arena, "test");
        json_t *cells, *placement;
        const char *chosen;
        assert_int_equal(json_parse(&ctx, cases[row].cells, strlen(cases[row].cells), 4096, &cells),
                         0);
        place_choose(&ctx, cells, &chosen, &placement);
        if (cases[row].chosen)
            assert_string_equal(chosen, cases[row].chosen);
        else
            assert_null(chosen);
        const json_t *considered = json_at(placement, "considered");
        assert_int_equal(json_array_size(considered), json_array_size(cells));
        for (size_t index = 0; index < json_array_size(considered) && index < 3; index++) {
            const char *why_not = json_str(json_array_get(considered, index), "why_not");
            if (cases[row].why_not[index])
                assert_string_equal(why_not, cases[row].why_not[index]);
            else
                assert_null(why_not);
        }
        const char *reason = json_str(placement, "reason");
        assert_non_null(reason);
        if (cases[row].reason && !strstr(reason, cases[row].reason))
            fail_msg("%s: %s", cases[row].what, reason);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_place__chooses_and_says_why)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
