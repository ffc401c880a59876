/*
 * metricsapi: the metric `workerclass_request` as the aggregated API custom.metrics.k8s.io, for
 * autoscalers. It answers the API server's front proxy and nobody else; who may ask for what, the
 * API server has decided by then. Any number of processes serve it at once.
 */
#pragma once

#include "reconcilers/engine/engine.h"

struct metricsapi;

enum { METRICSAPI_REFRESH_MS = 10000, METRICSAPI_FILE_MAX_BYTES = 256 << 10 };

struct metricsapi_options {
    struct kube *kube;
    struct engine *engine; /* its caches have the classes; outlives the listener */
    const char *address;   /* read at the start only */
    int port;              /* 0 = any free one */
    const char *certificate_file, *key_file; /* PEM; read anew every METRICSAPI_REFRESH_MS */
    int refresh_ms;                          /* 0 = that */
};

/*
 * -ERR_CONFIG: no such port, or files that are none. That nobody is trusted yet (the ConfigMap
 * cannot be read) is no error: until it can, everybody is answered 401.
 */
int metricsapi_start(struct ctx *ctx, const struct metricsapi_options *options,
                     struct metricsapi **ret);
/* Before engine_stop(). */
void metricsapi_stop(struct metricsapi *api);
