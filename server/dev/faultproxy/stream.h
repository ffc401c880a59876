/* A watch through the proxy: line by line, as they come, under the fault table. */
#pragma once

#include "server/dev/faultproxy/proxy.h"

/* The answer and its status; NULL: there is none, and the connection ends. */
struct MHD_Response *stream_open(struct exchange *exchange, int *status);
