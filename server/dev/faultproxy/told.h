/* What was read, otherwise than it is: stale, or reordered. */
#pragma once

#include "server/dev/faultproxy/proxy.h"

/* Remembers the objects of an answer. The body that the client gets: the real one, or the arena's;
 * *status, that of the real one, becomes its own. */
const char *told_body(struct exchange *exchange, const struct http_response *real, int *status);
