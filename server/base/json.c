#include "server/base/json.h"

#include "server/base/ctx.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>

/* jansson bounds depth at 2048; a hostile body shall not even get that far. */
static bool too_deep(const char *text, size_t bytes)
{
    int depth = 0;
    bool in_string = false;
    for (size_t at = 0; at < bytes; at++) {
        char c = text[at];
        if (in_string) {
            if (c == '\\')
                at++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

/* The parser quotes what it stumbled over, which may be a piece of a Secret or of a password. */
static int malformed(struct ctx *ctx, const json_error_t *error)
{
    const char *quote = strstr(error->text, " near ");
    int length = quote ? (int)(quote - error->text) : (int)strlen(error->text);
    return err_set(ctx, ERR_INVALID, "MalformedJson", "line %d column %d: %.*s", error->line,
                   error->column, length, error->text);
}

int json_parse(struct ctx *ctx, const char *text, size_t bytes, size_t max_bytes, json_t **ret)
{
    if (bytes > max_bytes)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "JSON of %zu bytes is over the limit of %zu",
                       bytes, max_bytes);
    if (too_deep(text, bytes))
        return err_set(ctx, ERR_INVALID, "MalformedJson", "JSON is nested deeper than %d levels",
                       JSON_DEPTH_MAX);
    json_error_t error;
    json_t *value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value)
        return malformed(ctx, &error);
    *ret = arena_json(ctx->arena, value);
    return 0;
}

/* A backslash begins an escape, and stands in strings only: no more has to be understood. */
static const char *replace_nul(struct arena *arena, const char *text, size_t bytes)
{
    static const char nul[] = "\\u0000", instead[] = "\\ufffd";
    enum { LENGTH = sizeof nul - 1 };
    const char *end = text + bytes, *at = text;
    char *copy = NULL;
    while ((at = memchr(at, '\\', (size_t)(end - at))) && end - at >= LENGTH) {
        if (memcmp(at, nul, LENGTH) == 0) {
            if (!copy)
                copy = arena_strndup(arena, text, bytes);
            memcpy(copy + (at - text), instead, LENGTH);
        }
        at += 2;
    }
    return copy ? copy : text;
}

int json_parse_foreign(struct ctx *ctx, const char *text, size_t bytes, size_t max_bytes,
                       json_t **ret)
{
    if (bytes <= max_bytes)
        text = replace_nul(ctx->arena, text, bytes);
    return json_parse(ctx, text, bytes, max_bytes, ret);
}

static void free_text(void *text)
{
    free(text);
}

char *json_text(struct arena *arena, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (!text)
        return arena_strdup(arena, "null");
    arena_defer(arena, free_text, text);
    return text;
}

static int hash_chunk(const char *bytes, size_t count, void *hash)
{
    *(uint64_t *)hash = str_hash_more(*(uint64_t *)hash, bytes, count);
    return 0;
}

uint64_t json_hash(const json_t *value)
{
    uint64_t hash = STR_HASH_START;
    json_dump_callback(value, hash_chunk, &hash, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    return hash;
}

json_t *json_at(const json_t *root, const char *path)
{
    const json_t *at = root;
    while (at && *path) {
        size_t length = strcspn(path, ".");
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(path, NULL, 10))
                               : json_object_getn(at, path, length);
        path += length + (path[length] == '.');
    }
    return (json_t *)(uintptr_t)at;
}

const char *json_str(const json_t *root, const char *path)
{
    return json_string_value(json_at(root, path));
}

const char *json_str_or(const json_t *root, const char *path, const char *otherwise)
{
    const char *value = json_str(root, path);
    return value ? value : otherwise;
}

int64_t json_int_or(const json_t *root, const char *path, int64_t otherwise)
{
    const json_t *value = json_at(root, path);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool json_bool_or(const json_t *root, const char *path, bool otherwise)
{
    const json_t *value = json_at(root, path);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

json_t *json_find(const json_t *root, const char *path, const char *key, const char *value)
{
    size_t index;
    json_t *element;
    json_array_foreach(json_at(root, path), index, element)
        if (str_equal(json_string_value(json_object_get(element, key)), value))
            return element;
    return NULL;
}

json_t *json_copy_with(const json_t *object, const char *name)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)object), *member = json_object_get(object, name);
    json_object_set_new(copy, name, member ? json_copy(member) : json_object());
    return copy;
}

void json_put(json_t *root, const char *path, json_t *value)
{
    json_t *at = root;
    const char *dot;
    while ((dot = strchr(path, '.'))) {
        char key[128];
        size_t length = (size_t)(dot - path);
        if (length >= sizeof key)
            abort(); /* paths are literals of ours */
        memcpy(key, path, length);
        key[length] = '\0';
        json_t *next = json_object_get(at, key);
        if (!json_is_object(next)) {
            next = json_object();
            json_object_set_new(at, key, next);
        }
        at = next;
        path = dot + 1;
    }
    json_object_set_new(at, path, value);
}
