/* Access reviews: whoever asks may. */
#pragma once

#include "server/dev/devcluster/cluster.h"

bool access_has_group(const char *group);

/* For a resource that is no kind of the store; 404 for what is none of ours either. */
int access_run(struct call *call, const char *group, const char *plural);
