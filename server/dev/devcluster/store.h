/*
 * Objects and their history. One version counter for the whole cluster, which each change raises;
 * per kind the last changes are kept for watches, so many and so many bytes: who asks for older
 * ones has to list anew. Nothing here knows a rule of any kind.
 *
 * What is kept of each state of an object is what is told of it: its text, which is made once for
 * all who get it, and what most watches select by. Its tree would take ten times as much.
 */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* Borrowed until the next change, or NULL. */
json_t *store_get(const struct kind *kind, const char *namespace, const char *name);
/* A new array in the order of the keys; namespace NULL = all. */
json_t *store_list(const struct kind *kind, const char *namespace);
/* The object as it goes out, in the arena; NULL when it is not the one that is stored. */
const char *store_text(struct arena *arena, const struct kind *kind, const json_t *object);
/* Both give the object the next version and steal it. store_put tells by `live` what it was. */
void store_put(struct devcluster *cluster, struct kind *kind, json_t *live, json_t *next);
void store_remove(struct devcluster *cluster, struct kind *kind, json_t *live, json_t *last);
void store_done(struct kind *kind);

/* The change before this one, NULL = the oldest; before NULL: the newest. */
const struct change *store_older(const struct kind *kind, const struct change *change);
/* The object of then: a new tree, in the arena; or NULL. */
json_t *store_recall(struct arena *arena, const json_t *told);

/* How the version is written. */
char *store_version(struct arena *arena, uint64_t version);
