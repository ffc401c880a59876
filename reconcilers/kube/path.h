/* Paths of the Kubernetes API. Internal to this room. */
#pragma once

#include "reconcilers/kube/kube.h"

/*
 * "/apis/<group>/<version>[/namespaces/<namespace>]/<plural>[/<name>][/<subresource>]" in
 * ctx->arena, components percent-encoded. The namespace of a cluster-scoped kind is left out; a
 * namespaced kind without one gives the collection over all namespaces. name and subresource may be
 * NULL.
 */
char *path_object(struct ctx *ctx, enum kube_kind kind, const char *namespace, const char *name,
                  const char *subresource);

/* Appends "?key=value" or "&key=value", the value encoded; a NULL value appends nothing. */
char *path_query(struct ctx *ctx, const char *path, const char *key, const char *value);
