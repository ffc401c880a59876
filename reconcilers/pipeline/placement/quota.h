/* quota: what a tenant may use of a class, and borrow; who comes first. Only the files of this room
 * see it. */
#pragma once

#include "reconcilers/pipeline/placement/state.h"

/* What the pipeline's stages ask of one class together. */
int64_t quota_asked(const struct pipeline *pipeline, uint32_t class_id);
/* The first stage whose class the tenant may not use so much of; *ret_ever: not even with all
 * others gone. */
uint32_t quota_refuses(const struct placement *placement, const struct pipeline *pipeline,
                       bool *ret_ever);
void quota_charge(struct placement *placement, const struct pipeline *pipeline, int sign);
/* A class is another size now. */
void quota_resize(struct placement *placement);
/* Is its tenant beyond its quota of a class that it asks for, or would be with it? Then what it has
 * may be taken back, and it takes nothing from others. */
bool quota_is_borrower(const struct placement *placement, const struct pipeline *pipeline);
/* Has its tenant a quota of some class that it asks for? Only then may it have something back. */
bool quota_lends(const struct placement *placement, const struct pipeline *pipeline);
/* How much of the class the victim's tenant has borrowed that the other one may have back. */
int64_t quota_reclaimable(const struct placement *placement, const struct pipeline *pipeline,
                          const struct pipeline *victim, uint32_t class_id);
/* Is `a` to be served before `b`? */
bool quota_is_before(const struct placement *placement, uint32_t a, uint32_t b);
