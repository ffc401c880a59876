/* Who set which field: metadata.managedFields, and server-side apply on top of it. */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* Who writes, as the call says it: ?fieldManager=, or the first word of the user agent. */
const char *managed_writer(const struct call *call);
/* Notes in `next` what this call changed in `live` (NULL: all of it). */
void managed_note(struct call *call, const json_t *live, json_t *next);
/*
 * The live object (NULL: none) with the patch applied, and who owns what now; in the arena. Refuses
 * what others own, unless ?force=true.
 */
int managed_apply(struct call *call, const json_t *live, const json_t *patch, json_t **ret);
