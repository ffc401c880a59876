#include "reconcilers/pipeline/metricsapi/selector.h"

#include "server/base/ctx.h"
#include "server/base/str.h"

#include <string.h>

#define VALUE_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
#define KEY_BYTES VALUE_BYTES "/"

enum { KEY_MAX = 253 + 1 + 63, VALUE_MAX = 63 };

struct reader {
    struct ctx *ctx;
    const char *text, *at;
};

static void skip_blanks(struct reader *reader)
{
    reader->at += strspn(reader->at, " ");
}

static bool take(struct reader *reader, const char *token)
{
    if (!str_starts(reader->at, token))
        return false;
    reader->at += strlen(token);
    return true;
}

/* A word and the blanks around it. */
static const char *word(struct reader *reader, const char *set)
{
    skip_blanks(reader);
    size_t bytes = strspn(reader->at, set);
    const char *found = arena_strndup(reader->ctx->arena, reader->at, bytes);
    reader->at += bytes;
    skip_blanks(reader);
    return found;
}

static int bad(struct reader *reader, const char *why)
{
    return err_set(reader->ctx, ERR_INVALID, "InvalidParameter", "labelSelector: %s at byte %zu",
                   why, (size_t)(reader->at - reader->text));
}

static int take_value(struct reader *reader, struct selector_requirement *row)
{
    if (row->count == SELECTOR_VALUES_MAX)
        return bad(reader, "more than 64 values");
    const char *value = word(reader, VALUE_BYTES);
    if (strlen(value) > VALUE_MAX)
        return bad(reader, "a value of more than 63 characters");
    row->values[row->count++] = value;
    return 0;
}

static int take_values(struct reader *reader, struct selector_requirement *row)
{
    skip_blanks(reader);
    if (!take(reader, "("))
        return bad(reader, "'(' is missing");
    do
        TRY(take_value(reader, row));
    while (take(reader, ","));
    return take(reader, ")") ? 0 : bad(reader, "',' or ')' is missing");
}

/* "in" and "notin" are words: what follows is a blank or the list. */
static bool take_operator(struct reader *reader, const char *name)
{
    size_t bytes = strlen(name);
    if (!str_starts(reader->at, name) || !strchr(" (", reader->at[bytes]) || !reader->at[bytes])
        return false;
    reader->at += bytes;
    return true;
}

static int take_requirement(struct reader *reader, struct selector_requirement *row)
{
    skip_blanks(reader);
    row->negated = take(reader, "!");
    row->key = word(reader, KEY_BYTES);
    if (!*row->key || strlen(row->key) > KEY_MAX)
        return bad(reader, "a key of 1 to 317 characters is missing");
    row->presence = row->negated || !*reader->at || *reader->at == ',';
    if (row->presence)
        return 0;
    if (take_operator(reader, "in"))
        return take_values(reader, row);
    if (take_operator(reader, "notin") || take(reader, "!=")) {
        row->negated = true;
        return reader->at[-1] == '=' ? take_value(reader, row) : take_values(reader, row);
    }
    if (take(reader, "==") || take(reader, "="))
        return take_value(reader, row);
    return bad(reader, "one of = == != in notin is missing");
}

int selector_read(struct ctx *ctx, const char *text, struct selector *ret)
{
    struct reader reader = {ctx, text ? text : "", text ? text : ""};
    *ret = (struct selector){0};
    skip_blanks(&reader);
    if (!*reader.at)
        return 0;
    do {
        if (ret->count == SELECTOR_REQUIREMENTS_MAX)
            return bad(&reader, "more than 32 requirements");
        struct selector_requirement *row = arena_alloc(ctx->arena, sizeof *row);
        TRY(take_requirement(&reader, row));
        ret->rows[ret->count++] = row;
        skip_blanks(&reader);
    } while (take(&reader, ","));
    return *reader.at ? bad(&reader, "',' or the end is missing") : 0;
}

static bool holds(const struct selector_requirement *row, const char *value)
{
    bool found = value && row->presence;
    for (size_t at = 0; value && at < row->count && !found; at++)
        found = str_equal(row->values[at], value);
    return found != row->negated;
}

bool selector_matches(const struct selector *selector, const json_t *labels)
{
    for (size_t at = 0; at < selector->count; at++)
        if (!holds(selector->rows[at],
                   json_string_value(json_object_get(labels, selector->rows[at]->key))))
            return false;
    return true;
}
