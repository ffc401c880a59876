/*
 * Objects and their history. One version counter for the whole cluster, which each change raises;
 * per kind the last changes are kept for watches. Nothing here knows a rule of any kind.
 */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* Borrowed until the next change, or NULL. */
json_t *store_get(const struct kind *kind, const char *namespace, const char *name);
/* A new array in the order of the keys; namespace NULL = all. */
json_t *store_list(const struct kind *kind, const char *namespace);
/* Both give the object the next version and steal it. store_put tells by `live` what it was. */
void store_put(struct devcluster *cluster, struct kind *kind, json_t *live, json_t *next);
void store_remove(struct devcluster *cluster, struct kind *kind, json_t *live, json_t *last);
void store_done(struct kind *kind);

/* How the version is written. */
char *store_version(struct arena *arena, uint64_t version);
