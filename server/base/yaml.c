#include "server/base/yaml.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
    struct ctx *ctx;
    yaml_parser_t parser;
    yaml_event_t event;
    int events;
};

static int fail(struct reader *reader, const char *what)
{
    yaml_mark_t mark = reader->event.start_mark;
    return err_set(reader->ctx, ERR_INVALID, "MalformedYaml", "line %zu column %zu: %s",
                   mark.line + 1, mark.column + 1, what);
}

/* Moves to the next event; the caller owns none of it. */
static int next(struct reader *reader)
{
    yaml_event_delete(&reader->event);
    if (!yaml_parser_parse(&reader->parser, &reader->event)) {
        return err_set(reader->ctx, ERR_INVALID, "MalformedYaml", "line %zu column %zu: %s",
                       reader->parser.problem_mark.line + 1, reader->parser.problem_mark.column + 1,
                       reader->parser.problem);
    }
    if (++reader->events > YAML_MAX_EVENTS)
        return fail(reader, "the document has too many elements");
    return 0;
}

/* The core schema's plain scalars: null, booleans, decimal integers and floats. */
static json_t *plain_scalar(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t at = 0; at < sizeof nulls / sizeof *nulls; at++)
        if (strcmp(text, nulls[at]) == 0)
            return json_null();
    if (str_equal(text, "true") || str_equal(text, "True") || str_equal(text, "TRUE"))
        return json_true();
    if (str_equal(text, "false") || str_equal(text, "False") || str_equal(text, "FALSE"))
        return json_false();
    int64_t integer;
    if (str_to_int(text, INT64_MIN, INT64_MAX, &integer))
        return json_integer(integer);
    if (strspn(text, "0123456789+-.eE") == strlen(text) && strpbrk(text, "0123456789")) {
        char *end;
        errno = 0;
        double real = strtod(text, &end);
        if (!errno && !*end)
            return json_real(real);
    }
    return json_string(text);
}

static int read_node(struct reader *reader, int depth, json_t **ret);

static int read_sequence(struct reader *reader, int depth, json_t *array)
{
    for (;;) {
        TRY(next(reader));
        if (reader->event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        json_t *item = NULL;
        TRY(read_node(reader, depth + 1, &item));
        json_array_append_new(array, item);
    }
}

static int read_mapping(struct reader *reader, int depth, json_t *object)
{
    for (;;) {
        TRY(next(reader));
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            return 0;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return fail(reader, "a key must be a scalar");
        char *key = arena_strdup(reader->ctx->arena, (char *)reader->event.data.scalar.value);
        if (json_object_get(object, key))
            return fail(reader, "this key is there twice");
        TRY(next(reader));
        json_t *value = NULL;
        TRY(read_node(reader, depth + 1, &value));
        if (json_object_set_new(object, key, value) < 0)
            return fail(reader, "the key is not valid UTF-8");
    }
}

static int read_scalar(struct reader *reader, json_t **ret)
{
    const char *text = (const char *)reader->event.data.scalar.value;
    if (strlen(text) != reader->event.data.scalar.length)
        return fail(reader, "a scalar holds a NUL byte");
    bool plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    *ret = plain ? plain_scalar(text) : json_string(text);
    return *ret ? 0 : fail(reader, "a scalar is not valid UTF-8");
}

/* Reads the node whose first event is current. On failure *ret is untouched and nothing leaks. */
static int read_node(struct reader *reader, int depth, json_t **ret)
{
    if (depth > JSON_DEPTH_MAX)
        return fail(reader, "nested too deep");
    const yaml_event_t *event = &reader->event;
    switch ((int)event->type) {
    case YAML_SCALAR_EVENT:
        if (event->data.scalar.anchor || event->data.scalar.tag)
            return fail(reader, "anchors and tags are not allowed");
        return read_scalar(reader, ret);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: {
        bool mapping = event->type == YAML_MAPPING_START_EVENT;
        if (mapping ? event->data.mapping_start.anchor || event->data.mapping_start.tag
                    : event->data.sequence_start.anchor || event->data.sequence_start.tag)
            return fail(reader, "anchors and tags are not allowed");
        json_t *node = mapping ? json_object() : json_array();
        int rc = mapping ? read_mapping(reader, depth, node) : read_sequence(reader, depth, node);
        if (rc < 0) {
            json_decref(node);
            return rc;
        }
        *ret = node;
        return 0;
    }
    default:
        return fail(reader, "aliases are not allowed");
    }
}

static int read_stream(struct reader *reader, json_t *documents)
{
    for (;;) {
        TRY(next(reader));
        if (reader->event.type == YAML_STREAM_END_EVENT)
            return 0;
        if (reader->event.type != YAML_DOCUMENT_START_EVENT)
            continue; /* stream start, document end */
        TRY(next(reader));
        json_t *document = NULL;
        TRY(read_node(reader, 0, &document));
        if (json_is_null(document))
            continue;
        json_array_append_new(documents, document);
    }
}

int yaml_parse_all(struct ctx *ctx, const char *text, size_t bytes, json_t **ret)
{
    if (bytes > YAML_MAX_BYTES)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "YAML of %zu bytes is over the limit of %d", bytes,
                       YAML_MAX_BYTES);
    struct reader reader = {.ctx = ctx};
    if (!yaml_parser_initialize(&reader.parser))
        return err_set(ctx, ERR_INTERNAL, NULL, "cannot start the YAML parser");
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, bytes);
    json_t *documents = arena_json(ctx->arena, json_array());
    int rc = read_stream(&reader, documents);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    if (rc == 0)
        *ret = documents;
    return rc;
}

int yaml_parse(struct ctx *ctx, const char *text, size_t bytes, json_t **ret)
{
    json_t *documents = NULL;
    TRY(yaml_parse_all(ctx, text, bytes, &documents));
    if (json_array_size(documents) != 1)
        return err_set(ctx, ERR_INVALID, "MalformedYaml",
                       "exactly one document is expected, not %zu", json_array_size(documents));
    *ret = json_array_get(documents, 0);
    return 0;
}
