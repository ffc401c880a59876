/*
 * purge: the end of a registry. A closed row whose grace period has passed loses, in this order,
 * the way back (purge_started_at), its custom resource (the operator purges what it holds outside),
 * its life (the row becomes a tombstone), and its namespace. Any step may be repeated by anybody.
 */
#pragma once

#include "reconcilers/fleet/publish.h"

/*
 * For a row that is due. *ret_handled false: publish.c has to do its work first, because the custom
 * resource is not what the row says; -ERR_WAITING while the operator is at work.
 */
int purge_due(struct ctx *ctx, struct work *work, enum verdict verdict, bool *ret_handled);
/* Makes a row that is due a tombstone: its cell has nothing of it any more, or there never was one.
 */
int purge_end_row(struct ctx *ctx, const struct work *work);
/* For a tombstone: removes what a slower process may have left in the cell, the namespace last. */
int purge_bury(struct ctx *ctx, struct work *work);
