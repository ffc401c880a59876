/*
 * drawing: a graph as a text for people: DOT, which Graphviz reads, or SVG, which browsers show.
 * Pure: the same graph gives the same bytes. Title, names and notes may be strangers' texts (valid
 * UTF-8): they are cut to DRAWING_TEXT_BYTES and escaped, so that none becomes markup.
 */
#pragma once

#include "reconcilers/pipeline/graph/graph.h"

struct arena;
struct ctx;
struct str;

enum { DRAWING_TEXT_BYTES = 63, DRAWING_BYTES_MAX = 256 * 1024 /* of any graph */ };

enum drawing_form { DRAWING_DOT, DRAWING_SVG, DRAWING_FORMS };

/* What is said of one stage besides name, class and rate. */
struct drawing_note {
    const char *text; /* NULL = nothing */
    bool lacks;       /* it does not run as it should */
};

/* "dot" or "svg"; DRAWING_FORMS for any other word. */
enum drawing_form drawing_form_of(const char *word);

/* In the arena. The graph's shape must be good (`reason` NULL); notes by stage, NULL = none. */
const char *drawing_make(struct arena *arena, enum drawing_form form, const char *title,
                         const struct graph *graph, const struct drawing_note *notes);

/*
 * A Pipeline's graph, with what its status tells of each stage: where it runs, or what it lacks.
 * `status` may be NULL. -ERR_INVALID when it is not drawn well: the graph's message.
 */
int drawing_of(struct ctx *ctx, enum drawing_form form, const char *title, const json_t *spec,
               const json_t *status, const char **ret);

/* ---- what the forms share ---- */

enum { DRAWING_LINES = 4 };

struct drawing {
    const char *title;
    const struct graph *graph;
    const char *lines[PLACE_STAGES_MAX][DRAWING_LINES]; /* in the box of a stage; NULL = none */
    bool lacks[PLACE_STAGES_MAX];
};

void drawing_dot(struct str *out, const struct drawing *drawing);
void drawing_svg(struct str *out, const struct drawing *drawing);

/* One character and what stands for it. */
struct drawing_escape {
    char character;
    const char *text;
};
/* Appends the text; the last of `escapes` has the character 0. What no text should hold, as control
 * characters, becomes U+FFFD. */
void drawing_add(struct str *out, const char *text, const struct drawing_escape *escapes);
