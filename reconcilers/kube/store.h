/*
 * The objects of a cache. Events, full lists and our own writes meet here, and the newer
 * resourceVersion wins. Internal to this room. Thread-safe, but the shadow belongs to one thread.
 */
#pragma once

#include "reconcilers/kube/table.h"

struct store;

/*
 * What one namespace may have: all its objects together (entry_bytes()). Objects that do not fit
 * are not admitted, and an old copy of one goes. Not bounded are objects without namespace, which
 * only administrators make, and the namespace `home` (NULL = none).
 */
enum { STORE_NAMESPACE_MAX_BYTES = 4 << 20 };

/* `home` is copied. */
struct store *store_new(const char *home);
void store_free(struct store *store);

/* A reference, or NULL. */
struct entry *store_find(struct store *store, const char *namespace, const char *name);
/* table_collect() of what the store holds. */
size_t store_collect(struct store *store, const char *namespace, const struct term *term,
                     struct entry ***ret);
size_t store_count(struct store *store);
/* Was the object of this uid deleted, as the watch has said? False also where nobody remembers. */
bool store_heard_end(struct store *store, const char *uid);

enum store_answer {
    STORE_OUTDATED, /* known already, or known to be gone: nobody needs to hear of it */
    STORE_TAKEN,
    STORE_FULL, /* no room in its namespace: the store holds nothing of that name */
};

/* An event of the watch. */
enum store_answer store_event(struct store *store, const json_t *object, bool deleted);

/* Our own writes: see kube_cache_put and kube_cache_drop. */
void store_put(struct store *store, const json_t *object);
void store_drop(struct store *store, const char *namespace, const char *name, const char *uid);

/* ---- a full list: fill the shadow, then swap ---- */

void store_shadow_clear(struct store *store);
/* False: no room in its namespace. */
bool store_shadow_add(struct store *store, const json_t *object);
void store_shadow_remove(struct store *store, const json_t *object);

struct store_change {
    struct entry *entry;
    bool deleted;
};

/*
 * Makes the shadow the content, at once. What is newer than the list, which is of `version`, stays,
 * unless `rollback`: then the server's history was set back and only the list counts. Returns what
 * changed in *ret, with references; to be freed.
 */
size_t store_swap(struct store *store, const char *version, bool rollback,
                  struct store_change **ret);
