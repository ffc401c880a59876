/*
 * Readiness of any object by the rules of kstatus
 * (sigs.k8s.io/cli-utils, pkg/kstatus/README.md): Current, InProgress, Failed, Terminating. A Job
 * is current at its end.
 */
#pragma once

#include <jansson.h>

struct ctx;

enum readiness { READY_CURRENT, READY_IN_PROGRESS, READY_FAILED, READY_TERMINATING, READY_ABSENT };

struct ready_verdict {
    enum readiness readiness;
    const char *message; /* in ctx->arena */
};

/* object NULL = READY_ABSENT. */
struct ready_verdict ready_of(struct ctx *ctx, const json_t *object);
