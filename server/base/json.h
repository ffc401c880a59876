/*
 * JSON over jansson: the only JSON facade of the house. Paths are dotted ("spec.lifecycle"); a
 * component that is a number indexes an array. Getters borrow and never fail: what is missing, or
 * of another type, is NULL or the default.
 */
#pragma once

#include "server/base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct ctx;

enum { JSON_DEPTH_MAX = 32, JSON_TEXT_MAX_BYTES = 4 << 20 };

/*
 * Parses text into a tree owned by ctx->arena. Refuses duplicate keys, NUL bytes, more than
 * JSON_DEPTH_MAX levels and more than max_bytes. -ERR_INVALID / -ERR_TOO_LARGE with line and
 * column.
 */
int json_parse(struct ctx *ctx, const char *text, size_t bytes, size_t max_bytes, json_t **ret);
/*
 * The same for texts that hold what strangers wrote and that must be read all the same (lists and
 * watches of an API server): a NUL inside a string, which Kubernetes accepts in an annotation, is
 * read as U+FFFD. Refused, one such object would end the watch of everybody's.
 */
int json_parse_foreign(struct ctx *ctx, const char *text, size_t bytes, size_t max_bytes,
                       json_t **ret);

/* Compact text with sorted keys: the same tree gives the same bytes. Owned by the arena. */
char *json_text(struct arena *arena, const json_t *value);
/* FNV-1a over json_text(). */
uint64_t json_hash(const json_t *value);

json_t *json_at(const json_t *root, const char *path);
const char *json_str(const json_t *root, const char *path); /* or NULL */
const char *json_str_or(const json_t *root, const char *path, const char *otherwise);
int64_t json_int_or(const json_t *root, const char *path, int64_t otherwise);
bool json_bool_or(const json_t *root, const char *path, bool otherwise);
/* The element of array `path` whose member `key` is `value`, or NULL. */
json_t *json_find(const json_t *root, const char *path, const char *key, const char *value);

/* A copy whose top and whose member `name` (an object; made where it is missing) are its own to
 * change. All below is shared. */
json_t *json_copy_with(const json_t *object, const char *name);
/* Creates the objects on the way. Steals `value`. */
void json_put(json_t *root, const char *path, json_t *value);
