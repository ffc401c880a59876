#include "server/dev/devcluster/table.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/events.h"
#include "server/dev/devcluster/jsonpath.h"
#include "server/dev/devcluster/status.h"
#include "server/dev/devcluster/store.h"

#include <string.h>

enum { CELL_MAX_BYTES = 64 << 10 };

#define TABLE_TYPE "application/json;as=Table;v=v1;g=meta.k8s.io"
#define PARTIAL_TYPE "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"

static const struct column {
    const char *plural, *name, *type;
    int priority;
    const char *cell;
} columns[] = {
#define COLUMN(...) {__VA_ARGS__},
#include "server/dev/devcluster/columns.def"
#undef COLUMN
};

/* ---- cells ---- */

/* As kubectl writes durations. */
static const char *age(struct arena *arena, const char *since)
{
    int64_t from_ms;
    if (clock_parse_rfc3339(since, &from_ms) < 0)
        return "<unknown>";
    int64_t s = (clock_wall_ms() - from_ms) / 1000, m = s / 60, h = m / 60, d = h / 24;
    if (s < 120)
        return arena_printf(arena, "%llds", (long long)(s < 0 ? 0 : s));
    if (m < 10 && s % 60)
        return arena_printf(arena, "%lldm%llds", (long long)m, (long long)(s % 60));
    if (m < 180)
        return arena_printf(arena, "%lldm", (long long)m);
    if (h < 8 && m % 60)
        return arena_printf(arena, "%lldh%lldm", (long long)h, (long long)(m % 60));
    if (h < 48)
        return arena_printf(arena, "%lldh", (long long)h);
    if (d < 8 && h % 24)
        return arena_printf(arena, "%lldd%lldh", (long long)d, (long long)(h % 24));
    return arena_printf(arena, "%lldd", (long long)d);
}

static const char *pairs(struct arena *arena, const json_t *map)
{
    const char *text = "", *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, key, value)
        text = arena_printf(arena, "%s%s%s=%s", text, *text ? "," : "", key,
                            jsonpath_text(arena, value));
    return *text ? text : "<none>";
}

static const char *ports(struct arena *arena, const json_t *list)
{
    const char *text = "";
    size_t at;
    json_t *port;
    json_array_foreach((json_t *)(uintptr_t)list, at, port) {
        int64_t node = json_int_or(port, "nodePort", 0);
        text = arena_printf(arena, "%s%s%lld%s/%s", text, at ? "," : "",
                            (long long)json_int_or(port, "port", 0),
                            node ? arena_printf(arena, ":%lld", (long long)node) : "",
                            json_str_or(port, "protocol", "TCP"));
    }
    return *text ? text : "<none>";
}

static const char *of_all(struct arena *arena, const json_t *list, const char *key)
{
    const char *text = "";
    size_t at;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)list, at, item)
        text = arena_printf(arena, "%s%s%s", text, at ? "," : "", json_str_or(item, key, ""));
    return text;
}

/* What stands between two braces of a cell. */
static const char *cell_part(struct arena *arena, const json_t *object, const char *part)
{
    const char *bar = strchr(part, '|');
    const char *path = bar ? arena_strndup(arena, part, (size_t)(bar - part)) : part;
    char form = *path;
    path += form != '.';
    if (form == '#')
        return arena_printf(arena, "%zu", jsonpath_count(arena, object, path));
    const json_t *value = jsonpath_first(arena, object, path);
    if (form == '@')
        return pairs(arena, value);
    if (form == ':')
        return ports(arena, value);
    if (form == ',')
        return of_all(arena, value, bar ? bar + 1 : "");
    if (form == '?')
        return value && bar ? bar + 1 : "";
    return value || !bar ? jsonpath_text(arena, value) : bar + 1;
}

static const char *cell_text(struct arena *arena, const json_t *object, const char *cell)
{
    const char *text = "";
    while (*cell) {
        size_t plain = strcspn(cell, "{");
        const char *close = strchr(cell + plain, '}');
        text = arena_printf(arena, "%s%.*s", text, (int)plain, cell);
        if (!close)
            break;
        const char *part =
            arena_strndup(arena, cell + plain + 1, (size_t)(close - cell - 1) - plain);
        text = arena_printf(arena, "%s%s", text, cell_part(arena, object, part));
        cell = close + 1;
    }
    return text;
}

static json_t *typed(const char *type, const char *text)
{
    int64_t number;
    bool is_number = str_equal(type, "integer") || str_equal(type, "count");
    if (is_number && str_to_int(text, INT32_MIN, INT32_MAX, &number))
        return json_integer(number);
    return json_string(text);
}

static json_t *custom_cell(struct arena *arena, const json_t *column, const json_t *object)
{
    const json_t *value = jsonpath_first(arena, object, json_str_or(column, "jsonPath", ""));
    const char *type = json_str_or(column, "type", "string");
    if (!value || json_is_null(value))
        return json_null();
    if (str_equal(type, "date"))
        return json_string(age(arena, jsonpath_text(arena, value)));
    return typed(type, jsonpath_text(arena, value));
}

/* ---- rows and columns ---- */

static json_t *column_row(const char *name, const char *type, const char *format, int priority)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", name, "type", type, "format", format,
                     "description", "", "priority", priority);
}

static json_t *custom_columns(const struct kind *kind)
{
    return json_object_get(kind->definition, "additionalPrinterColumns");
}

static bool shows(const struct column *column, const struct kind *kind, int priority)
{
    return !(kind->flags & CUSTOM) && str_equal(column->plural, kind->plural) &&
           column->priority == priority;
}

static void add_builtin_columns(const struct kind *kind, int priority, json_t *rows)
{
    for (size_t at = 0; at < ARRAY_SIZE(columns); at++)
        if (shows(&columns[at], kind, priority)) {
            const char *type = columns[at].type;
            json_array_append_new(rows, column_row(columns[at].name,
                                                   str_equal(type, "count") ? "string" : type, "",
                                                   priority));
        }
}

static void add_builtin_cells(struct arena *arena, const struct kind *kind, int priority,
                              const json_t *object, json_t *cells)
{
    for (size_t at = 0; at < ARRAY_SIZE(columns); at++)
        if (shows(&columns[at], kind, priority))
            json_array_append_new(
                cells, typed(columns[at].type, cell_text(arena, object, columns[at].cell)));
}

static json_t *column_rows(const struct kind *kind)
{
    const json_t *own = custom_columns(kind);
    json_t *rows = json_pack("[o]", column_row("Name", "string", "name", 0)), *column;
    size_t index;
    json_array_foreach(own, index, column)
        json_array_append_new(rows, column_row(json_str_or(column, "name", ""),
                                               json_str_or(column, "type", "string"), "",
                                               (int)json_int_or(column, "priority", 0)));
    add_builtin_columns(kind, 0, rows);
    if (!own)
        json_array_append_new(rows, column_row("Age", "string", "", 0));
    add_builtin_columns(kind, 1, rows);
    return rows;
}

static json_t *partial(const json_t *object)
{
    return json_pack("{s:s, s:s, s:O}", "kind", "PartialObjectMetadata", "apiVersion",
                     "meta.k8s.io/v1", "metadata", json_object_get(object, "metadata"));
}

static json_t *row(struct arena *arena, const struct kind *kind, const struct table_form *form,
                   json_t *object)
{
    const json_t *own = custom_columns(kind);
    json_t *cells = json_pack("[s]", json_str_or(object, "metadata.name", "")), *column;
    size_t index;
    json_array_foreach(own, index, column)
        json_array_append_new(cells, custom_cell(arena, column, object));
    add_builtin_cells(arena, kind, 0, object, cells);
    if (!own)
        json_array_append_new(
            cells, json_string(age(arena, json_str_or(object, "metadata.creationTimestamp", ""))));
    add_builtin_cells(arena, kind, 1, object, cells);
    if (form->include == INCLUDE_NONE)
        return json_pack("{s:o, s:n}", "cells", cells, "object");
    return json_pack("{s:o, s:o}", "cells", cells, "object",
                     form->include == INCLUDE_OBJECT ? json_incref(object) : partial(object));
}

static json_t *table(struct arena *arena, const struct kind *kind, const struct table_form *form,
                     json_t *items, json_t *metadata)
{
    json_t *rows = json_array(), *item;
    size_t at;
    json_array_foreach(items, at, item)
        json_array_append_new(rows, row(arena, kind, form, item));
    return arena_json(arena, json_pack("{s:s, s:s, s:O, s:o, s:o}", "kind", "Table", "apiVersion",
                                       "meta.k8s.io/v1", "metadata", metadata, "columnDefinitions",
                                       form->columns_told ? json_array() : column_rows(kind),
                                       "rows", rows));
}

/* ---- forms ---- */

int table_form_of(struct call *call, struct table_form *ret)
{
    const char *accept = call_header(call, "Accept");
    const char *include = call_query(call, "includeObject");
    const char *as_table = accept ? strstr(accept, "as=Table;v=v1;g=meta.k8s.io") : NULL;
    const char *as_partial = accept ? strstr(accept, "as=PartialObjectMetadata") : NULL;
    *ret = (struct table_form){.form = FORM_PLAIN,
                               .content_type = "application/json",
                               .include = str_equal(include, "Object") ? INCLUDE_OBJECT
                                          : str_equal(include, "None") ? INCLUDE_NONE
                                                                       : INCLUDE_METADATA};
    if (as_table || (accept && strstr(accept, "as=Table"))) {
        ret->form = FORM_TABLE;
        ret->content_type = TABLE_TYPE;
    } else if (as_partial) {
        ret->form = FORM_PARTIAL;
        ret->content_type = PARTIAL_TYPE;
    }
    if (ret->form == FORM_PLAIN && accept && !strstr(accept, "application/json") &&
        !strstr(accept, "*/*"))
        return refuse(call, "BadRequest", "only application/json is served, not %s", accept);
    return 0;
}

json_t *table_form_object(struct arena *arena, const struct kind *kind, struct table_form *form,
                          json_t *object)
{
    if (form->form == FORM_PARTIAL)
        return arena_json(arena, partial(object));
    if (form->form == FORM_PLAIN)
        return object;
    bool is_bookmark = !json_str(object, "metadata.name");
    json_t *items = arena_json(arena, is_bookmark ? json_array() : json_pack("[O]", object));
    json_t *version = json_at(object, "metadata.resourceVersion");
    json_t *metadata = arena_json(arena, json_pack("{s:O*}", "resourceVersion", version));
    if (is_bookmark)
        metadata = json_object_get(object, "metadata");
    json_t *made = table(arena, kind, form, items, metadata);
    form->columns_told = true;
    return made;
}

int table_answer(struct call *call, json_t *object, bool created)
{
    struct table_form form;
    TRY(table_form_of(call, &form));
    json_t *shown = present_object(call->ctx.arena, call->kind, object);
    if (form.form == FORM_PLAIN && shown == object)
        call->text = store_text(call->ctx.arena, call->kind, object);
    call->answer = table_form_object(call->ctx.arena, call->kind, &form, shown);
    call->type = form.content_type;
    call->status = created ? 201 : 200;
    return 0;
}

/* Items of built-in lists do not say what they are: the list does. */
static json_t *nameless(const struct kind *kind, json_t *item)
{
    if (kind->flags & CUSTOM)
        return json_incref(item);
    json_t *copy = json_copy(item);
    json_object_del(copy, "apiVersion");
    json_object_del(copy, "kind");
    return copy;
}

int table_list_answer(struct call *call, json_t *items, json_t *metadata)
{
    struct arena *arena = call->ctx.arena;
    struct table_form form;
    TRY(table_form_of(call, &form));
    call->type = form.content_type;
    if (form.form != FORM_PLAIN && str_equal(json_str(metadata, "continue"), ""))
        json_object_del(metadata, "continue"); /* a typed list leaves it out */
    if (form.form == FORM_TABLE) {
        call->answer = table(arena, call->kind, &form, items, metadata);
        return 0;
    }
    bool is_partial = form.form == FORM_PARTIAL;
    if (is_partial && !strstr(call_header(call, "Accept"), "as=PartialObjectMetadataList"))
        return refuse(call, "NotAcceptable",
                      "you requested PartialObjectMetadata, but the requested object is a list "
                      "(*unstructured.UnstructuredList)");
    json_t *list = json_array(), *item;
    size_t at;
    json_array_foreach(items, at, item)
        json_array_append_new(list, is_partial ? partial(item) : nameless(call->kind, item));
    const char *name =
        is_partial ? "PartialObjectMetadataList" : arena_printf(arena, "%sList", call->kind->name);
    call->answer =
        arena_json(arena, json_pack("{s:s, s:s, s:O, s:o}", "kind", name, "apiVersion",
                                    is_partial ? "meta.k8s.io/v1" : call->kind->api_version,
                                    "metadata", metadata, "items", list));
    if (is_partial)
        call->type = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    return 0;
}

json_t *present_object(struct arena *arena, const struct kind *kind, json_t *object)
{
    return kind->home == kind ? object : arena_json(arena, events_view(object, true));
}
