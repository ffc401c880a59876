/* DOT, by stages and then by edges; Graphviz lays it out. */
#include "reconcilers/pipeline/graph/drawing.h"

#include "server/base/str.h"

/* In a label a backslash begins an escape of Graphviz' own. */
static const struct drawing_escape quoted[] = {{'"', "\\\""}, {'\\', "\\\\"}, {0, NULL}};

static void add_quoted(struct str *out, const char *text)
{
    str_add(out, "\"");
    drawing_add(out, text, quoted);
    str_add(out, "\"");
}

static void add_stage(struct str *out, const struct drawing *drawing, uint32_t at)
{
    const char *const *lines = drawing->lines[at];
    str_add(out, "  ");
    add_quoted(out, lines[0]);
    str_add(out, " [label=\"");
    for (int line = 0; line < DRAWING_LINES && lines[line]; line++) {
        str_add(out, line ? "\\n" : "");
        drawing_add(out, lines[line], quoted);
    }
    str_add(out, drawing->lacks[at] ? "\", color=\"#b3261e\"];\n" : "\"];\n");
}

static void add_edges(struct str *out, const struct drawing *drawing, uint32_t at)
{
    for (uint32_t to = 0; to < drawing->graph->count; to++) {
        if (!(drawing->graph->stages[at].next >> to & 1))
            continue;
        str_add(out, "  ");
        add_quoted(out, drawing->lines[at][0]);
        str_add(out, " -> ");
        add_quoted(out, drawing->lines[to][0]);
        str_add(out, ";\n");
    }
}

void drawing_dot(struct str *out, const struct drawing *drawing)
{
    str_add(out, "digraph ");
    add_quoted(out, drawing->title);
    str_add(out, " {\n  rankdir=LR;\n  node [shape=box];\n");
    for (uint32_t at = 0; at < drawing->graph->count; at++)
        add_stage(out, drawing, at);
    for (uint32_t at = 0; at < drawing->graph->count; at++)
        add_edges(out, drawing, at);
    str_add(out, "}\n");
}
