/* Watches: a thread per stream that follows the changes of one kind. */
#pragma once

#include "server/dev/devcluster/cluster.h"

#include <stddef.h>
#include <sys/types.h>

/* With the cluster's lock held: the call becomes a stream, or is refused. */
int watch_open(struct call *call);
/* The listener's callbacks; without the lock. */
ssize_t watch_read(void *watch, uint64_t position, char *out, size_t bytes);
void watch_free(void *watch);
