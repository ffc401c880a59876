/* Lists: selected, in the order of the names, by pages of one snapshot. */
#pragma once

#include "server/dev/devcluster/cluster.h"

int lists_read(struct call *call);
void lists_done(struct devcluster *cluster);

/* The call's resourceVersion as a number, 0 = none given. Refuses what is no number, and what lies
 * in the future. */
int lists_version(struct call *call, uint64_t *ret);
