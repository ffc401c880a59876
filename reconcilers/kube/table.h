/*
 * Cached objects as compact JSON text, and tables of them. Entries are immutable but for their
 * marks, and counted, so readers parse outside the store's lock. Internal to this room; no locks
 * here.
 */
#pragma once

#include "reconcilers/kube/families.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uthash.h>

enum { ENTRY_KEY_MAX_BYTES = 512 }; /* names of the API are far shorter */

struct bucket;

struct entry {
    UT_hash_handle hh;         /* of its table, by key */
    struct entry *prev, *next; /* of its bucket: the objects of one namespace */
    struct bucket *bucket;
    struct entry *newer, *older; /* of those that are parsed (parsed.h), by who was read last */
    json_t *tree;                /* the text, parsed; NULL = it is not */
    size_t tree_bytes;           /* what that takes; 0 = not reckoned yet */
    atomic_int references;
    bool echoed;  /* a watch or list has shown it; false: only our own write has */
    bool changed; /* in a shadow: not what the store holds */
    char *text;
    size_t text_bytes;
    struct member *members; /* of families, one for each label that has one */
    size_t member_count;
    const char *uid, *version; /* behind the key */
    char key[];                /* "namespace/name", "/name" */
};

void entry_key(char key[ENTRY_KEY_MAX_BYTES], const char *namespace, const char *name);
void entry_key_of(char key[ENTRY_KEY_MAX_BYTES], const json_t *object);

/* With one reference, the caller's. */
struct entry *entry_make(const json_t *object, bool echoed);
/* One more reference; NULL passes through both. */
struct entry *entry_hold(struct entry *entry);
void entry_release(struct entry *entry);
/* What it takes of what its namespace may have. */
size_t entry_bytes(const struct entry *entry);

struct table {
    struct entry *entries;
    struct bucket *buckets;
    struct family *families;
};

/* entry_bytes() of a namespace's entries, those without namespace under "". */
size_t table_bytes(const struct table *table, const char *namespace);

/* Borrowed, or NULL. */
struct entry *table_find(const struct table *table, const char *key);
/* Takes the caller's reference; the key must be free. */
void table_add(struct table *table, struct entry *entry);
/* Out of the table, its reference to the caller. */
struct entry *table_take(struct table *table, struct entry *entry);
/* Out of the table and released; NULL is nothing. */
void table_remove(struct table *table, struct entry *entry);
void table_clear(struct table *table);
/* A label and its value, to look for before parsing: what is found may lack it. */
struct term {
    const char *label, *value;
    const char *text; /* both as they stand in the compact text of an object */
};

/* References to the entries of a namespace (NULL = all) that fit `term` (NULL = all); *ret is to
 * be freed. */
size_t table_collect(const struct table *table, const char *namespace, const struct term *term,
                     struct entry ***ret);
