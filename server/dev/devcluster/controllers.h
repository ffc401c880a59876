/*
 * What a control plane does by itself, on one thread per cluster: workloads become pods, pods
 * become Ready after a delay, namespaces are emptied, owners take their children along.
 */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* What every cluster begins with: namespaces, a node. */
void controllers_start(struct devcluster *cluster);
void controllers_stop(struct devcluster *cluster);
/* An object changed: whoever it concerns looks at it. */
void controllers_notice(struct devcluster *cluster, struct kind *kind, const json_t *object,
                        const char *type);

/* ---- what the controllers share ---- */

/* Creates an object as the server would; NULL when it is there already. Steals it. */
json_t *control_create(struct devcluster *cluster, struct kind *kind, json_t *object);
/* Puts `next` (stolen) in the place of live, if anything differs. */
void control_put(struct devcluster *cluster, struct kind *kind, json_t *live, json_t *next);
/* Looks at the object again in so many milliseconds. */
void control_again(struct devcluster *cluster, struct kind *kind, const json_t *object,
                   int64_t in_ms);
/* A new array of the objects of a kind that this one controls. */
json_t *control_children(const struct kind *kind, const json_t *owner);
/* metadata of a child: namespace, name, labels (borrowed, may be NULL), who controls it. */
json_t *control_metadata(const json_t *owner, const char *name, json_t *labels);

/* Workloads: workloads.c and pods.c. `live` is borrowed and may be freed by the first write. */
void workload_deployment(struct devcluster *cluster, struct kind *kind, json_t *live);
void workload_replica_set(struct devcluster *cluster, struct kind *kind, json_t *live);
void workload_stateful_set(struct devcluster *cluster, struct kind *kind, json_t *live);
void workload_job(struct devcluster *cluster, struct kind *kind, json_t *live);
void workload_pod(struct devcluster *cluster, struct kind *kind, json_t *live);
