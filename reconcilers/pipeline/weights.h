/*
 * weights: the shares of a PipelineBinding as weights of a Gateway API HTTPRoute, for classes that
 * ask for one (spec.httpRoute). Endpoints have no weight, references of a route do: each pod has a
 * Service of its own beside the binding's, and the route of the binding's name leads to them.
 * What goes wrong with these holds nothing up: the binding's own Service serves, evenly.
 */
#pragma once

#include "reconcilers/engine/bundle.h"
#include "server/base/err.h"

struct pass;
struct bindings;
struct binding_pod;
struct workers;

/* On a Service or slice of one pod of a binding: the pod; and since when it carries nothing. */
#define ANNOTATION_WORKER "scheduling.k8s.xxii.io/worker"
#define ANNOTATION_LEFT "scheduling.k8s.xxii.io/left"

enum {
    WEIGHTED_PODS_MAX = 16, /* the HTTPRoute's bounds */
    WEIGHT_MAX = 1000000,
    LEAVING_MAX = 32, /* more go at once */
};

/* Of many writes the first that was refused: those behind it are made all the same. */
struct refusals {
    int rc;
    struct err err;
};

enum weights_form {
    WEIGHTS_NONE,   /* there is no route */
    WEIGHTS_EVEN,   /* it leads to the binding's own Service */
    WEIGHTS_SHARED, /* it leads to the pods, by their shares */
};

/* What came of it in a pass. */
struct weighing {
    bool asked;               /* the class asks for a route */
    const char *reason;       /* why it is not by shares, without anybody's fault; or NULL */
    struct refusals refusals; /* whose fault it is */
    bool plain;               /* the binding's own Service and slice are as they are to be */
    bool stale;               /* a route of ours leads as it did before */
    struct bundle_result stack;
};

/* Pods whose Services stay for a moment. */
struct leaving {
    size_t count;
    struct binding_pod *pods;
};

/* A condition. */
struct weights_word {
    const char *status, *reason, *message;
};

/* ---- pure ---- */

/* Each at least 1, in proportion: exactly so where the shares' ratio fits the bound. */
void weights_of(const int64_t *milli, size_t count, int32_t *ret);
/* Of a pod's Service. No binding has such a name: none has two dashes before its last part and is
 * shorter than 63 characters. */
const char *weights_service(struct arena *arena, const char *binding, const char *pod);
/* The pod of which a slice is, if we made it for that pod of the binding: who may write slices may
 * give his own our labels, and any pod. */
bool weights_pod_of(struct ctx *ctx, const char *binding, const json_t *slice,
                    struct binding_pod *ret);
/* The form that its shares allow; *ret_reason tells why it is not WEIGHTS_SHARED, else NULL. */
enum weights_form weights_form_of(const json_t *binding, const char **ret_reason);
/* All objects of a binding, in apply order: a Service before what leads to it. `leaving`: pods that
 * the route no longer leads to; or NULL. */
int weights_render(struct ctx *ctx, const struct bundle *bundle, const json_t *binding,
                   const struct leaving *leaving, enum weights_form form, struct bundle_plan *ret);
/* Somebody added to a live route of ours what leads, or keeps away, requests: items or fields that
 * are neither in `desired` nor the server's defaults. */
bool weights_added(const json_t *desired, const json_t *live);
/* What the gateways or the mesh say about a route of ours as it is now. */
struct weights_word weights_answer(struct ctx *ctx, const json_t *route);

/* ---- in a pass of a binding ---- */

/* Brings everything there. Fails only where the binding's own Service is concerned, or all must be
 * read again. `binding`: with those of its shares that are believed. */
int weights_apply(struct ctx *ctx, struct pass *pass, const json_t *binding, struct weighing *ret);
/* The binding's route, if there is one and it is ours; the second, too, while it is going: then it
 * cannot be written, and leads as it did (weights_route.c). */
const json_t *weights_route(struct ctx *ctx, struct pass *pass);
const json_t *weights_route_led(struct ctx *ctx, struct pass *pass);
/* Pods that carry nothing any more, for a moment (weights_leave.c). */
struct leaving weights_leaving(struct ctx *ctx, struct pass *pass, const json_t *binding);
/* Condition Weighted of the binding. */
void weights_tell(struct ctx *ctx, struct pass *pass, const struct weighing *weighing);

/* Condition Weighted of a class: the worst word of its bindings. */
void weights_class_status(struct ctx *ctx, const struct workers *workers,
                          const struct bindings *bindings, json_t *status);
