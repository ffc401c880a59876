/* Walks a body along the rows of a table; never deeper than the rows go. */
#include "api/schema.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { BODY_MAX_BYTES = 64 << 10 };

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

struct binding {
    struct ctx *ctx;
    const struct field *fields;
    enum bind_mode mode;
    enum audience audience;
    void *target;
    struct field_errors *errors;
};

void field_errors_add(struct field_errors *errors, const char *pointer, const char *code,
                      const char *detail)
{
    if (errors->count < FIELD_ERRORS_MAX)
        errors->row[errors->count++] =
            (struct field_error){.pointer = pointer, .code = code, .detail = detail};
}

int schema_refuse(struct ctx *ctx, struct field_errors *errors, const char *pointer,
                  const char *code, const char *detail)
{
    field_errors_add(errors, pointer, code, detail);
    return err_set(ctx, ERR_INVALID, "InvalidFields", "%s: %s", pointer, detail);
}

/* ---- names ---- */

static bool is_label(const char *text, size_t length)
{
    return length >= 1 && length <= 63 && strspn(text, LOWER DIGITS "-") >= length &&
           text[0] != '-' && text[length - 1] != '-';
}

bool schema_is_dns_label(const char *text)
{
    size_t length = strlen(text);
    return length <= 40 && is_label(text, length);
}

bool schema_is_namespace(const char *text)
{
    return is_label(text, strlen(text));
}

bool schema_is_service_name(const char *text)
{
    return schema_is_dns_label(text) && *text >= 'a';
}

bool schema_is_dns_name(const char *text)
{
    int labels = 0;
    if (strlen(text) > 253)
        return false;
    for (;; text++) {
        size_t length = strcspn(text, ".");
        if (!is_label(text, length))
            return false;
        labels++;
        text += length;
        if (!*text)
            return labels >= 2;
    }
}

bool schema_is_file_name(const char *text)
{
    return str_matches(text, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "._-", 1, 100) &&
           strchr("._-", text[0]) == NULL;
}

bool schema_is_title(const char *text)
{
    size_t length = strlen(text);
    for (size_t at = 0; at < length; at++)
        if ((unsigned char)text[at] < 0x20 || text[at] == 0x7f)
            return false;
    return length && text[0] != ' ' && text[length - 1] != ' ';
}

/* ---- pointers ---- */

/* "spec.plan" -> "/spec/plan" */
static const char *pointer_of(struct ctx *ctx, const char *path)
{
    char *pointer = arena_printf(ctx->arena, "/%s", path);
    for (char *at = pointer; *at; at++)
        if (*at == '.')
            *at = '/';
    return pointer;
}

/* RFC 6901: ~ and / of a key are escaped; a long key is cut, it is the caller's own text. */
static const char *pointer_to_key(struct ctx *ctx, const char *parent, const char *key)
{
    _cleanup_str_ struct str out;
    str_init(&out, 200);
    str_printf(&out, "%s/", parent);
    for (; *key && !out.overflow; key++)
        str_printf(&out, *key == '~' ? "~0" : *key == '/' ? "~1" : "%c", *key);
    return arena_strdup(ctx->arena, str_text(&out));
}

/* ---- values ---- */

static void complain(struct binding *binding, const struct field *field, const char *code,
                     const char *detail)
{
    field_errors_add(binding->errors, pointer_of(binding->ctx, field->path), code, detail);
}

static void bind_string(struct binding *binding, const struct field *field, const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text) {
        complain(binding, field, "WrongType", "a string is wanted");
        return;
    }
    int64_t length = (int64_t)strlen(text);
    if (length < field->min || length > field->max)
        complain(binding, field, length < field->min ? "TooShort" : "TooLong",
                 arena_printf(binding->ctx->arena, "%lld to %lld bytes", (long long)field->min,
                              (long long)field->max));
    else if (field->check && !field->check(text))
        complain(binding, field, "BadFormat", field->doc);
    else
        *(const char **)((char *)binding->target + field->offset) = text;
}

static void bind_integer(struct binding *binding, const struct field *field, const json_t *value)
{
    int64_t number = json_integer_value(value);
    if (!json_is_integer(value))
        complain(binding, field, "WrongType", "a whole number is wanted");
    else if (number < field->min || number > field->max)
        complain(binding, field, "OutOfRange",
                 arena_printf(binding->ctx->arena, "%lld to %lld", (long long)field->min,
                              (long long)field->max));
    else
        *(int64_t *)((char *)binding->target + field->offset) = number;
}

static void bind_boolean(struct binding *binding, const struct field *field, const json_t *value)
{
    if (json_is_boolean(value))
        *(bool *)((char *)binding->target + field->offset) = json_is_true(value);
    else
        complain(binding, field, "WrongType", "true or false is wanted");
}

/* As it is: the caller looks inside. */
static void bind_whole_object(struct binding *binding, const struct field *field,
                              const json_t *value)
{
    if (json_is_object(value))
        *(const json_t **)((char *)binding->target + field->offset) = value;
    else
        complain(binding, field, "WrongType", "an object is wanted");
}

static void bind_field(struct binding *binding, const struct field *field, const json_t *value)
{
    if (field->type == FIELD_READ_ONLY)
        complain(binding, field, "ReadOnly", field->doc);
    else if (!(field->audience & binding->audience))
        complain(binding, field, "NotAllowed", "this field is not yours to set");
    else if (json_is_null(value) && binding->mode == BIND_PATCH)
        complain(binding, field, "Required", "this field cannot be removed");
    else if (field->type == FIELD_STRING)
        bind_string(binding, field, value);
    else if (field->type == FIELD_BOOLEAN)
        bind_boolean(binding, field, value);
    else if (field->type == FIELD_OBJECT)
        bind_whole_object(binding, field, value);
    else
        bind_integer(binding, field, value);
}

/* ---- objects ---- */

/* The row of `path`, or with *ret_inside set when rows stand below it. */
static const struct field *find_field(const struct field *fields, const char *path,
                                      bool *ret_inside)
{
    size_t length = strlen(path);
    *ret_inside = false;
    for (const struct field *field = fields; field->path; field++) {
        if (strcmp(field->path, path) == 0)
            return field;
        if (strncmp(field->path, path, length) == 0 && field->path[length] == '.')
            *ret_inside = true;
    }
    return NULL;
}

/* Depth is bounded by the rows: only their prefixes are entered. */
static void bind_object(struct binding *binding, const json_t *object, const char *prefix)
{
    struct ctx *ctx = binding->ctx;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        bool inside = false;
        const char *path = *prefix ? arena_printf(ctx->arena, "%s.%s", prefix, key) : key;
        const struct field *field =
            strchr(key, '.') ? NULL : find_field(binding->fields, path, &inside);
        const char *parent = *prefix ? pointer_of(ctx, prefix) : "";
        if (field)
            bind_field(binding, field, value);
        else if (!inside)
            field_errors_add(binding->errors, pointer_to_key(ctx, parent, key), "UnknownField",
                             "there is no such field");
        else if (!json_is_object(value))
            field_errors_add(binding->errors, pointer_of(ctx, path), "WrongType",
                             "an object is wanted");
        else
            bind_object(binding, value, path);
    }
}

/* A member of what should be an object and is none: that is said of the parent already. */
static bool parent_is_wrong(struct ctx *ctx, const json_t *body, const char *path)
{
    const char *dot = strrchr(path, '.');
    if (!dot)
        return false;
    const json_t *parent = json_at(body, arena_strndup(ctx->arena, path, (size_t)(dot - path)));
    return parent && !json_is_object(parent);
}

/* The words are logged, too: a name that is not ours may be a password in the wrong place. */
static int verdict(struct ctx *ctx, const struct field_errors *errors)
{
    if (!errors->count)
        return 0;
    const struct field_error *first = &errors->row[0];
    bool is_ours = !str_equal(first->code, "UnknownField");
    return err_set(ctx, ERR_INVALID, "InvalidFields", "%s%s%s", is_ours ? first->pointer : "",
                   is_ours ? ": " : "", first->detail);
}

int schema_bind(struct ctx *ctx, const struct field *fields, enum bind_mode mode,
                enum audience audience, const json_t *body, void *target,
                struct field_errors *errors)
{
    struct binding binding = {ctx, fields, mode, audience, target, errors};
    bind_object(&binding, body, "");
    for (const struct field *field = fields; mode == BIND_WHOLE && field->path; field++)
        if (field->required && !json_at(body, field->path) &&
            !parent_is_wrong(ctx, body, field->path))
            complain(&binding, field, "Required", field->doc);
    return verdict(ctx, errors);
}

int schema_parse(struct ctx *ctx, const char *text, size_t bytes, json_t **ret,
                 struct field_errors *errors)
{
    int rc = json_parse(ctx, text, bytes, BODY_MAX_BYTES, ret);
    if (rc == 0 && json_is_object(*ret))
        return 0;
    if (rc == -ERR_TOO_LARGE)
        return rc;
    if (rc == 0) {
        field_errors_add(errors, "", "WrongType", "an object is wanted");
        return verdict(ctx, errors);
    }
    bool duplicate = strstr(ctx->err.message, "duplicate object key") != NULL;
    field_errors_add(errors, "", duplicate ? "DuplicateKey" : "MalformedJson",
                     arena_strdup(ctx->arena, ctx->err.message));
    return rc;
}
