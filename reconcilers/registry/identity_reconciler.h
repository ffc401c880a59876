/* The two reconcilers of the shard `cluster`, and what the three reconcilers' tables share. */
#pragma once

#include "reconcilers/engine/engine.h"

extern const struct reconciler identity_reconciler; /* identity_reconciler.c */
extern const struct reconciler pool_reconciler;     /* pool.c */

/* Phase: the identity of a Registry that went without its finalizer is retained. orphan.c */
int identity_orphan(struct ctx *ctx, struct pass *pass);
/* A source that only fills a cache. */
bool source_wakes_nobody(const json_t *object, struct key *ret);
