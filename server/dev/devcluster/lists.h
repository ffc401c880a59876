/* Lists: selected, in the order of the names, by pages of one snapshot. */
#pragma once

#include "server/dev/devcluster/cluster.h"

struct selector;

int lists_read(struct call *call);
/* What nobody may read on any more. */
void lists_expire(struct devcluster *cluster);
void lists_done(struct devcluster *cluster);

/* What a list has, or a watch begins with; the arena's. *version, that of now, becomes what is
 * told. */
json_t *lists_items(struct call *call, const struct selector *selector, uint64_t *version);
/* The call's resourceVersion as a number, 0 = none given. Refuses what is no number, and what lies
 * in the future. */
int lists_version(struct call *call, uint64_t *ret);
