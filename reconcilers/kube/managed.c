/*
 * metadata.managedFields is the larger half of what a server sends of an object, and nobody here
 * reads it. It is cut out of the text, at a tenth of what parsing it costs.
 */
#include "reconcilers/kube/client.h"
#include "server/base/ctx.h"
#include "server/base/json.h"

#include <string.h>

static const char member[] = "\"managedFields\":[";

enum { MEMBER_BYTES = sizeof member - 1 };

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && strchr(" \t\r\n", *at) && *at)
        at++;
    return at;
}

/* Behind the array that begins at `at`, or `end` when it does not end. */
static const char *behind(const char *at, const char *end)
{
    int depth = 0;
    bool in_string = false;
    for (; at < end; at++) {
        if (in_string && *at == '\\')
            at++;
        else if (*at == '"')
            in_string = !in_string;
        else if (!in_string && (*at == '[' || *at == '{'))
            depth++;
        else if (!in_string && (*at == ']' || *at == '}') && --depth == 0)
            return at + 1;
    }
    return end;
}

/*
 * An unescaped quote behind a brace or comma opens a key, or else the text is no JSON: inside of a
 * string it would end it. No kind that is read here has another member of this name and type.
 */
static const char *find(const char *at, const char *begin, const char *end)
{
    while ((at = memmem(at, (size_t)(end - at), member, MEMBER_BYTES)))
        if (at > begin && (at[-1] == ',' || at[-1] == '{'))
            return at;
        else
            at += MEMBER_BYTES;
    return end;
}

static const char *cut(struct arena *arena, const char *text, size_t *bytes)
{
    const char *end = text + *bytes, *from = text, *at = find(text, text, end);
    if (at == end)
        return text;
    char *copy = arena_alloc(arena, *bytes), *to = copy;
    for (; at < end; at = find(from, text, end)) {
        to = (char *)mempcpy(to, from, (size_t)(at - from));
        from = skip_blanks(behind(at + MEMBER_BYTES - 1, end), end);
        if (from < end && *from == ',')
            from++;
        else if (to[-1] == ',')
            to--; /* it was the last one */
    }
    to = (char *)mempcpy(to, from, (size_t)(end - from));
    *bytes = (size_t)(to - copy);
    return copy;
}

int client_parse(struct ctx *ctx, const char *text, size_t bytes, size_t max_bytes, json_t **ret)
{
    text = cut(ctx->arena, text, &bytes);
    return json_parse_foreign(ctx, text, bytes, max_bytes, ret);
}
