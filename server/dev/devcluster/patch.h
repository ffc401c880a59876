/* PATCH in its four forms. */
#pragma once

#include "server/dev/devcluster/cluster.h"

int patch_run(struct call *call);
