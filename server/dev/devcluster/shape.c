#include "server/dev/devcluster/shape.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/kinds.h"

#include <string.h>

/* Lists of built-in kinds that merge. All others are replaced as a whole. */
static const struct {
    const char *field, *parent, *keys; /* parent NULL = wherever it is */
} lists[] = {
    {"containers", NULL, "name"},
    {"initContainers", NULL, "name"},
    {"ephemeralContainers", NULL, "name"},
    {"env", NULL, "name"},
    {"volumes", "spec", "name"},
    {"volumeMounts", NULL, "mountPath"},
    {"volumeDevices", NULL, "devicePath"},
    {"ports", "spec", "port protocol"},
    {"ports", "containers", "containerPort protocol"},
    {"ports", "initContainers", "containerPort protocol"},
    {"imagePullSecrets", NULL, "name"},
    {"secrets", NULL, "name"},
    {"hostAliases", NULL, "ip"},
    {"topologySpreadConstraints", NULL, "topologyKey whenUnsatisfiable"},
    {"conditions", "status", "type"},
    {"ownerReferences", "metadata", "uid"},
    {"finalizers", "metadata", ""},
};

static const char *const atomic_maps[] = {
    "selector",       "labelSelector",   "podSelector",     "namespaceSelector", "nodeSelector",
    "secretKeyRef",   "configMapKeyRef", "fieldRef",        "resourceFieldRef",  "roleRef",
    "involvedObject", "regarding",       "objectReference",
};

struct shape shape_of(const struct kind *kind)
{
    return (struct shape){.schema = kind_schema(kind), .field = "", .parent = ""};
}

struct shape shape_member(const struct shape *shape, const char *name)
{
    const json_t *properties = json_object_get(shape->schema, "properties");
    const json_t *schema = json_object_get(properties, name);
    bool is_metadata = !*shape->field && str_equal(name, "metadata");
    if (!schema)
        schema = json_object_get(shape->schema, "additionalProperties");
    return (struct shape){is_metadata ? NULL : schema, name, shape->field};
}

struct shape shape_item(const struct shape *shape)
{
    return (struct shape){json_object_get(shape->schema, "items"), shape->field, shape->parent};
}

const char *shape_words(struct arena *arena, const json_t *list)
{
    const char *text = "";
    size_t at;
    json_t *word;
    json_array_foreach((json_t *)(uintptr_t)list, at, word)
        text = arena_printf(arena, "%s%s%s", text, at ? " " : "", json_string_value(word));
    return text;
}

static const char *schema_keys(struct arena *arena, const json_t *schema)
{
    const char *type = json_string_value(json_object_get(schema, "x-kubernetes-list-type"));
    if (!str_equal(type, "map"))
        return str_equal(type, "set") ? "" : NULL;
    return shape_words(arena, json_object_get(schema, "x-kubernetes-list-map-keys"));
}

const char *shape_keys(struct arena *arena, const struct shape *shape)
{
    if (shape->schema)
        return schema_keys(arena, shape->schema);
    for (size_t at = 0; at < ARRAY_SIZE(lists); at++)
        if (str_equal(lists[at].field, shape->field) &&
            (!lists[at].parent || str_equal(lists[at].parent, shape->parent)))
            return lists[at].keys;
    return NULL;
}

bool shape_is_atomic(const struct shape *shape)
{
    if (shape->schema)
        return str_equal(json_string_value(json_object_get(shape->schema, "x-kubernetes-map-type")),
                         "atomic");
    for (size_t at = 0; at < ARRAY_SIZE(atomic_maps); at++)
        if (str_equal(atomic_maps[at], shape->field))
            return true;
    return false;
}

const char *shape_key(struct arena *arena, const char *keys, const json_t *item)
{
    if (!*keys)
        return arena_printf(arena, "v:%s", json_text(arena, item));
    json_t *key = arena_json(arena, json_object());
    for (const char *at = keys; *at;) {
        size_t bytes = strcspn(at, " ");
        const char *name = arena_strndup(arena, at, bytes);
        json_t *value = json_object_get(item, name);
        if (!value && str_equal(name, "protocol"))
            json_object_set_new(key, name, json_string("TCP")); /* the schema's default */
        else
            json_object_set(key, name, value);
        at += bytes + (at[bytes] == ' ');
    }
    return arena_printf(arena, "k:%s", json_text(arena, key));
}

json_t *shape_find(struct arena *arena, const char *keys, const json_t *list, const char *key)
{
    size_t at;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)list, at, item)
        if (str_equal(shape_key(arena, keys, item), key))
            return item;
    return NULL;
}
