/*
 * requests: the metric `workerclass_request`, by which autoscalers act: what each WorkerClass is
 * asked for, of the namespaces that this process decides about. The family is made anew whenever
 * somebody reads it, so that a class, a ledger or a shard that went shows nothing. No namespace's
 * n-th class is shown before every other's n-th: many classes of one silence nobody else.
 * It also keeps when the status of a class was written, which is not to follow each decision.
 * Thread-safe.
 */
#pragma once

#include "reconcilers/pipeline/decide.h"

struct requests;

/* holds: does this process still decide about that shard? */
struct requests *requests_new(bool (*holds)(void *arg, int shard), void *arg);
void requests_free(struct requests *requests);
/* In place of what was said about the namespace; classes in the world's order, by name. */
void requests_put(struct requests *requests, const char *namespace, int shard,
                  const struct world *world, const struct decision *decision);
/* Until `every_ms` after the status of a class was written; 0 = it may be now. */
int64_t requests_rest_ms(struct requests *requests, const char *namespace, const char *class,
                         int64_t every_ms);
/* It was written. */
void requests_told(struct requests *requests, const char *namespace, const char *class);
/* It has no ledger any more. */
void requests_drop(struct requests *requests, const char *namespace);
