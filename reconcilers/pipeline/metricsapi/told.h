/* told: the answers of the metrics API as JSON, owned by ctx->arena. Pure. */
#pragma once

#include "reconcilers/pipeline/metricsapi/asked.h"
#include "reconcilers/pipeline/metricsapi/selector.h"

#include <stdint.h>

struct ctx;

enum { TOLD_ITEMS_MAX = 1000 };

/* What a refusal is: the Status that Kubernetes' clients read. */
enum told_refusal {
    TOLD_BAD_REQUEST,
    TOLD_UNAUTHORIZED,
    TOLD_NOT_FOUND,
    TOLD_METHOD,
    TOLD_NOT_ACCEPTABLE,
    TOLD_TOO_MANY,
    TOLD_UNAVAILABLE,
    TOLD_REFUSALS
};

struct told_refusal_row {
    int code;
    const char *reason; /* of the Status, and the metric's label */
    const char *why;
};
extern const struct told_refusal_row told_refusals[TOLD_REFUSALS];

json_t *told_status(struct ctx *ctx, enum told_refusal refusal, const char *message);
json_t *told_groups(struct ctx *ctx);
json_t *told_group(struct ctx *ctx);
json_t *told_resources(struct ctx *ctx, const char *version);

/*
 * The values of `classes` (WorkerClasses of one namespace) that the selector takes. A class about
 * which nothing was decided yet has no value and is left out, and so is one that is going. At most
 * TOLD_ITEMS_MAX + 1 items: the caller refuses more.
 */
json_t *told_values(struct ctx *ctx, const char *version, const json_t *classes,
                    const struct selector *selector, int64_t now_wall_ms);
