/*
 * handover: the way of the customer's first admin password from the fleet's database to its cell.
 * serve has sealed it in the row's transaction. Here it is opened and written as a Secret into the
 * registry's namespace, before the custom resource that names it (spec.adminSecretRef). The
 * operator copies it into a Secret of its own and says status.adminPassword: Kept. Then, and never
 * before, the hand-over is removed and the sealed row is shredded. Each step may be repeated by
 * anybody; what a purge finds undelivered is shredded with the row (fleet_tombstone.sql).
 */
#pragma once

#include "reconcilers/fleet/publish.h"

/*
 * Writes the Secret unless it is there; nothing to do when the row was shredded, or has none. The
 * caller has made the namespace and read the row after that. -ERR_TAKEN (HandoverNotOurs) when a
 * stranger's Secret has the name.
 */
int handover_offer(struct ctx *ctx, struct work *work);
/* For a custom resource that is there and ours: removes and shreds when the operator keeps it, else
 * sees to it that the Secret is still there. */
int handover_settle(struct ctx *ctx, struct work *work);
