/*
 * OvhNginx (tutorials.ovhcloud.com/v1): the smallest complete operator. A resource with
 * `replicaCount` and `port` becomes a Deployment of nginx and a Service of type LoadBalancer.
 */
#pragma once

#include "reconcilers/engine/engine.h"

struct nginx_operator;

int nginx_operator_new(struct ctx *ctx, struct nginx_operator **ret);
void nginx_operator_free(struct nginx_operator *nginx);

extern const struct reconciler nginx_reconciler;

/* What manifests/ may name: pure, so that a golden test can render without a cluster. */
json_t *nginx_facts(struct ctx *ctx, const json_t *root);
