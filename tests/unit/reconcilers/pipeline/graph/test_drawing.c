/* Drawings of graphs: bounded, whatever there is to draw, and no lane through a box. */
#include "reconcilers/pipeline/graph/drawing.h"
#include "reconcilers/pipeline/graph/layers.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

static void test_forms_have_names(void **state)
{
    (void)state;
    assert_int_equal(drawing_form_of("dot"), DRAWING_DOT);
    assert_int_equal(drawing_form_of("svg"), DRAWING_SVG);
    assert_int_equal(drawing_form_of("SVG"), DRAWING_FORMS);
    assert_int_equal(drawing_form_of(NULL), DRAWING_FORMS);
}

/* Each stage leads to all behind it, and every text is as long as it gets when it is escaped. */
static void test_the_largest_graph_is_drawn_whole(void **state)
{
    struct ctx *ctx = *state;
    struct graph graph = {.count = PLACE_STAGES_MAX};
    struct drawing_note notes[PLACE_STAGES_MAX];
    char quotes[400];
    memset(quotes, '"', sizeof quotes - 1);
    quotes[sizeof quotes - 1] = '\0';
    for (uint32_t at = 0; at < graph.count; at++) {
        graph.stages[at] = (struct graph_stage){
            .name = arena_printf(ctx->arena, "a-stage-whose-name-is-as-long-as-it-gets%02u", at),
            .class_name = quotes,
            .next = (uint32_t)(UINT64_C(0xffffffff) << (at + 1)),
            .rate = PLACE_MILLI_MAX};
        notes[at] = (struct drawing_note){quotes, true};
    }
    const char *dot = drawing_make(ctx->arena, DRAWING_DOT, quotes, &graph, notes);
    const char *svg = drawing_make(ctx->arena, DRAWING_SVG, quotes, &graph, notes);
    assert_string_equal(dot + strlen(dot) - 2, "}\n");
    assert_string_equal(svg + strlen(svg) - 7, "</svg>\n");
    assert_true(strlen(svg) < DRAWING_BYTES_MAX);
    assert_non_null(strstr(svg, "&quot;...</text>"));
}

static void test_nothing_is_drawn_that_a_terminal_obeys(void **state)
{
    struct ctx *ctx = *state;
    struct graph graph = {.count = 1};
    graph.stages[0] =
        (struct graph_stage){.name = "only", .class_name = "\033[2J \302\2332J \302\240"};
    for (enum drawing_form form = 0; form < DRAWING_FORMS; form++) {
        const char *drawn = drawing_make(ctx->arena, form, "t", &graph, NULL);
        assert_null(strchr(drawn, '\033'));
        assert_null(strstr(drawn, "\302\233"));
        assert_non_null(strstr(drawn, "\302\240")); /* a space of another kind */
    }
}

static struct graph random_graph(unsigned *seed)
{
    struct graph graph = {.count = 1 + (uint32_t)rand_r(seed) % PLACE_STAGES_MAX};
    for (uint32_t to = 1; to < graph.count; to++) {
        graph.stages[(uint32_t)rand_r(seed) % to].next |= UINT32_C(1) << to; /* it is reached */
        for (int more = rand_r(seed) % 3; more > 0; more--)
            graph.stages[(uint32_t)rand_r(seed) % to].next |= UINT32_C(1) << to;
    }
    return graph;
}

static void check_column(const struct graph *graph, const struct layers *layers, uint32_t column)
{
    uint64_t rows = 0;
    for (uint32_t at = 0; at < graph->count; at++) {
        if (!layers_has(layers, at, column))
            continue;
        uint64_t row = UINT64_C(1) << layers->row[at][column];
        assert_int_equal(rows & row, 0);
        rows |= row;
    }
    assert_int_equal(rows, (UINT64_C(1) << layers->filled[column]) - 1);
    assert_true(layers->filled[column] >= 1 && layers->filled[column] <= layers->rows);
}

static void test_every_place_is_taken_once(void **state)
{
    unsigned seed = 7;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        const struct graph graph = random_graph(&seed);
        struct layers layers;
        layers_make(&graph, &layers);
        for (uint32_t at = 0; at < graph.count; at++)
            for (uint32_t to = 0; to < graph.count; to++)
                if (graph.stages[at].next >> to & 1)
                    assert_true(layers.column[to] > layers.column[at] &&
                                layers.until[at] >= layers.column[to]);
        for (uint32_t column = 0; column < layers.columns; column++)
            check_column(&graph, &layers, column);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_forms_have_names), TEST(test_the_largest_graph_is_drawn_whole),
        TEST(test_nothing_is_drawn_that_a_terminal_obeys), TEST(test_every_place_is_taken_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
