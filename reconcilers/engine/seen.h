/*
 * seen: a memory of texts, of fixed size. What is newer overwrites what is older, so that it may
 * forget, and never takes for known what it was not told (but for two texts of one 64-bit hash).
 * Thread-safe.
 */
#pragma once

#include <stdbool.h>

struct seen;

struct seen *seen_new(void);
void seen_free(struct seen *seen);
void seen_add(struct seen *seen, const char *text);
bool seen_has(struct seen *seen, const char *text);
