/* JSON text that a YAML parser reads in the same way. */
#include "reconcilers/kube/client.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"

#include <stdio.h>
#include <string.h>

/*
 * The body of an apply is read as YAML 1.1: some characters that JSON allows are errors there, and
 * its line breaks U+0085, U+2028 and U+2029 fold with the blanks around them. Their escapes mean
 * the same in both; but a surrogate pair does not, so everything else stays as it is.
 */
static const struct {
    const char *first, *last; /* UTF-8, inclusive, of one length */
    unsigned code;            /* of the first */
} escaped[] = {
    {"\x7f", "\x7f", 0x7f},
    {"\xc2\x80", "\xc2\x9f", 0x80},
    {"\xe2\x80\xa8", "\xe2\x80\xa9", 0x2028},
    {"\xef\xbb\xbf", "\xef\xbb\xbf", 0xfeff},
    {"\xef\xbf\xbe", "\xef\xbf\xbf", 0xfffe},
};

/* Length of the character at `text` when it must be escaped, else 0; *ret is its code point. */
static size_t match_escaped(const char *text, unsigned *ret)
{
    if ((unsigned char)*text < *(const unsigned char *)escaped[0].first)
        return 0; /* nearly all of them */
    for (size_t at = 0; at < ARRAY_SIZE(escaped); at++) {
        size_t length = strlen(escaped[at].first);
        if (strncmp(text, escaped[at].first, length) < 0 ||
            strncmp(text, escaped[at].last, length) > 0)
            continue;
        *ret = escaped[at].code + (unsigned char)text[length - 1] -
               (unsigned char)escaped[at].first[length - 1];
        return length;
    }
    return 0;
}

char *client_text(struct ctx *ctx, const json_t *value)
{
    char *text = json_text(ctx->arena, value);
    unsigned code;
    const char *from = text;
    while (*from && !match_escaped(from, &code))
        from++;
    if (!*from)
        return text;
    char *copy = arena_alloc(ctx->arena, strlen(text) * 6 + 1), *to = copy;
    for (from = text; *from;) {
        size_t length = match_escaped(from, &code);
        if (length)
            to += snprintf(to, sizeof "\\u0000", "\\u%04x", code);
        else
            *to++ = *from;
        from += length ? length : 1;
    }
    return copy;
}
