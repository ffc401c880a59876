/* What metricsapi.c (life, certificates and trust) and answers.c (one request) share. */
#pragma once

#include "reconcilers/pipeline/metricsapi/metricsapi.h"
#include "reconcilers/pipeline/metricsapi/trust.h"

#include "server/net/http_server.h"

#include <pthread.h>

struct metricsapi {
    struct metricsapi_options options;
    struct tls_server *tls;
    struct http_server *http;
    pthread_t refresher;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t stop;
    bool stopping;
    struct arena *arena; /* holds `trust` */
    struct trust trust;  /* client_ca NULL = nobody yet */
    bool changing;       /* the authority is being replaced: nobody is believed */
    uint64_t terms_hash; /* of what the TLS server has */
    int64_t told_stranger_ms;

    bool trusts_nobody;                /* the refresher's; was told */
    char complaint[ERR_MESSAGE_BYTES]; /* the refresher's last one: nothing is said twice */
};

/* ---- answers.c: the listener's handler, and what HTTP itself refuses ---- */

void answers_handle(struct ctx *ctx, void *api, const struct request *request,
                    struct response *response);
void answers_refuse(struct ctx *ctx, void *api, const struct request *request, int status,
                    struct response *response);
