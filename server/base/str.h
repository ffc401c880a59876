/*
 * str: a growing byte buffer with a mandatory upper size, and a few questions about C strings.
 * Reaching the cap sets `overflow` and drops what came after: check it once, at the end.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    char *data; /* NUL-terminated once something was added; NULL before */
    size_t length;
    size_t capacity;
    size_t cap; /* never more than this many bytes */
    bool overflow;
};

void str_init(struct str *str, size_t cap);
void str_done(struct str *str);
void str_clear(struct str *str);
void str_add(struct str *str, const char *text);
void str_add_bytes(struct str *str, const void *bytes, size_t count);
void str_printf(struct str *str, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text, "" when nothing was added. */
const char *str_text(const struct str *str);

#define _cleanup_str_ __attribute__((cleanup(str_done)))

bool str_equal(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *text, const char *prefix);
/* Is `word` one of `words`, which have one blank between them? */
bool str_has_word(const char *words, const char *word);
/* True when every byte is of `set` and the length is within [min, max]. */
bool str_matches(const char *text, const char *set, size_t min, size_t max);
/* How many bytes of UTF-8 text fit into `max` without cutting a character in two. */
size_t str_fit(const char *text, size_t max);
/* A decimal integer and nothing else; false on anything else, and out of [min, max]. */
bool str_to_int(const char *text, int64_t min, int64_t max, int64_t *ret);

/* FNV-1a, 64 bit: for shards and change detection, never for security. */
uint64_t str_hash(const char *text);
uint64_t str_hash_more(uint64_t hash, const void *bytes, size_t count);
#define STR_HASH_START UINT64_C(14695981039346656037)
