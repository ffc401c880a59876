/*
 * New credentials for old while the registry serves. What spec.credentials asks for is carried out
 * by the steps of rotation.c, one per pass; how far each kind is stands in annotations of the kept
 * Secret, and changes together with the values by one write, so that a crash between two steps
 * loses nothing.
 */
#pragma once

#include "reconcilers/registry/scope.h"

/* Behind the key of a kept value: the second one that is valid, the next one or the old one. */
#define KEPT_OTHER "Other"

enum rotation_phase {
    ROTATION_CURRENT,  /* done, or nothing was ever asked for */
    ROTATION_GIVEN,    /* as Current: nothing was to be done, for the values are the provider's */
    ROTATION_ADDING,   /* the other value is the next one: it is made valid beside the one in use */
    ROTATION_ROLLING,  /* the other value is the old one: pods turn to the new one */
    ROTATION_RETIRING, /* no pod uses the old one: it is shut out */
    ROTATION_PHASES
};

struct rotation {
    int64_t number; /* the last one that was begun; 0 = none */
    enum rotation_phase phase;
};

const char *rotation_phase_name(enum rotation_phase phase);
/* How far a kind is, by the kept Secret. */
struct rotation rotation_of(const json_t *kept, enum credential_kind kind);
/* Something was asked for that was not begun, or was begun and is not done. */
bool rotation_is_open(const struct registry_scope *scope, enum credential_kind kind);

/* Why a step waits for more than time: the next credential is not valid; NULL = it is, or may be.
 */
const char *rotation_held_by(const struct registry_scope *scope, enum credential_kind kind);

/* Changes of a backend are the rotation's own, and nobody's tampering. */
bool rotation_changes(const json_t *kept, enum backend_type type);

/*
 * Pure but for randomness: the next step of every kind, as a merge patch of the kept Secret; NULL =
 * none may be taken now. -ERR_REFUSED (SecretDamaged) when a value is missing that a step needs.
 */
int rotation_step(struct ctx *ctx, const struct registry_scope *scope, json_t **ret_patch);
/* Every pod of the stack that runs (of a component; NULL = of any that the plan has) was started
 * with what the plan wants pods to read. A pod that nobody in scope->pod_owners controls is a
 * stranger's, or on its way out: what it loses nobody needs. Pure. rotation_pods.c */
bool rotation_pods_current(const struct registry_scope *scope, const char *component,
                           int64_t now_ms);
/* Who controls the stack's pods: {uid: component} of ReplicaSets that one of the Deployments
 * controls, and of the others (StatefulSets, Jobs). Pure. rotation_pods.c */
json_t *rotation_pod_owners(struct ctx *ctx, const json_t *deployments, const json_t *others,
                            const json_t *replica_sets);
/* Fills in scope->pod_owners where some pod looks like one of before; asks the server then.
 * rotation_pods.c */
int rotation_find_owners(struct ctx *ctx, struct pass *pass);
/* Annotations of a Secret that is made now: its values are new, whatever number is asked for. */
json_t *rotation_fresh(struct ctx *ctx, const struct registry_spec *spec);
