/* The subresource /scale: a view of one number. */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* The view, in the arena. */
json_t *scale_of(struct call *call, const json_t *object);
int scale_answer(struct call *call, const json_t *object);
/* Takes the number from a view that was sent. */
int scale_put(struct call *call, json_t *live, const json_t *scale);
