/* The garbage collector: what lost its owners goes; what ends takes its children along. */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* True when the object was changed or removed: whoever else looks, looks again. */
bool garbage_collect(struct devcluster *cluster, struct kind *kind, json_t *live);
/* An object is gone: its children are looked at. */
void garbage_notice(struct devcluster *cluster, const json_t *gone);
