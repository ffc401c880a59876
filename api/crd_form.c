/* What the API server does to a custom resource before it checks it: prune and complete. */
#include "api/crd.h"
#include "server/base/json.h"
#include "server/base/str.h"

static void prune(struct arena *arena, const json_t *schema, json_t *value, const char *pointer,
                  json_t *unknown);

static void prune_members(struct arena *arena, const json_t *schema, json_t *object,
                          const char *pointer, json_t *unknown)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *others = json_object_get(schema, "additionalProperties");
    bool kept = json_is_true(json_object_get(schema, "x-kubernetes-preserve-unknown-fields"));
    const char *name;
    void *next;
    json_t *member;
    json_object_foreach_safe(object, next, name, member) {
        const json_t *known = json_object_get(properties, name);
        const char *below = arena_printf(arena, "%s/%s", pointer, name);
        if (!*pointer && str_has_word("apiVersion kind metadata", name))
            continue;
        if (known || others)
            prune(arena, known ? known : others, member, below, unknown);
        else if (!kept) {
            json_array_append_new(unknown, json_string(below));
            json_object_del(object, name);
        }
    }
}

static void prune(struct arena *arena, const json_t *schema, json_t *value, const char *pointer,
                  json_t *unknown)
{
    size_t at;
    json_t *item;
    if (json_is_object(value))
        prune_members(arena, schema, value, pointer, unknown);
    json_array_foreach(value, at, item)
        prune(arena, json_object_get(schema, "items"), item,
              arena_printf(arena, "%s/%zu", pointer, at), unknown);
}

void crd_prune(struct arena *arena, const json_t *schema, json_t *object, json_t *unknown)
{
    prune(arena, schema, object, "", unknown);
}

void crd_default(const json_t *schema, json_t *value)
{
    const char *name;
    size_t at;
    json_t *property, *item;
    if (json_is_object(value))
        json_object_foreach(json_object_get(schema, "properties"), name, property) {
            json_t *otherwise = json_object_get(property, "default");
            if (otherwise && !json_object_get(value, name))
                json_object_set_new(value, name, json_deep_copy(otherwise));
            crd_default(property, json_object_get(value, name));
        }
    json_array_foreach(value, at, item)
        crd_default(json_object_get(schema, "items"), item);
}
