/*
 * project: what a custom resource says, as much of it as the fleet keeps: at most 200 bytes, its
 * conditions, which the API shows as they are, and what a pipeline explains (explain.h). Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct ctx;

enum { PROJECT_REASON_BYTES = 32, PROJECT_MESSAGE_BYTES = 96 };

/*
 * {id, phase, health, drift, observed, reason, message, conditions, usage, version, stages,
 * stagesCut, waiting, hash}; without those from usage on that the cell tells nothing of; the hash
 * is over all of the others. `drifted`: is it something else than its row says?
 */
json_t *project(struct ctx *ctx, const json_t *object, bool drifted);

/* The projection of a custom resource that is gone. */
json_t *project_gone(struct ctx *ctx, const char *id);
