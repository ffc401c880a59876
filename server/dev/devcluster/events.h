/* Events have two names: core/v1 is a view of what events.k8s.io/v1 keeps. */
#pragma once

#include <jansson.h>

/* Both give a new object; the object itself stays as it is. */
json_t *events_as_core(const json_t *event);
json_t *events_from_core(const json_t *event);
