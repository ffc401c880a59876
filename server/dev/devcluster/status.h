/* What Kubernetes calls a Status: how a refusal, and a plain success, are told. */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* A 500 that does not say why. */
#define STATUS_REASONLESS "Reasonless"

/* Records a refusal by its Kubernetes reason ("NotFound"); returns the negative error of the house.
 */
int refuse(struct call *call, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The usual refusals about the object that the call names. */
int refuse_absent(struct call *call);
int refuse_stale(struct call *call);
int refuse_invalid(struct call *call, const char *problem);
/* Options that do not go together: "ListOptions", the field, the reason of the cause. */
int refuse_options(struct call *call, const char *options, const char *field, const char *cause,
                   const char *problem);
/* What devcluster does not do. */
int refuse_unserved(struct call *call, const char *what);

/* Details of a refusal, one each. */
void status_cause(struct call *call, const char *reason, const char *field, const char *message);

/* "deployments.apps", as messages say it. */
const char *status_resource(struct call *call);
/* The Status of call->ctx.err; in the arena. Sets call->status. */
json_t *status_failure(struct call *call);
/* The answer to a deletion that left nothing. */
json_t *status_success(struct call *call, const char *uid);
