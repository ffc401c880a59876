/* As much of Kubernetes' JSONPath as printer columns use: .name, ['name'], [n], [?(@.path=="v")].
 */
#pragma once

#include "server/base/arena.h"

#include <jansson.h>

/* The first value that fits, borrowed, or NULL. */
const json_t *jsonpath_first(struct arena *arena, const json_t *root, const char *path);
/* How many fit: items of the list or map that the path names, or of its filter. */
size_t jsonpath_count(struct arena *arena, const json_t *root, const char *path);
/* A scalar as text, "" for NULL; everything else as JSON. */
const char *jsonpath_text(struct arena *arena, const json_t *value);
