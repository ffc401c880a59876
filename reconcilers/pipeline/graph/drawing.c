#include "reconcilers/pipeline/graph/drawing.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>
#include <string.h>

#define REPLACEMENT "\357\277\275" /* U+FFFD */

static const struct {
    const char *word;
    void (*draw)(struct str *out, const struct drawing *drawing);
} forms[DRAWING_FORMS] = {
    [DRAWING_DOT] = {"dot", drawing_dot}, [DRAWING_SVG] = {"svg", drawing_svg}};

enum drawing_form drawing_form_of(const char *word)
{
    enum drawing_form form = DRAWING_DOT;
    while (form < DRAWING_FORMS && !str_equal(forms[form].word, word))
        form++;
    return form;
}

/* Bytes of a character at `text` that XML does not know, not even escaped, or that a terminal would
 * obey; 0 = it is none. */
static size_t unfit(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (byte[0] < ' ' || byte[0] == 0x7f)
        return 1;
    if (byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] <= 0x9f)
        return 2;
    return strncmp(text, "\357\277\276", 3) == 0 || strncmp(text, "\357\277\277", 3) == 0 ? 3 : 0;
}

void drawing_add(struct str *out, const char *text, const struct drawing_escape *escapes)
{
    while (*text) {
        const struct drawing_escape *escape = escapes;
        size_t skip = unfit(text);
        while (escape->character && escape->character != *text)
            escape++;
        if (skip)
            str_add(out, REPLACEMENT);
        else if (escape->character)
            str_add(out, escape->text);
        else
            str_add_bytes(out, text, 1);
        text += skip ? skip : 1;
    }
}

static const char *fitted(struct arena *arena, const char *text)
{
    if (!text || strlen(text) <= DRAWING_TEXT_BYTES)
        return text;
    return arena_printf(arena, "%.*s...", (int)str_fit(text, DRAWING_TEXT_BYTES - 3), text);
}

const char *drawing_make(struct arena *arena, enum drawing_form form, const char *title,
                         const struct graph *graph, const struct drawing_note *notes)
{
    struct drawing drawing = {.title = fitted(arena, title), .graph = graph};
    for (uint32_t at = 0; at < graph->count; at++) {
        const struct graph_stage *stage = &graph->stages[at];
        const char **lines = drawing.lines[at];
        lines[0] = fitted(arena, stage->name);
        lines[1] = fitted(arena, stage->class_name);
        lines[2] = arena_printf(arena, "%" PRId64 " documents/s", stage->rate / MILLI);
        lines[3] = notes ? fitted(arena, notes[at].text) : NULL;
        drawing.lacks[at] = notes && notes[at].lacks;
    }
    _cleanup_str_ struct str out;
    str_init(&out, DRAWING_BYTES_MAX);
    forms[form].draw(&out, &drawing);
    return arena_strdup(arena, str_text(&out));
}

/* Names of pods, as many as are told; those that are yet to come by their number. */
static const char *pods_text(struct arena *arena, const json_t *row)
{
    size_t at;
    json_t *pod;
    const char *text = NULL;
    json_array_foreach(json_at(row, "pods"), at, pod)
        text = arena_printf(arena, "%s%s%s", text ? text : "", text ? ", " : "",
                            json_str_or(pod, "name", "a pod to come"));
    return text;
}

static struct drawing_note note_of(struct arena *arena, const json_t *row)
{
    int64_t missing = json_int_or(row, "missing", 0);
    if (!row)
        return (struct drawing_note){0};
    if (missing == 0)
        return (struct drawing_note){.text = pods_text(arena, row)};
    return (struct drawing_note){.text = arena_printf(arena, "%s: %" PRId64 " missing",
                                                      json_str_or(row, "reason", ""), missing),
                                 .lacks = true};
}

int drawing_of(struct ctx *ctx, enum drawing_form form, const char *title, const json_t *spec,
               const json_t *status, const char **ret)
{
    struct drawing_note notes[PLACE_STAGES_MAX];
    struct graph graph;
    graph_shape(ctx, spec, &graph);
    if (graph.reason)
        return err_set(ctx, ERR_INVALID, NULL, "%s", graph.message);
    for (uint32_t at = 0; at < graph.count; at++)
        notes[at] = note_of(ctx->arena, json_find(status, "stages", "name", graph.stages[at].name));
    *ret = drawing_make(ctx->arena, form, title, &graph, notes);
    return 0;
}
