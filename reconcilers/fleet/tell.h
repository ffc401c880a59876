/* tell: what people in the cell are told about their custom resource, as an Event. */
#pragma once

#include "reconcilers/fleet/cells.h"

/* Their edit was reverted to `revision`. A failure is logged and changes nothing. */
void tell_reverted(struct ctx *ctx, const struct cell *cell, const json_t *live, int64_t revision);
