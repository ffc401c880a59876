/* /livez, /readyz and /metrics for processes that are no API server (operate, fleet). */
#pragma once

#include "server/net/http_server.h"

struct health_check {
    const char *name;
    bool (*ok)(void *arg);
    void *arg;
};

/* Answers the three paths; false when the path is none of them. checks ends at a row without name.
 */
bool health_answer(struct ctx *ctx, const struct health_check *checks,
                   const struct request *request, struct response *response);
