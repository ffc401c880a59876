/*
 * A walk of schema and value side by side. Each keyword is a row of a table; a schema keyword that
 * has no row here is refused by the unit test over all our CRDs, so that none is silently ignored.
 */
#include "api/crd.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/embed.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"

#include <regex.h>
#include <string.h>

enum { PROBLEMS_MAX = 64 };

struct walk {
    struct ctx *ctx;
    json_t *problems;
};

void crd_problem(json_t *problems, const char *pointer, const char *message)
{
    if (json_array_size(problems) < PROBLEMS_MAX)
        json_array_append_new(problems,
                              json_pack("{s:s, s:s}", "pointer", pointer, "message", message));
}

static void check(struct walk *walk, const json_t *schema, const json_t *value,
                  const char *pointer);

/* ---- keywords: each returns a message, or NULL when the value holds ---- */

static const char *check_enum(struct walk *walk, const json_t *want, const json_t *value)
{
    struct arena *arena = walk->ctx->arena;
    const char *allowed = "";
    size_t at;
    json_t *one;
    json_array_foreach(want, at, one)
        if (json_equal(one, value))
            return NULL;
    json_array_foreach(want, at, one) {
        const char *word = json_string_value(one);
        allowed = arena_printf(arena, "%s%s%s", allowed, at ? ", " : "",
                               word ? word : json_text(arena, one));
    }
    return arena_printf(arena, "is none of the values allowed: %s", allowed);
}

static const char *check_pattern(struct walk *walk, const json_t *want, const json_t *value)
{
    regex_t regex;
    if (!json_is_string(value))
        return NULL;
    if (regcomp(&regex, json_string_value(want), REG_EXTENDED | REG_NOSUB) != 0)
        return "cannot be checked: the schema's pattern is no expression";
    int rc = regexec(&regex, json_string_value(value), 0, NULL, 0);
    regfree(&regex);
    return rc == 0 ? NULL
                   : arena_printf(walk->ctx->arena, "does not match %s", json_string_value(want));
}

static const char *check_format(struct walk *walk, const json_t *want, const json_t *value)
{
    int64_t time;
    int64_t number = json_integer_value(value);
    (void)walk;
    if (str_equal(json_string_value(want), "date-time") && json_is_string(value))
        return clock_parse_rfc3339(json_string_value(value), &time) == 0 ? NULL
                                                                         : "is no RFC 3339 time";
    if (str_equal(json_string_value(want), "int32") && (number > INT32_MAX || number < INT32_MIN))
        return "does not fit 32 bits";
    return NULL;
}

/* Characters, as JSON Schema counts, not bytes. */
static json_int_t characters(const json_t *value)
{
    json_int_t count = 0;
    for (const char *at = json_string_value(value); at && *at; at++)
        count += ((unsigned char)*at & 0xC0) != 0x80;
    return count;
}

static json_int_t length_of(const json_t *value)
{
    return json_is_string(value)   ? characters(value)
           : json_is_object(value) ? (json_int_t)json_object_size(value)
                                   : (json_int_t)json_array_size(value);
}

/* "is longer than 3", "has more than 3 items" */
static const char *tell_bound(struct walk *walk, const json_t *want, const json_t *value,
                              const char *of_text, const char *of_others)
{
    long long bound = json_integer_value(want);
    if (json_is_string(value))
        return arena_printf(walk->ctx->arena, "is %s than %lld", of_text, bound);
    return arena_printf(walk->ctx->arena, "has %s than %lld %s", of_others, bound,
                        json_is_object(value) ? "members" : "items");
}

static const char *check_shortest(struct walk *walk, const json_t *want, const json_t *value)
{
    if (length_of(value) >= json_integer_value(want))
        return NULL;
    return tell_bound(walk, want, value, "shorter", "fewer");
}

static const char *check_longest(struct walk *walk, const json_t *want, const json_t *value)
{
    if (length_of(value) <= json_integer_value(want))
        return NULL;
    return tell_bound(walk, want, value, "longer", "more");
}

static const char *check_least(struct walk *walk, const json_t *want, const json_t *value)
{
    if (json_integer_value(value) >= json_integer_value(want))
        return NULL;
    return arena_printf(walk->ctx->arena, "is less than %lld", (long long)json_integer_value(want));
}

static const char *check_most(struct walk *walk, const json_t *want, const json_t *value)
{
    if (json_integer_value(value) <= json_integer_value(want))
        return NULL;
    return arena_printf(walk->ctx->arena, "is more than %lld", (long long)json_integer_value(want));
}

static const struct {
    const char *keyword;
    const char *(*check)(struct walk *walk, const json_t *want, const json_t *value);
} keywords[] = {
    {"enum", check_enum},
    {"pattern", check_pattern},
    {"format", check_format},
    {"minLength", check_shortest},
    {"maxLength", check_longest},
    {"minItems", check_shortest},
    {"maxItems", check_longest},
    {"minimum", check_least},
    {"maximum", check_most},
    {"minProperties", check_shortest},
    {"maxProperties", check_longest},
};

/* ---- structure ---- */

static bool type_fits(const char *type, const json_t *value)
{
    static const struct {
        const char *name;
        json_type type;
    } types[] = {{"object", JSON_OBJECT},
                 {"array", JSON_ARRAY},
                 {"string", JSON_STRING},
                 {"integer", JSON_INTEGER},
                 {"boolean", JSON_TRUE}};
    if (!type || str_equal(type, "number"))
        return !type || json_is_number(value); /* no type: an int-or-string, or anything */
    for (size_t at = 0; at < ARRAY_SIZE(types); at++)
        if (str_equal(types[at].name, type))
            return json_typeof(value) == types[at].type ||
                   (types[at].type == JSON_TRUE && json_is_false(value));
    return false;
}

/* A long name is cut, between two characters: a problem is JSON. */
static const char *member_pointer(struct walk *walk, const char *pointer, const char *name)
{
    return arena_printf(walk->ctx->arena, "%s/%.*s", pointer, (int)str_fit(name, 63), name);
}

static void check_members(struct walk *walk, const json_t *schema, const json_t *value,
                          const char *pointer)
{
    struct arena *arena = walk->ctx->arena;
    const json_t *properties = json_object_get(schema, "properties");
    const char *name;
    size_t at;
    json_t *member;
    json_array_foreach(json_object_get(schema, "required"), at, member) {
        if (!json_object_get(value, json_string_value(member)))
            crd_problem(walk->problems,
                        arena_printf(arena, "%s/%s", pointer, json_string_value(member)),
                        "is missing");
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, member) {
        const json_t *known = json_object_get(properties, name);
        const char *below = member_pointer(walk, pointer, name);
        if (known)
            check(walk, known, member, below);
        else if (str_equal(pointer, "/metadata") ||
                 (!*pointer && str_has_word("apiVersion kind metadata", name)))
            continue; /* every object's, whether the schema names them or not */
        else
            crd_problem(walk->problems, below, "is not known");
    }
}

/* A map of which only the values have a schema. */
static void check_values(struct walk *walk, const json_t *schema, const json_t *value,
                         const char *pointer)
{
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
        check(walk, schema, member, member_pointer(walk, pointer, name));
}

/* A list-map has each key once. */
static bool repeated(const json_t *schema, const json_t *list, size_t until)
{
    const char *key =
        json_string_value(json_array_get(json_object_get(schema, "x-kubernetes-list-map-keys"), 0));
    const json_t *mine = key ? json_object_get(json_array_get(list, until), key) : NULL;
    for (size_t at = 0; mine && at < until; at++)
        if (json_equal(json_object_get(json_array_get(list, at), key), mine))
            return true;
    return false;
}

static void check(struct walk *walk, const json_t *schema, const json_t *value, const char *pointer)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    if (!type_fits(type, value)) {
        crd_problem(walk->problems, pointer, arena_printf(walk->ctx->arena, "is no %s", type));
        return;
    }
    for (size_t at = 0; at < ARRAY_SIZE(keywords); at++) {
        const json_t *want = json_object_get(schema, keywords[at].keyword);
        const char *message = want ? keywords[at].check(walk, want, value) : NULL;
        if (message)
            crd_problem(walk->problems, pointer, message);
    }
    if (json_is_object(value) && json_object_get(schema, "properties"))
        check_members(walk, schema, value, pointer);
    else if (json_is_object(value) && json_object_get(schema, "additionalProperties"))
        check_values(walk, json_object_get(schema, "additionalProperties"), value, pointer);
    size_t at;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)value, at, item) {
        const char *below = arena_printf(walk->ctx->arena, "%s/%zu", pointer, at);
        check(walk, json_object_get(schema, "items"), item, below);
        if (repeated(schema, value, at))
            crd_problem(walk->problems, below, "has a key that an earlier item has");
    }
}

int crd_check(struct ctx *ctx, const char *crd, const json_t *object, json_t *problems)
{
    const struct embed_file *file = embed_find(crd);
    json_t *tree = NULL;
    if (!file)
        return err_set(ctx, ERR_INTERNAL, NULL, "%s is not embedded", crd);
    TRY(yaml_parse(ctx, file->data, file->bytes, &tree));
    return crd_check_schema(ctx, json_at(tree, "spec.versions.0.schema.openAPIV3Schema"), object,
                            problems);
}

int crd_check_schema(struct ctx *ctx, const json_t *schema, const json_t *object, json_t *problems)
{
    struct walk walk = {ctx, problems};
    check(&walk, schema, object, "");
    return 0;
}
