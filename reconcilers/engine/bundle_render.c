/*
 * Templates: a tree with `${fact}` in its strings, and facts. Substitution happens in the parsed
 * tree and goes over each string once, so that the text of a fact stays text, whatever it holds.
 * `$${` stands for a plain `${`.
 */
#include "reconcilers/engine/bundle_internal.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>

#define WHEN "$when"
#define JSON "$json"

enum { FACT_PATH_BYTES = 128 };

static const char fact_characters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";

struct renderer {
    struct ctx *ctx;
    const char *file;
    const json_t *facts;
};

/* ---- finding `${fact}` ---- */

struct reference {
    const char *start, *end;    /* from '$' to behind '}' */
    char fact[FACT_PATH_BYTES]; /* "" for an escaped "$${" */
    bool optional;              /* "${fact?}" */
};

/* 1 when there is one in `text`, 0 when not, negative when it is malformed. */
static int next_reference(const struct renderer *renderer, const char *text, struct reference *ret)
{
    const char *at = strstr(text, "${");
    if (!at)
        return 0;
    if (at > text && at[-1] == '$') {
        ret->start = at - 1;
        ret->end = at + 2;
        ret->fact[0] = '\0';
        return 1;
    }
    size_t length = strspn(at + 2, fact_characters);
    const char *end = at + 2 + length;
    bool whole = at == text && end[0] == '?' && end[1] == '}' && !end[2];
    if (length == 0 || length >= FACT_PATH_BYTES || (*end != '}' && !whole))
        return err_set(renderer->ctx, ERR_CONFIG, NULL, "%s: malformed ${fact} in \"%.60s\"",
                       renderer->file, text);
    ret->start = at;
    ret->end = end + 1 + whole;
    ret->optional = whole;
    memcpy(ret->fact, at + 2, length);
    ret->fact[length] = '\0';
    return 1;
}

static int find_fact(const struct renderer *renderer, const char *fact, const json_t **ret)
{
    *ret = json_at(renderer->facts, fact);
    if (!*ret || json_is_null(*ret))
        return err_set(renderer->ctx, ERR_INTERNAL, NULL, "%s: fact '%s' is missing",
                       renderer->file, fact);
    return 0;
}

/* ---- checking a template ---- */

static int check_node(const struct renderer *renderer, const json_t *node);

static int check_text(const struct renderer *renderer, const char *text)
{
    struct reference reference;
    int found;
    while ((found = next_reference(renderer, text, &reference)) > 0)
        text = reference.end; /* NOLINT(clang-analyzer-*): set whenever 1 was returned */
    return found;
}

static int check_map(const struct renderer *renderer, const json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, key, value) {
        bool is_when = str_equal(key, WHEN);
        bool is_json = str_equal(key, JSON) && json_object_size(map) == 1;
        if (strstr(key, "${") || (key[0] == '$' && !is_when && !is_json))
            return err_set(renderer->ctx, ERR_CONFIG, NULL, "%s: key '%s' is not allowed",
                           renderer->file, key);
        if (is_when && !str_matches(json_string_value(value), fact_characters, 1, FACT_PATH_BYTES))
            return err_set(renderer->ctx, ERR_CONFIG, NULL, "%s: " WHEN " does not name a fact",
                           renderer->file);
        TRY(check_node(renderer, value));
    }
    return 0;
}

static int check_node(const struct renderer *renderer, const json_t *node)
{
    size_t index;
    json_t *item;
    if (json_is_string(node))
        return check_text(renderer, json_string_value(node));
    if (json_is_object(node))
        return check_map(renderer, node);
    json_array_foreach(node, index, item)
        TRY(check_node(renderer, item));
    return 0;
}

int template_check(struct ctx *ctx, const char *file, const json_t *object)
{
    struct renderer renderer = {.ctx = ctx, .file = file};
    return check_node(&renderer, object);
}

/* ---- rendering; *ret is a new reference, or NULL for a node that `$when` drops ---- */

static int render_node(const struct renderer *renderer, const json_t *node, json_t **ret);

static int add_as_text(const struct renderer *renderer, struct str *out, const char *fact)
{
    const json_t *value;
    TRY(find_fact(renderer, fact, &value));
    if (json_is_string(value))
        str_add_bytes(out, json_string_value(value), json_string_length(value));
    else if (json_is_object(value) || json_is_array(value))
        return err_set(renderer->ctx, ERR_INTERNAL, NULL, "%s: fact '%s' is no scalar",
                       renderer->file, fact);
    else
        str_add(out, json_text(renderer->ctx->arena, value));
    return 0;
}

static int render_mixed(const struct renderer *renderer, const char *text, json_t **ret)
{
    _cleanup_str_ struct str out;
    str_init(&out, TEMPLATE_TEXT_MAX_BYTES);
    struct reference reference = {.start = text, .end = text, .fact = ""};
    int found;
    while ((found = next_reference(renderer, text, &reference)) > 0) {
        str_add_bytes(&out, text, (size_t)(reference.start - text));
        if (*reference.fact)
            TRY(add_as_text(renderer, &out, reference.fact));
        else
            str_add(&out, "${");
        text = reference.end;
    }
    TRY(found);
    str_add(&out, text);
    if (out.overflow)
        return err_set(renderer->ctx, ERR_TOO_LARGE, NULL, "%s: a text is over %d bytes",
                       renderer->file, TEMPLATE_TEXT_MAX_BYTES);
    *ret = json_stringn(str_text(&out), out.length);
    return 0;
}

static int render_text(const struct renderer *renderer, const char *text, json_t **ret)
{
    struct reference reference;
    int found = next_reference(renderer, text, &reference);
    TRY(found);
    if (found && *reference.fact && reference.start == text && !*reference.end) {
        const json_t *value = json_at(renderer->facts, reference.fact);
        if (reference.optional && (!value || json_is_null(value)))
            return 0;
        TRY(find_fact(renderer, reference.fact, &value));
        *ret = json_deep_copy(value); /* the whole scalar: it takes the fact's type */
        return 0;
    }
    return render_mixed(renderer, text, ret);
}

static int render_map(const struct renderer *renderer, const json_t *map, json_t *out)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, key, value) {
        if (str_equal(key, WHEN))
            continue;
        json_t *rendered = NULL;
        TRY(render_node(renderer, value, &rendered));
        if (rendered)
            json_object_set_new(out, key, rendered);
    }
    return 0;
}

static int render_list(const struct renderer *renderer, const json_t *list, json_t *out)
{
    size_t index;
    json_t *value;
    json_array_foreach(list, index, value) {
        json_t *rendered = NULL;
        TRY(render_node(renderer, value, &rendered));
        if (rendered)
            json_array_append_new(out, rendered);
    }
    return 0;
}

int template_fact(struct ctx *ctx, const char *file, const json_t *facts, const char *fact,
                  bool *ret)
{
    struct renderer renderer = {.ctx = ctx, .file = file, .facts = facts};
    const json_t *value;
    TRY(find_fact(&renderer, fact, &value));
    if (!json_is_boolean(value))
        return err_set(ctx, ERR_INTERNAL, NULL, "%s: fact '%s' is no boolean", file, fact);
    *ret = json_is_true(value);
    return 0;
}

/* Sorted and indented: the same facts give the same bytes, and people read it, too. */
static int render_json(const struct renderer *renderer, const json_t *node, json_t **ret)
{
    _cleanup_json_ json_t *value = NULL;
    TRY(render_node(renderer, node, &value));
    if (!value)
        return 0;
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    *ret = json_sprintf("%s\n", text);
    free(text);
    return 0;
}

static int render_node(const struct renderer *renderer, const json_t *node, json_t **ret)
{
    if (json_is_string(node))
        return render_text(renderer, json_string_value(node), ret);
    if (json_object_get(node, JSON))
        return render_json(renderer, json_object_get(node, JSON), ret);
    if (!json_is_object(node) && !json_is_array(node)) {
        *ret = json_deep_copy(node);
        return 0;
    }
    const char *when = json_string_value(json_object_get(node, WHEN));
    bool wanted = true;
    if (when)
        TRY(template_fact(renderer->ctx, renderer->file, renderer->facts, when, &wanted));
    if (!wanted)
        return 0;
    json_t *out = json_is_object(node) ? json_object() : json_array();
    int rc =
        json_is_object(node) ? render_map(renderer, node, out) : render_list(renderer, node, out);
    if (rc < 0)
        json_decref(out);
    else
        *ret = out;
    return rc;
}

int template_render(struct ctx *ctx, const char *file, const json_t *object, const json_t *facts,
                    json_t **ret)
{
    struct renderer renderer = {.ctx = ctx, .file = file, .facts = facts};
    json_t *out = NULL;
    TRY(render_node(&renderer, object, &out));
    *ret = arena_json(ctx->arena, out);
    return 0;
}
