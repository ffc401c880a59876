/* What the API server fills in where a built-in object says nothing. */
#pragma once

#include "server/dev/devcluster/cluster.h"

void defaults_fill(struct devcluster *cluster, const struct kind *kind, json_t *object);
