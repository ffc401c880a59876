/* From method and path to what answers. */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* With the cluster's lock held. Fills call->answer, text or watch; or a refusal. */
int routes_run(struct call *call);
