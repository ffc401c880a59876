/* Which resources a cluster serves: the table of kinds.def, and what CustomResourceDefinitions add.
 */
#pragma once

#include "server/dev/devcluster/cluster.h"

void kinds_init(struct devcluster *cluster);
void kinds_done(struct devcluster *cluster);
/* NULL when it is not served. Any version of the group when `version` is NULL. */
struct kind *kinds_find(const struct devcluster *cluster, const char *group, const char *version,
                        const char *plural);
bool kinds_has_group(const struct devcluster *cluster, const char *group);
struct kind *kinds_named(const struct devcluster *cluster, const char *api_version,
                         const char *name);
/* Serves what a definition asks for, or what it asks for now. */
void kinds_define(struct devcluster *cluster, const json_t *definition);
/* A definition is gone: its kind is not served any more. */
void kinds_undefine(struct devcluster *cluster, const json_t *definition);
/* The structural schema of the whole object, or NULL. */
const json_t *kind_schema(const struct kind *kind);
