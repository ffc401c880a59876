#include "server/dev/devcluster/selectors.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/status.h"

#include <string.h>

#define KEY_BYTES_SET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./"

/* ---- labels: KEY, !KEY, KEY=V, KEY==V, KEY!=V, KEY in (V,..), KEY notin (V,..) ---- */

/* One requirement, taken from the front of *text. */
struct requirement {
    const char *key, *values; /* values: words with commas between them, or NULL = its presence */
    bool negated;
};

static const char *word(struct arena *arena, const char **text, const char *set)
{
    *text += strspn(*text, " ");
    size_t bytes = strspn(*text, set);
    const char *found = arena_strndup(arena, *text, bytes);
    *text += bytes;
    *text += strspn(*text, " ");
    return found;
}

static bool take(const char **text, const char *token)
{
    if (!str_starts(*text, token))
        return false;
    *text += strlen(token);
    return true;
}

static bool take_set(struct arena *arena, const char **text, struct requirement *ret)
{
    const char *open = *text + strspn(*text, " ");
    const char *close = *open == '(' ? strchr(open, ')') : NULL;
    if (!close)
        return false;
    ret->values = arena_strndup(arena, open + 1, (size_t)(close - open - 1));
    *text = close + 1;
    return true;
}

static bool take_requirement(struct arena *arena, const char **text, struct requirement *ret)
{
    *ret = (struct requirement){0};
    *text += strspn(*text, " ");
    ret->negated = take(text, "!");
    ret->key = word(arena, text, KEY_BYTES_SET);
    if (!*ret->key)
        return false;
    bool fine = true, notin = take(text, "notin ") || take(text, "notin(");
    if (notin || take(text, "in ") || take(text, "in(")) {
        ret->negated = notin;
        *text -= (*text)[-1] == '(';
        fine = take_set(arena, text, ret);
    } else if (take(text, "!=")) {
        ret->negated = true;
        ret->values = word(arena, text, KEY_BYTES_SET);
    } else if (take(text, "==") || take(text, "=")) {
        ret->values = word(arena, text, KEY_BYTES_SET);
    }
    *text += strspn(*text, " ");
    return fine && (!**text || take(text, ","));
}

static bool among(const char *values, const char *value)
{
    for (size_t length = strlen(value); values; values = strchr(values, ',')) {
        values += strspn(values, ", ");
        size_t bytes = strcspn(values, ", ");
        if (bytes == length && strncmp(values, value, length) == 0)
            return true;
    }
    return false;
}

static bool holds(const struct requirement *requirement, const json_t *labels)
{
    const char *value = json_string_value(json_object_get(labels, requirement->key));
    bool positive = value && (!requirement->values || among(requirement->values, value));
    return positive != requirement->negated;
}

static bool labels_match(struct arena *arena, const char *text, const json_t *labels)
{
    struct requirement requirement;
    while (*text)
        if (!take_requirement(arena, &text, &requirement) || !holds(&requirement, labels))
            return false;
    return true;
}

static bool labels_readable(struct arena *arena, const char *text)
{
    struct requirement requirement;
    while (*text)
        if (!take_requirement(arena, &text, &requirement))
            return false;
    return true;
}

/* ---- fields: PATH=V, PATH==V, PATH!=V ---- */

static const struct {
    const char *plural; /* NULL = every kind */
    const char *path;
} indexed[] = {
    {NULL, "metadata.name"},
    {NULL, "metadata.namespace"},
    {"pods", "spec.nodeName"},
    {"pods", "spec.restartPolicy"},
    {"pods", "spec.serviceAccountName"},
    {"pods", "status.phase"},
    {"events", "involvedObject.kind"},
    {"events", "involvedObject.namespace"},
    {"events", "involvedObject.name"},
    {"events", "involvedObject.uid"},
    {"events", "involvedObject.apiVersion"},
    {"events", "involvedObject.fieldPath"},
    {"events", "reason"},
    {"events", "type"},
    {"events", "reportingComponent"},
    {"secrets", "type"},
    {"namespaces", "status.phase"},
    {"jobs", "status.successful"},
};

struct field {
    const char *path, *value;
    bool negated;
};

static bool take_field(struct arena *arena, const char **text, struct field *ret)
{
    size_t bytes = strcspn(*text, "=!");
    ret->path = arena_strndup(arena, *text, bytes);
    *text += bytes;
    ret->negated = take(text, "!=");
    if (!ret->negated && !take(text, "==") && !take(text, "="))
        return false;
    bytes = strcspn(*text, ",");
    ret->value = arena_strndup(arena, *text, bytes);
    *text += bytes;
    return !**text || take(text, ",");
}

static bool is_indexed(const struct kind *kind, const char *path)
{
    for (size_t at = 0; at < ARRAY_SIZE(indexed); at++)
        if (str_equal(indexed[at].path, path) &&
            (!indexed[at].plural || str_equal(indexed[at].plural, kind->plural)))
            return true;
    return false;
}

static bool fields_match(struct arena *arena, const char *text, const json_t *object)
{
    struct field field;
    while (*text)
        if (!take_field(arena, &text, &field) ||
            str_equal(json_str_or(object, field.path, ""), field.value) == field.negated)
            return false;
    return true;
}

static int refuse_field(struct call *call, const char *path)
{
    bool own = call->kind->flags & CUSTOM;
    for (size_t at = 0; at < ARRAY_SIZE(indexed); at++)
        own |= str_equal(indexed[at].plural, call->kind->plural);
    if (own)
        return refuse(call, "BadRequest", "field label not supported: %s", path);
    return refuse(call, "BadRequest",
                  "\"%s\" is not a known field selector: only \"metadata.name\", "
                  "\"metadata.namespace\"",
                  path);
}

int selector_of(struct call *call, struct selector *ret)
{
    struct arena *arena = call->ctx.arena;
    struct field field;
    *ret = (struct selector){call_query(call, "labelSelector"), call_query(call, "fieldSelector")};
    if (ret->labels && !labels_readable(arena, ret->labels))
        return refuse(call, "BadRequest", "unable to parse requirement: %s", ret->labels);
    for (const char *text = ret->fields; text && *text;) {
        if (!take_field(arena, &text, &field))
            return refuse(call, "BadRequest", "invalid selector: '%s'", ret->fields);
        if (!is_indexed(call->kind, field.path))
            return refuse_field(call, field.path);
    }
    return 0;
}

bool selector_matches(struct arena *arena, const struct selector *selector, const json_t *object)
{
    return (!selector->labels ||
            labels_match(arena, selector->labels, json_at(object, "metadata.labels"))) &&
           (!selector->fields || fields_match(arena, selector->fields, object));
}
