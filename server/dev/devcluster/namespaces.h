/* Namespaces and definitions: what comes with them, and what goes with them. */
#pragma once

#include "server/dev/devcluster/cluster.h"

void namespaces_init(struct devcluster *cluster);
void namespaces_look(struct devcluster *cluster, struct kind *kind, json_t *live);
/* A CustomResourceDefinition is established. */
void namespaces_establish(struct devcluster *cluster, struct kind *kind, json_t *live);
/* An object is gone: its namespace may be waiting for that. */
void namespaces_notice(struct devcluster *cluster, const json_t *gone);
