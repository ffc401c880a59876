/* Who names whom as an owner, by the owner's uid: the end of one object looks at its own children,
 * not at everything there is. */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* At each change of an object, of what it was (gone) and then of what it is; NULL is nothing. */
void owned_note(struct devcluster *cluster, const struct kind *kind, const json_t *object,
                bool gone);
/* Calls `each` for all that name this uid now; how many there are. It may write and remove. */
int owned_each(struct devcluster *cluster, const char *uid,
               void (*each)(struct devcluster *cluster, struct kind *kind, json_t *child,
                            const char *uid));
