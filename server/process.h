/* What the long-running commands share: an identity, and a listener for health and metrics. */
#pragma once

#include "server/base/ctx.h"
#include "server/net/health.h"

struct config;

/* --identity, or "<host>-<pid>-<random>": unique, and valid in a Lease's name. In ctx->arena. */
char *process_identity(struct ctx *ctx, const struct config *config);

struct process_health;

/* Serves /livez, /readyz, /metrics on --health-listen; `checks` must outlive it. */
int process_health_start(struct ctx *ctx, const struct config *config,
                         const struct health_check *checks, struct process_health **ret);
void process_health_stop(struct process_health *health);

/* Logs "ready" once every check holds, then waits for SIGTERM or SIGINT. */
void process_run(struct ctx *ctx, const struct health_check *checks);

/* The one line about a start that failed; returns the exit status. */
int process_failed(struct ctx *ctx, const char *role);
