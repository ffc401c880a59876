#include "server/base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void str_init(struct str *str, size_t cap)
{
    *str = (struct str){.cap = cap};
}

void str_done(struct str *str)
{
    free(str->data);
    str->data = NULL;
    str->length = str->capacity = 0;
}

void str_clear(struct str *str)
{
    str->length = 0;
    str->overflow = false;
    if (str->data)
        str->data[0] = '\0';
}

static bool make_room(struct str *str, size_t more)
{
    if (more > str->cap || str->length > str->cap - more) {
        str->overflow = true;
        return false;
    }
    size_t need = str->length + more + 1;
    if (need <= str->capacity)
        return true;
    size_t capacity = str->capacity ? str->capacity : 256;
    while (capacity < need)
        capacity *= 2;
    char *data = realloc(str->data, capacity);
    if (!data)
        abort();
    str->data = data;
    str->capacity = capacity;
    return true;
}

void str_add_bytes(struct str *str, const void *bytes, size_t count)
{
    if (str->overflow || !make_room(str, count))
        return;
    if (count)
        memcpy(str->data + str->length, bytes, count);
    str->length += count;
    str->data[str->length] = '\0';
}

void str_add(struct str *str, const char *text)
{
    str_add_bytes(str, text, strlen(text));
}

void str_printf(struct str *str, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length > 0 && !str->overflow && make_room(str, (size_t)length)) {
        vsnprintf(str->data + str->length, (size_t)length + 1, format, again);
        str->length += (size_t)length;
    }
    va_end(again);
}

const char *str_text(const struct str *str)
{
    return str->data ? str->data : "";
}

bool str_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_starts(const char *text, const char *prefix)
{
    return text && strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; length && *at; at += strspn(at, " ")) {
        size_t one = strcspn(at, " ");
        if (one == length && memcmp(at, word, length) == 0)
            return true;
        at += one;
    }
    return false;
}

bool str_matches(const char *text, const char *set, size_t min, size_t max)
{
    if (!text)
        return false;
    size_t length = strlen(text);
    return length >= min && length <= max && strspn(text, set) == length;
}

size_t str_fit(const char *text, size_t max)
{
    size_t length = strnlen(text, max);
    if (text[length])
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    return length;
}

bool str_to_int(const char *text, int64_t min, int64_t max, int64_t *ret)
{
    if (!text || !(*text == '-' || (*text >= '0' && *text <= '9')))
        return false;
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max)
        return false;
    *ret = value;
    return true;
}

uint64_t str_hash_more(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    for (size_t at = 0; at < count; at++) {
        hash ^= p[at];
        hash *= UINT64_C(1099511628211);
    }
    return hash;
}

uint64_t str_hash(const char *text)
{
    return str_hash_more(STR_HASH_START, text, strlen(text));
}
