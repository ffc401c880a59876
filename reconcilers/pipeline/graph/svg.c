/* SVG: columns from left to right, lines behind boxes. Lengths are pixels. */
#include "reconcilers/pipeline/graph/drawing.h"
#include "reconcilers/pipeline/graph/layers.h"

#include "server/base/str.h"

#include <string.h>

enum {
    CHARACTER = 8, /* at least as wide as one of the font */
    LINE = 16,
    PAD = 8,
    BOX_HEIGHT = DRAWING_LINES * LINE + PAD,
    ROW = BOX_HEIGHT + 24,
    GAP = 64, /* between two columns */
    MARGIN = 16,
};

static const struct drawing_escape xml[] = {{'&', "&amp;"},  {'<', "&lt;"},   {'>', "&gt;"},
                                            {'"', "&quot;"}, {'\'', "&#39;"}, {0, NULL}};

struct canvas {
    struct str *out;
    const struct drawing *drawing;
    struct layers layers;
    uint32_t box_width;
};

/* ---- where ---- */

static uint32_t widest_line(const struct drawing *drawing)
{
    size_t most = 0;
    for (uint32_t at = 0; at < drawing->graph->count; at++)
        for (int line = 0; line < DRAWING_LINES && drawing->lines[at][line]; line++)
            most =
                most > strlen(drawing->lines[at][line]) ? most : strlen(drawing->lines[at][line]);
    return (uint32_t)most * CHARACTER + 2 * PAD;
}

static uint32_t left_of(const struct canvas *canvas, uint32_t column)
{
    return MARGIN + column * (canvas->box_width + GAP);
}

/* The middle of a stage's row: columns stand around one axis. */
static uint32_t middle_of(const struct canvas *canvas, uint32_t stage, uint32_t column)
{
    const struct layers *layers = &canvas->layers;
    uint32_t halves = layers->rows - layers->filled[column] + 2 * layers->row[stage][column] + 1;
    return MARGIN + halves * ROW / 2;
}

/* ---- what ---- */

/* From the right side of a column to the left side of the next one. */
static void add_curve(struct canvas *canvas, uint32_t column, uint32_t from, uint32_t to, bool ends)
{
    uint32_t x = left_of(canvas, column) + canvas->box_width;
    str_printf(canvas->out, "<path d=\"M%u %uC%u %u %u %u %u %u\"%s/>\n", x, from, x + GAP / 2,
               from, x + GAP / 2, to, x + GAP, to, ends ? " marker-end=\"url(#arrow)\"" : "");
}

static void add_lane(struct canvas *canvas, uint32_t stage, uint32_t column)
{
    uint32_t x = left_of(canvas, column), y = middle_of(canvas, stage, column);
    str_printf(canvas->out, "<path d=\"M%u %uH%u\"/>\n", x, y, x + canvas->box_width);
}

static void add_lines(struct canvas *canvas, uint32_t stage)
{
    const struct layers *layers = &canvas->layers;
    const struct graph *graph = canvas->drawing->graph;
    for (uint32_t column = layers->column[stage]; column < layers->until[stage]; column++) {
        uint32_t from = middle_of(canvas, stage, column);
        if (column > layers->column[stage])
            add_lane(canvas, stage, column);
        if (column + 1 < layers->until[stage])
            add_curve(canvas, column, from, middle_of(canvas, stage, column + 1), false);
        for (uint32_t to = 0; to < graph->count; to++)
            if (graph->stages[stage].next >> to & 1 && layers->column[to] == column + 1)
                add_curve(canvas, column, from, middle_of(canvas, to, column + 1), true);
    }
}

static void add_box(struct canvas *canvas, uint32_t stage)
{
    const struct drawing *drawing = canvas->drawing;
    uint32_t column = canvas->layers.column[stage], x = left_of(canvas, column);
    uint32_t y = middle_of(canvas, stage, column) - BOX_HEIGHT / 2;
    str_printf(canvas->out,
               "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%d\" rx=\"4\" fill=\"#ffffff\" "
               "stroke=\"%s\"/>\n",
               x, y, canvas->box_width, BOX_HEIGHT, drawing->lacks[stage] ? "#b3261e" : "#444444");
    for (int line = 0; line < DRAWING_LINES && drawing->lines[stage][line]; line++) {
        str_printf(canvas->out, "<text x=\"%u\" y=\"%u\"%s>", x + PAD, y + LINE * (line + 1),
                   line ? "" : " font-weight=\"bold\"");
        drawing_add(canvas->out, drawing->lines[stage][line], xml);
        str_add(canvas->out, "</text>\n");
    }
}

static void begin(struct canvas *canvas)
{
    uint32_t width = left_of(canvas, canvas->layers.columns) - GAP + MARGIN;
    uint32_t height = 2 * MARGIN + canvas->layers.rows * ROW;
    str_printf(canvas->out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
               "viewBox=\"0 0 %u %u\" font-family=\"monospace\" font-size=\"12\">\n<title>",
               width, height, width, height);
    drawing_add(canvas->out, canvas->drawing->title, xml);
    str_add(canvas->out,
            "</title>\n<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" "
            "markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" "
            "fill=\"#444444\"/></marker></defs>\n");
}

void drawing_svg(struct str *out, const struct drawing *drawing)
{
    struct canvas canvas = {.out = out, .drawing = drawing, .box_width = widest_line(drawing)};
    layers_make(drawing->graph, &canvas.layers);
    begin(&canvas);
    str_add(out, "<g fill=\"none\" stroke=\"#444444\">\n");
    for (uint32_t at = 0; at < drawing->graph->count; at++)
        add_lines(&canvas, at);
    str_add(out, "</g>\n");
    for (uint32_t at = 0; at < drawing->graph->count; at++) {
        str_add(out, "<g>\n");
        add_box(&canvas, at);
        str_add(out, "</g>\n");
    }
    str_add(out, "</svg>\n");
}
