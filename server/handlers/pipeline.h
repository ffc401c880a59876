/* pipeline: what the files about pipelines share. */
#pragma once

#include "server/handlers/app.h"
#include "server/store/resource.h"

/* The pipeline of the path. -ERR_NOT_FOUND; -ERR_PURGED for a tombstone. */
int pipeline_read(struct ctx *ctx, struct api_call *call, struct pg *pg,
                  struct store_resource_view *ret);
