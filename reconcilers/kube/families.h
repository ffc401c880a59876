/*
 * families: which entries carry a label of ours, without looking at all others. A pass asks for
 * what belongs to its root; a scan for that would cost each of a thousand roots a look at the
 * objects of all. Found by the hash of key and value, so that a family may hold a stranger: who
 * reads checks the label itself. Internal to this room; no locks here.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;
struct family;

/* Labels of this prefix have families. */
#define FAMILY_PREFIX "flotilla.dev/"
/* About what one of them takes; it counts as bytes of the entry (store.h bounds those). */
enum { FAMILY_LABEL_BYTES = 160 };

/* An entry's place in the family of one of its labels. */
struct member {
    struct entry *entry;
    struct family *family; /* NULL: its entry is in no table */
    struct member *prev, *next;
    uint64_t hash;
};

/* Zeroed, for what a cache keeps; aborts when there is none. */
void *cache_memory(size_t count, size_t bytes);

bool family_covers(const char *label);
/* The places that an object takes; *ret is to be freed, and NULL when there are none. */
size_t family_places(const json_t *object, struct entry *entry, struct member **ret);
void family_join(struct family **all, struct member *members, size_t count);
void family_leave(struct family **all, struct member *members, size_t count);
/* The first of those who carry the label, or NULL. */
const struct member *family_find(struct family *all, const char *label, const char *value,
                                 size_t *ret_count);
