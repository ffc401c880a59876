#include "server/dev/devcluster/fields.h"

#include "server/base/json.h"
#include "server/base/str.h"

static bool is_member(const json_t *node)
{
    return node && (json_object_size(node) == 0 || json_object_get(node, "."));
}

static const char *field_name(struct arena *arena, const char *name)
{
    return arena_printf(arena, "f:%s", name);
}

/* ---- what a value sets ---- */

static json_t *set_of(struct arena *arena, const struct shape *shape, const json_t *value);

static json_t *set_of_map(struct arena *arena, const struct shape *shape, const json_t *map)
{
    json_t *set = json_object(), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)map, name, value) {
        struct shape member = shape_member(shape, name);
        json_object_set_new(set, field_name(arena, name), set_of(arena, &member, value));
    }
    return set;
}

static json_t *set_of_list(struct arena *arena, const struct shape *shape, const json_t *list,
                           const char *keys)
{
    struct shape item_shape = shape_item(shape);
    json_t *set = json_object(), *item;
    size_t at;
    json_array_foreach((json_t *)(uintptr_t)list, at, item) {
        json_t *node = *keys ? set_of(arena, &item_shape, item) : json_object();
        if (*keys)
            json_object_set_new(node, ".", json_object());
        json_object_set_new(set, shape_key(arena, keys, item), node);
    }
    return set;
}

static json_t *set_of(struct arena *arena, const struct shape *shape, const json_t *value)
{
    const char *keys = json_is_array(value) ? shape_keys(arena, shape) : NULL;
    if (json_is_object(value) && !shape_is_atomic(shape))
        return set_of_map(arena, shape, value);
    return keys ? set_of_list(arena, shape, value, keys) : json_object();
}

json_t *fields_of(struct arena *arena, const struct shape *shape, const json_t *value)
{
    return arena_json(arena, set_of(arena, shape, value));
}

/* ---- what differs ---- */

static json_t *changed(struct arena *arena, const struct shape *shape, const json_t *before,
                       const json_t *after, json_t *removed);

/* One child of both sides into the two sets. */
static void changed_child(struct arena *arena, const struct shape *shape, const char *key,
                          const json_t *before, const json_t *after, json_t *set, json_t *removed)
{
    json_t *below = json_object();
    json_t *node = before ? changed(arena, shape, before, after, below) : NULL;
    if (!before) {
        node = set_of(arena, shape, after);
        if (*key == 'k')
            json_object_set_new(node, ".", json_object());
    }
    if (node)
        json_object_set_new(set, key, node);
    if (json_object_size(below))
        json_object_set(removed, key, below);
    json_decref(below);
}

static void changed_map(struct arena *arena, const struct shape *shape, const json_t *before,
                        const json_t *after, json_t *set, json_t *removed)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)after, name, value) {
        struct shape member = shape_member(shape, name);
        changed_child(arena, &member, field_name(arena, name), json_object_get(before, name), value,
                      set, removed);
    }
    json_object_foreach((json_t *)(uintptr_t)before, name, value)
        if (!json_object_get(after, name))
            json_object_set_new(removed, field_name(arena, name), json_object());
}

static void changed_list(struct arena *arena, const struct shape *shape, const json_t *before,
                         const json_t *after, json_t *set, json_t *removed)
{
    const char *keys = shape_keys(arena, shape);
    struct shape item_shape = shape_item(shape);
    size_t at;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)after, at, item) {
        const char *key = shape_key(arena, keys, item);
        changed_child(arena, &item_shape, key, shape_find(arena, keys, before, key), item, set,
                      removed);
    }
    json_array_foreach((json_t *)(uintptr_t)before, at, item) {
        const char *key = shape_key(arena, keys, item);
        if (!shape_find(arena, keys, after, key))
            json_object_set_new(removed, key, json_object());
    }
}

/* NULL: nothing. */
static json_t *changed(struct arena *arena, const struct shape *shape, const json_t *before,
                       const json_t *after, json_t *removed)
{
    if (json_equal(before, after))
        return NULL;
    bool maps = json_is_object(before) && json_is_object(after) && !shape_is_atomic(shape);
    bool lists = json_is_array(before) && json_is_array(after) && shape_keys(arena, shape);
    json_t *set = json_object();
    if (maps)
        changed_map(arena, shape, before, after, set, removed);
    else if (lists)
        changed_list(arena, shape, before, after, set, removed);
    else
        return set;
    if (json_object_size(set))
        return set;
    json_decref(set);
    return NULL;
}

json_t *fields_changed(struct arena *arena, const struct shape *shape, const json_t *before,
                       const json_t *after, json_t *removed)
{
    json_t *set = changed(arena, shape, before, after, removed);
    return arena_json(arena, set ? set : json_object());
}

/* ---- sets ---- */

json_t *fields_union(struct arena *arena, const json_t *a, const json_t *b)
{
    json_t *sum = arena_json(arena, json_deep_copy(a));
    const char *key;
    json_t *node;
    json_object_foreach((json_t *)(uintptr_t)b, key, node) {
        json_t *mine = json_object_get(sum, key);
        if (!mine) {
            json_object_set_new(sum, key, json_deep_copy(node));
            continue;
        }
        json_t *both = fields_union(arena, mine, node);
        if ((is_member(mine) || is_member(node)) && json_object_size(both))
            json_object_set_new(both, ".", json_object());
        json_object_set(sum, key, both);
    }
    return sum;
}

/* A node of what two nodes have (or only the first has) and, as children, of what is below. */
static void put_node(json_t *into, const char *key, bool member, json_t *below)
{
    if (member && json_object_size(below))
        json_object_set_new(below, ".", json_object());
    if (member || json_object_size(below))
        json_object_set(into, key, below);
}

json_t *fields_intersection(struct arena *arena, const json_t *a, const json_t *b)
{
    json_t *both = arena_json(arena, json_object()), *node;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)a, key, node) {
        const json_t *other = json_object_get(b, key);
        if (*key != '.' && other)
            put_node(both, key, is_member(node) && is_member(other),
                     fields_intersection(arena, node, other));
    }
    return both;
}

json_t *fields_difference(struct arena *arena, const json_t *a, const json_t *b)
{
    json_t *rest = arena_json(arena, json_object()), *node;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)a, key, node) {
        const json_t *other = json_object_get(b, key);
        if (*key != '.')
            put_node(rest, key, is_member(node) && !is_member(other),
                     fields_difference(arena, node, other));
    }
    return rest;
}

json_t *fields_without(struct arena *arena, const json_t *a, const json_t *gone)
{
    json_t *rest = arena_json(arena, json_object()), *node;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)a, key, node) {
        const json_t *other = json_object_get(gone, key);
        if (*key != '.' && !is_member(other))
            put_node(rest, key, is_member(node), fields_without(arena, node, other));
    }
    return rest;
}

/* ---- out of a value ---- */

static void prune_map(struct arena *arena, const struct shape *shape, json_t *map,
                      const json_t *fields)
{
    const char *key;
    json_t *node;
    json_object_foreach((json_t *)(uintptr_t)fields, key, node) {
        const char *name = key + 2;
        json_t *value = str_starts(key, "f:") ? json_object_get(map, name) : NULL;
        struct shape member = shape_member(shape, name);
        if (!value)
            continue;
        if (!is_member(node))
            fields_prune(arena, &member, value, node);
        bool emptied = !json_is_array(value) && json_is_object(value) && !json_object_size(value);
        if (is_member(node) || emptied)
            json_object_del(map, name);
    }
}

static void prune_list(struct arena *arena, const struct shape *shape, json_t *list,
                       const json_t *fields)
{
    const char *keys = shape_keys(arena, shape);
    struct shape item_shape = shape_item(shape);
    for (size_t at = json_array_size(list); keys && at-- > 0;) {
        json_t *item = json_array_get(list, at);
        const json_t *node = json_object_get(fields, shape_key(arena, keys, item));
        if (is_member(node))
            json_array_remove(list, at);
        else if (node)
            fields_prune(arena, &item_shape, item, node);
    }
}

void fields_prune(struct arena *arena, const struct shape *shape, json_t *value,
                  const json_t *fields)
{
    if (json_is_object(value))
        prune_map(arena, shape, value, fields);
    else if (json_is_array(value))
        prune_list(arena, shape, value, fields);
}

/* ---- for people ---- */

static const char *key_text(struct arena *arena, const char *key)
{
    const char *text = "", *name;
    if (str_starts(key, "f:"))
        return arena_printf(arena, ".%s", key + 2);
    if (str_starts(key, "v:"))
        return arena_printf(arena, "[=%s]", key + 2);
    json_t *keys = arena_json(arena, json_loads(key + 2, 0, NULL)), *value;
    json_object_foreach(keys, name, value)
        text =
            arena_printf(arena, "%s%s%s=%s", text, *text ? "," : "", name, json_text(arena, value));
    return arena_printf(arena, "[%s]", text);
}

static void each(struct arena *arena, const json_t *fields, const char *path,
                 void (*tell)(void *arg, const char *path), void *arg)
{
    const char *key;
    json_t *node;
    json_object_foreach((json_t *)(uintptr_t)fields, key, node) {
        if (*key == '.')
            continue;
        const char *below = arena_printf(arena, "%s%s", path, key_text(arena, key));
        if (is_member(node))
            tell(arg, below);
        each(arena, node, below, tell, arg);
    }
}

void fields_each(struct arena *arena, const json_t *fields,
                 void (*tell)(void *arg, const char *path), void *arg)
{
    each(arena, fields, "", tell, arg);
}
