/* Writes: what the verbs have in common, from the system's own fields to the rules of the schema.
 */
#pragma once

#include "server/dev/devcluster/cluster.h"

int write_create(struct call *call);
int write_put(struct call *call);
int write_delete(struct call *call);
int write_delete_all(struct call *call);

/*
 * Puts `next`, an object of the arena, in the place of `live` (NULL: creates it), and answers with
 * what stands there then. `live` says which version the writer saw only if `next` carries one.
 */
int write_commit(struct call *call, json_t *live, json_t *next, bool applied);
/* May this object be created in the call's namespace? */
int write_check_namespace(struct call *call);

/* The time, as objects have it. */
json_t *write_now(void);
/* uid and times of a new object. */
void write_stamp_new(json_t *object);
/*
 * Deletes as the API server does: at once, or by a deletionTimestamp where finalizers or a grace
 * period hold it. True when it is gone; `live` may be freed.
 */
bool write_remove(struct devcluster *cluster, struct kind *kind, json_t *live, const char *policy);
/* Has anybody still to agree to the object's end? */
bool write_is_held(const struct kind *kind, const json_t *object);
