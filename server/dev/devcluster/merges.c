#include "server/dev/devcluster/merges.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

/* ---- server-side apply ---- */

static json_t *applied(struct arena *arena, const struct shape *shape, const json_t *live,
                       const json_t *patch);

static json_t *applied_map(struct arena *arena, const struct shape *shape, const json_t *live,
                           const json_t *patch)
{
    json_t *merged = json_deep_copy(live), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)patch, name, value) {
        struct shape member = shape_member(shape, name);
        json_object_set_new(merged, name,
                            applied(arena, &member, json_object_get(live, name), value));
    }
    return merged;
}

/* Both lists of one place, and how far the live one is taken. */
struct two_lists {
    struct arena *arena;
    const char *keys;
    const json_t *live, *patch;
    size_t from;
};

/* Items that only the live list has keep their place before what followed them; until `key`. */
static void take_live(struct two_lists *lists, const char *key, json_t *merged)
{
    for (json_t *item; (item = json_array_get(lists->live, lists->from));) {
        const char *other = shape_key(lists->arena, lists->keys, item);
        bool same = str_equal(other, key);
        bool shared = same || shape_find(lists->arena, lists->keys, lists->patch, other);
        if (shared && !same && !shape_find(lists->arena, lists->keys, merged, other))
            return; /* it comes where the patch has it */
        lists->from++;
        if (same)
            return;
        if (!shared)
            json_array_append_new(merged, json_deep_copy(item));
    }
}

static json_t *applied_list(struct arena *arena, const struct shape *shape, const json_t *live,
                            const json_t *patch, const char *keys)
{
    struct shape item_shape = shape_item(shape);
    struct two_lists lists = {arena, keys, live, patch, 0};
    json_t *merged = json_array(), *item;
    size_t at;
    json_array_foreach((json_t *)(uintptr_t)patch, at, item) {
        const char *key = shape_key(arena, keys, item);
        take_live(&lists, key, merged);
        json_array_append_new(
            merged, applied(arena, &item_shape, shape_find(arena, keys, live, key), item));
    }
    take_live(&lists, NULL, merged);
    return merged;
}

static json_t *applied(struct arena *arena, const struct shape *shape, const json_t *live,
                       const json_t *patch)
{
    const char *keys = json_is_array(patch) ? shape_keys(arena, shape) : NULL;
    _cleanup_json_ json_t *empty = json_is_object(patch) ? json_object() : json_array();
    if (json_is_object(patch) && !shape_is_atomic(shape))
        return applied_map(arena, shape, json_is_object(live) ? live : empty, patch);
    if (keys && json_is_array(live))
        return applied_list(arena, shape, live, patch, keys);
    return json_deep_copy(patch);
}

json_t *merge_apply(struct arena *arena, const struct shape *shape, const json_t *live,
                    const json_t *patch)
{
    return arena_json(arena, applied(arena, shape, live, patch));
}

/* ---- RFC 7386 ---- */

static void merge_into(json_t *into, const json_t *patch)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)patch, name, value) {
        json_t *member = json_object_get(into, name);
        if (json_is_object(value) && !json_is_object(member))
            json_object_set_new(into, name, member = json_object());
        if (json_is_null(value))
            json_object_del(into, name);
        else if (json_is_object(value))
            merge_into(member, value);
        else
            json_object_set_new(into, name, json_deep_copy(value));
    }
}

json_t *merge_patch(struct arena *arena, const json_t *live, const json_t *patch)
{
    json_t *merged = arena_json(arena, json_deep_copy(live));
    merge_into(merged, patch);
    return merged;
}

/* ---- strategic ---- */

struct strategy {
    struct arena *arena;
    bool unserved;
};

static json_t *strategic(struct strategy *strategy, const struct shape *shape, const json_t *live,
                         const json_t *patch);

static size_t index_of(const json_t *list, const json_t *item)
{
    size_t at = 0;
    while (at < json_array_size(list) && json_array_get(list, at) != item)
        at++;
    return at;
}

static json_t *strategic_list(struct strategy *strategy, const struct shape *shape,
                              const json_t *live, const json_t *patch, const char *keys)
{
    struct arena *arena = strategy->arena;
    struct shape item_shape = shape_item(shape);
    json_t *merged = json_deep_copy(live), *item;
    size_t at;
    json_array_foreach((json_t *)(uintptr_t)patch, at, item) {
        json_t *mine = shape_find(arena, keys, merged, shape_key(arena, keys, item));
        const char *directive = json_string_value(json_object_get(item, "$patch"));
        size_t place = index_of(merged, mine);
        if (directive && !str_equal(directive, "delete"))
            strategy->unserved = true;
        if (directive && mine)
            json_array_remove(merged, place);
        else if (!directive && mine && *keys)
            json_array_set_new(merged, place, strategic(strategy, &item_shape, mine, item));
        else if (!directive && !mine)
            json_array_append_new(merged, json_deep_copy(item));
    }
    return merged;
}

/* $setElementOrder/x only says in which order; what it orders here stays as it stood. */
static bool is_directive(struct strategy *strategy, const char *name)
{
    if (*name == '$' && !str_starts(name, "$setElementOrder/"))
        strategy->unserved = true;
    return *name == '$';
}

static json_t *strategic(struct strategy *strategy, const struct shape *shape, const json_t *live,
                         const json_t *patch)
{
    const char *keys = json_is_array(patch) ? shape_keys(strategy->arena, shape) : NULL;
    if (keys && json_is_array(live))
        return strategic_list(strategy, shape, live, patch, keys);
    if (!json_is_object(patch))
        return json_deep_copy(patch);
    json_t *merged = json_is_object(live) ? json_deep_copy(live) : json_object(), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)patch, name, value) {
        struct shape member = shape_member(shape, name);
        if (is_directive(strategy, name))
            continue;
        if (json_is_null(value))
            json_object_del(merged, name);
        else
            json_object_set_new(merged, name,
                                strategic(strategy, &member, json_object_get(merged, name), value));
    }
    return merged;
}

json_t *merge_strategic(struct arena *arena, const struct shape *shape, const json_t *live,
                        const json_t *patch)
{
    struct strategy strategy = {.arena = arena};
    json_t *merged = arena_json(arena, strategic(&strategy, shape, live, patch));
    return strategy.unserved ? NULL : merged;
}

/* ---- RFC 6902 ---- */

/* The token of a JSON pointer, ~1 and ~0 read; moves *pointer on. */
static const char *token(struct arena *arena, const char **pointer)
{
    size_t bytes = strcspn(*pointer + 1, "/");
    char *name = arena_strndup(arena, *pointer + 1, bytes), *out = name;
    *pointer += 1 + bytes;
    for (const char *in = name; *in; in++)
        *out++ = *in == '~' && in[1] ? (*++in == '1' ? '/' : '~') : *in;
    *out = '\0';
    return name;
}

static json_t *value_at(json_t *in, const char *name)
{
    int64_t index;
    if (!json_is_array(in))
        return json_object_get(in, name);
    return str_to_int(name, 0, INT32_MAX, &index) ? json_array_get(in, (size_t)index) : NULL;
}

/* What holds the last token, or NULL; *ret_name is that token. */
static json_t *holder(struct arena *arena, json_t *root, const char *pointer, const char **ret_name)
{
    json_t *at = root;
    *ret_name = NULL;
    while (at && *pointer == '/') {
        const char *name = token(arena, &pointer);
        if (!*pointer) {
            *ret_name = name;
            return at;
        }
        at = value_at(at, name);
    }
    return NULL;
}

static bool put_at(json_t *in, const char *name, json_t *value, bool replace)
{
    int64_t index = (int64_t)json_array_size(in);
    if (!json_is_array(in))
        return json_object_set(in, name, value) == 0;
    if (!str_equal(name, "-") && !str_to_int(name, 0, INT32_MAX, &index))
        return false;
    return replace ? json_array_set(in, (size_t)index, value) == 0
                   : json_array_insert(in, (size_t)index, value) == 0;
}

static bool remove_at(json_t *in, const char *name)
{
    int64_t index;
    if (!json_is_array(in))
        return json_object_del(in, name) == 0;
    return str_to_int(name, 0, INT32_MAX, &index) && json_array_remove(in, (size_t)index) == 0;
}

static bool operate(struct arena *arena, json_t *root, const json_t *operation)
{
    const char *op = json_str_or(operation, "op", ""), *name, *from_name;
    const char *path = json_str_or(operation, "path", ""), *from = json_str(operation, "from");
    json_t *value = json_object_get(operation, "value");
    json_t *in = holder(arena, root, path, &name);
    json_t *source = from ? holder(arena, root, from, &from_name) : NULL;
    if (!in)
        return false;
    if (str_equal(op, "test"))
        return value && json_equal(value_at(in, name), value);
    if (str_equal(op, "remove"))
        return remove_at(in, name);
    if (str_equal(op, "add"))
        return value && put_at(in, name, value, false);
    if (str_equal(op, "replace"))
        return value && value_at(in, name) && put_at(in, name, value, true);
    json_t *moved = source ? value_at(source, from_name) : NULL;
    _cleanup_json_ json_t *copy = moved ? json_deep_copy(moved) : NULL;
    if (!copy || !(str_equal(op, "copy") || str_equal(op, "move")))
        return false;
    if (str_equal(op, "move") && !remove_at(source, from_name))
        return false;
    in = holder(arena, root, path, &name); /* it may have been in what was removed, or behind it */
    return in && put_at(in, name, copy, false);
}

json_t *merge_operations(struct arena *arena, const json_t *live, const json_t *operations,
                         const char **ret_problem)
{
    json_t *root = arena_json(arena, json_deep_copy(live)), *operation;
    size_t at;
    json_array_foreach((json_t *)(uintptr_t)operations, at, operation) {
        if (operate(arena, root, operation))
            continue;
        *ret_problem =
            arena_printf(arena, "%s operation does not apply: doc is missing path: \"%s\"",
                         json_str_or(operation, "op", "?"), json_str_or(operation, "path", ""));
        return NULL;
    }
    return root;
}
