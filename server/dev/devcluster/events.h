/* Events have two names: core/v1 is a view of what events.k8s.io/v1 keeps. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* A new object: of what is kept what core/v1 shows, or the other way round. */
json_t *events_view(const json_t *event, bool core);
