#include "server/dev/devcluster/jsonpath.h"

#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

/* One step, taken from the front of a path. */
struct step {
    const char *name;  /* of a member; NULL = an index or a filter */
    const char *value; /* a filter's: which text the member at `filter` must have */
    const char *filter;
    size_t index;
};

/* ".a\.b" up to the next step; a backslash takes the meaning of what follows. */
static const char *take_name(struct arena *arena, const char *path, struct step *ret)
{
    char *name = arena_alloc(arena, strlen(path) + 1);
    size_t bytes = 0;
    while (*path && *path != '.' && *path != '[') {
        path += *path == '\\' && path[1];
        name[bytes++] = *path++;
    }
    ret->name = name;
    return path;
}

static const char *quoted(struct arena *arena, const char *text, const char *end)
{
    while (text < end && strchr(" '\"", *text))
        text++;
    end -= text < end && strchr("'\"", end[-1]);
    return arena_strndup(arena, text, text < end ? (size_t)(end - text) : 0);
}

static const char *take_bracket(struct arena *arena, const char *path, struct step *ret)
{
    const char *end = strchr(path, ']');
    const char *equals = strstr(path, "==");
    int64_t index = 0;
    if (!end)
        return path + strlen(path);
    if (str_starts(path, "[?(@.") && equals && equals < end) {
        ret->filter = arena_strndup(arena, path + 5, (size_t)(equals - path - 5));
        ret->value = quoted(arena, equals + 2, end - 1);
    } else if (str_to_int(arena_strndup(arena, path + 1, (size_t)(end - path - 1)), 0, INT32_MAX,
                          &index)) {
        ret->index = (size_t)index;
    } else {
        ret->name = quoted(arena, path + 1, end);
    }
    return end + 1;
}

static const char *take_step(struct arena *arena, const char *path, struct step *ret)
{
    *ret = (struct step){0};
    if (*path == '[')
        return take_bracket(arena, path, ret);
    return take_name(arena, path + (*path == '.'), ret);
}

static bool fits(struct arena *arena, const json_t *item, const struct step *step)
{
    return str_equal(jsonpath_text(arena, json_at(item, step->filter)), step->value);
}

static const json_t *follow(struct arena *arena, const json_t *at, const struct step *step)
{
    size_t index;
    json_t *item;
    if (step->name)
        return json_object_get(at, step->name);
    if (!step->filter)
        return json_array_get(at, step->index);
    json_array_foreach((json_t *)(uintptr_t)at, index, item)
        if (fits(arena, item, step))
            return item;
    return NULL;
}

const json_t *jsonpath_first(struct arena *arena, const json_t *root, const char *path)
{
    struct step step;
    while (root && *path) {
        path = take_step(arena, path, &step);
        root = follow(arena, root, &step);
    }
    return root;
}

size_t jsonpath_count(struct arena *arena, const json_t *root, const char *path)
{
    const char *last = strstr(path, "[?");
    size_t index, count = 0;
    struct step step;
    json_t *item;
    const json_t *list = jsonpath_first(
        arena, root, last ? arena_strndup(arena, path, (size_t)(last - path)) : path);
    if (!last)
        return json_is_object(list) ? json_object_size(list) : json_array_size(list);
    take_step(arena, last, &step);
    json_array_foreach((json_t *)(uintptr_t)list, index, item)
        count += step.filter && fits(arena, item, &step);
    return count;
}

const char *jsonpath_text(struct arena *arena, const json_t *value)
{
    if (!value || json_is_null(value))
        return "";
    if (json_is_string(value))
        return json_string_value(value);
    return json_text(arena, value);
}
