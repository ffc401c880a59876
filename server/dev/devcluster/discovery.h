/* What is served, told to clients: version, groups, resources, OpenAPI v3. */
#pragma once

#include "server/dev/devcluster/cluster.h"

int discovery_version(struct call *call);
/* /api[/VERSION] and /apis[/GROUP[/VERSION]]; NULL = not in the path. */
int discovery_core(struct call *call, const char *version);
int discovery_groups(struct call *call, const char *group, const char *version);
/* /openapi/v3[/api/VERSION | /apis/GROUP/VERSION] */
int discovery_openapi(struct call *call, const char *root, const char *first, const char *second);
