/* What the fault table (server/dev/faults) does to this API. */
#pragma once

#include "server/dev/devcluster/cluster.h"
#include "server/dev/faults/faults.h"

/* GET and PUT of the table. */
int faulty_table(struct call *call);
/* What the table has for this request: refuses, waits, or marks the call. */
int faulty_request(struct call *call);
/* The call has made an object. */
void faulty_created(struct call *call);
/* What it has for an event that is about to be sent. */
struct fault faulty_event(struct arena *arena, struct devcluster *cluster, const char *client,
                          const struct kind *kind, const json_t *object);
/* The answer is another one by a stale or reordered read. */
void faulty_hit(struct call *call);
/* What the call names; stale: as it was before its last change that is remembered, be that its end.
 * Borrowed; NULL = it is not there. */
json_t *faulty_get(struct call *call);
/*
 * A new array, for a stale read: what store_list has, each as it was before its last change, and
 * those that were deleted last. *version becomes what the whole list had at the most then.
 */
json_t *faulty_list(const struct call *call, uint64_t *version);
