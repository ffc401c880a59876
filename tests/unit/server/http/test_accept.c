/* What clients accept, as a table: header in, weight of each of two types out. */
#include "tests/unit/test.h"

#include "server/base/cleanup.h"
#include "server/http/accept.h"

static const struct {
    const char *accept;
    int svg, dot;
} cases[] = {
    {NULL, 1000, 1000},
    {"", 0, 0},
    {"*/*", 1000, 1000},
    {"image/svg+xml", 1000, 0},
    {"Image/SVG+xml ; charset=utf-8", 1000, 0},
    {"text/vnd.graphviz", 0, 1000},
    {"image/*", 1000, 0},
    {"text/*;q=0.5, image/svg+xml;q=0.25", 250, 500},
    /* the closest range counts, not the one that comes first or wants most */
    {"*/*, image/svg+xml;q=0", 0, 1000},
    {"image/svg+xml;q=0.1,image/*,*/*;q=0.3", 100, 300},
    /* a browser */
    {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", 800, 800},
    /* neither part of a type, nor more than one */
    {"image/svg", 0, 0},
    {"image/svg+xml2, text/vnd", 0, 0},
    {"application/json", 0, 0},
    {"*", 0, 0},
    {"image/**", 0, 0},
    {" ,, , image/svg+xml ,", 1000, 0},
    {";q=1,/;q=1,*;q=1", 0, 0},
    /* weights */
    {"*/*;q=0.001", 1, 1},
    {"*/*; q=1.000", 1000, 1000},
    {"*/*;level=1;Q=0.7", 700, 700},
    {"*/*;q=0.12345", 123, 123},
    {"*/*;q=1.5", 0, 0},
    {"*/*;q=-1", 0, 0},
    {"*/*;q=", 0, 0},
    {"*/*;q=x", 0, 0},
    {"*/*;q=0,5", 0, 0},
};

static void test_accept__weighs(void **state)
{
    (void)state;
    for (size_t row = 0; row < ARRAY_SIZE(cases); row++) {
        int svg = accept_weight(cases[row].accept, "image/svg+xml");
        int dot = accept_weight(cases[row].accept, "text/vnd.graphviz");
        if (svg != cases[row].svg || dot != cases[row].dot)
            fail_msg("%s: %d and %d", cases[row].accept, svg, dot);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_accept__weighs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
