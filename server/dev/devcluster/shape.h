/*
 * How lists and maps of a kind merge: by key, as a set, or as a whole. Custom kinds say it in their
 * schema; of built-in kinds a table of field names does.
 */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* A place in an object. */
struct shape {
    const json_t *schema;       /* of this place; NULL = by the names */
    const char *field, *parent; /* what it is called, and what holds it */
};

struct shape shape_of(const struct kind *kind);
struct shape shape_member(const struct shape *shape, const char *name);
struct shape shape_item(const struct shape *shape);
/* The strings of a list with blanks between them. */
const char *shape_words(struct arena *arena, const json_t *list);
/* Of a list: the keys of its items with blanks between them, "" of a set, NULL of one that is
 * replaced as a whole. */
const char *shape_keys(struct arena *arena, const struct shape *shape);
/* A map that is replaced as a whole. */
bool shape_is_atomic(const struct shape *shape);

/* The item's name in a set of fields: k:{"name":"web"} or v:"text". */
const char *shape_key(struct arena *arena, const char *keys, const json_t *item);
/* The item of `list` that is called so, or NULL. */
json_t *shape_find(struct arena *arena, const char *keys, const json_t *list, const char *key);
