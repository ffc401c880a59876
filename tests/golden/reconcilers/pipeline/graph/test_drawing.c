/* A talk's line and a graph with every shape that there is, as DOT and as SVG. */
#include "reconcilers/pipeline/graph/drawing.h"
#include "tests/golden/golden.h"

#define HERE "tests/golden/reconcilers/pipeline/graph/"

static const char line[] = "documentsPerSecond: 10\n"
                           "workers:\n"
                           "  first: {class: blue, next: [second]}\n"
                           "  second: {class: green, next: [third]}\n"
                           "  third: {class: yellow, next: []}\n";

/* A diamond, a way past it over two columns, and classes that nobody should have named so. */
static const char shapes[] =
    "documentsPerSecond: 7\n"
    "workers:\n"
    "  in: {class: '<script>alert(1)</script>', next: [left, right, out]}\n"
    "  left: {class: 'say \"hi\" \\N & ''bye''', next: [join]}\n"
    "  right: {class: \"a\\tb\\x7f\\U0000ffff\", next: [join]}\n"
    "  join: {class: blue, next: [out]}\n"
    "  out: {class: blue}\n";

static void draw(struct ctx *ctx, const char *yaml, const char *title,
                 const struct drawing_note *notes, const char *name)
{
    static const char *const forms[] = {"dot", "svg"};
    json_t *spec;
    struct graph graph;
    if (yaml_parse(ctx, yaml, strlen(yaml), &spec) < 0)
        fail_msg("%s", ctx->err.message);
    graph_shape(ctx, spec, &graph);
    assert_null(graph.reason);
    for (size_t at = 0; at < ARRAY_SIZE(forms); at++) {
        enum drawing_form form = drawing_form_of(forms[at]);
        golden_text(arena_printf(ctx->arena, HERE "%s.%s", name, forms[at]),
                    drawing_make(ctx->arena, form, title, &graph, notes));
    }
}

static void test_a_line(void **state)
{
    static const struct drawing_note notes[] = {
        {"blue-0", false}, {"lacks 10 documents/s, 1 pod", true}, {NULL, false}};
    draw(*state, line, "my-pipeline", notes, "line");
}

static void test_every_shape(void **state)
{
    draw(*state, shapes,
         "</title><script>\" a title that is longer than what there is room for, and so is cut",
         NULL, "shapes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_a_line), TEST(test_every_shape)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
