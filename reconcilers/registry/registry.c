/*
 * The registry operator. Read this file first: it is the table of contents.
 *
 * A pass walks the phases below. Everything external is named by spec.identity and locked by
 * RegistryIdentity/<identity>; its slots in pools are BackendClaim/<pool>.<slot>; its credentials
 * are Secret registry-<identity> in the operator's namespace. Order of making: identity, finalizer,
 * lock, credentials, claims, database, Redis index, bucket, stack. Order of closing: stack, pods
 * gone, role, Redis user, bucket locked.
 * Removal is somebody else's work (identity_reconciler.c).
 *
 * Requeue: -ERR_WAITING and -ERR_TAKEN wait for an event, or for the time that the phase asked for
 * where no event comes; a converged registry comes back after the verify interval.
 */
#include "reconcilers/registry/identity_reconciler.h"
#include "reconcilers/registry/scope.h"

#include "server/base/json.h"
#include "server/base/str.h"

#include <stdio.h>

static const struct phase phases[] = {
    {.name = "gather", .run = registry_gather, .why = "spec, neighbours and pods, from the cache"},
    {.name = "teardown", .run = registry_teardown, .why = "a deleted Registry goes no further"},
    {.name = "admit", .run = registry_admit, .why = "one Registry per namespace"},
    {.name = "identity", .run = registry_identity, .why = "name, finalizer and lock come first"},
    {.name = "secrets",
     .run = registry_secrets,
     .why = "credentials are kept before they are used"},
    {.name = "claim", .run = registry_claim, .why = "a slot of a pool of each type"},
    {.name = "hop", .run = registry_hop, .why = "a step to another version, outside of the stack"},
    {.name = "plan", .run = registry_plan, .why = "pure: scope to desired objects"},
    {.name = "drain",
     .run = registry_drain,
     .why = "closed: no pod may run when the backends are locked"},
    {.name = "backend",
     .run = registry_backend,
     .why = "database, Redis index, bucket, each proved"},
    {.name = "stack", .run = registry_stack, .why = "open: objects in the namespace"},
    {.name = "hop-end", .run = registry_hop_end, .why = "a hop's step that the stack ends"},
    {.name = "rotate", .run = registry_rotate, .why = "one step further with new credentials"},
    {.name = "probe", .run = registry_probe, .why = "does its Harbor serve? never a failure"},
    {.name = "manage",
     .run = registry_manage,
     .flags = PHASE_ALWAYS,
     .why = "account, storage and garbage collection in its Harbor; never a failure"},
    {.name = "status", .run = registry_status, .flags = PHASE_ALWAYS, .why = "conditions, events"},
    {0},
};

/* ---- sources: whose event wakes which Registry ---- */

static bool set_key(struct key *ret, const char *namespace, const char *name)
{
    if (!namespace || !name)
        return false;
    snprintf(ret->namespace, sizeof ret->namespace, "%s", namespace);
    snprintf(ret->name, sizeof ret->name, "%s", name);
    return true;
}

static bool claim_to_registry(const json_t *claim, struct key *ret)
{
    return set_key(ret, json_str(claim, "spec.registry.namespace"),
                   json_str(claim, "spec.registry.name"));
}

static bool identity_to_registry(const json_t *identity, struct key *ret)
{
    return set_key(ret, json_str(identity, "spec.owner.namespace"),
                   json_str(identity, "spec.owner.name"));
}

/* A pod's owner is a ReplicaSet; its label names the Registry. */
static bool pod_to_registry(const json_t *pod, struct key *ret)
{
    return set_key(ret, json_str(pod, "metadata.namespace"), kube_label(pod, LABEL_REGISTRY));
}

bool source_wakes_nobody(const json_t *object, struct key *ret)
{
    (void)object;
    (void)ret;
    return false;
}

static const struct reconciler registry_reconciler = {
    .name = "registry",
    .kind = KIND_REGISTRY,
    .shard = SHARD_BY_ROOT,
    .scope_bytes = sizeof(struct registry_scope),
    .sources =
        {
            {.kind = KIND_DEPLOYMENT, .label_selector = LABEL_REGISTRY},
            {.kind = KIND_STATEFUL_SET, .label_selector = LABEL_REGISTRY},
            {.kind = KIND_JOB, .label_selector = LABEL_REGISTRY},
            {.kind = KIND_SERVICE, .label_selector = LABEL_REGISTRY},
            {.kind = KIND_INGRESS, .label_selector = LABEL_REGISTRY},
            {.kind = KIND_CERTIFICATE, .label_selector = LABEL_REGISTRY, .optional = true},
            {.kind = KIND_NETWORK_POLICY, .label_selector = LABEL_REGISTRY},
            {.kind = KIND_DISRUPTION_BUDGET, .label_selector = LABEL_REGISTRY},
            {.kind = KIND_RESOURCE_QUOTA, .label_selector = LABEL_REGISTRY},
            {.kind = KIND_CONFIGMAP, .label_selector = LABEL_REGISTRY},
            {.kind = KIND_SECRET, .label_selector = LABEL_MANAGED_BY "=flotilla"},
            {.kind = KIND_POD, .label_selector = LABEL_REGISTRY, .map = pod_to_registry},
            {.kind = KIND_BACKEND_CLAIM, .map = claim_to_registry},
            {.kind = KIND_REGISTRY_IDENTITY, .map = identity_to_registry},
            {.kind = KIND_BACKEND_POOL, .map = source_wakes_nobody},
            {.kind = KIND_NAMESPACE,
             .label_selector = LABEL_MANAGED "=true",
             .map = source_wakes_nobody},
        },
    .source_count = 16,
    .phases = phases,
    .resync_ms = 600000,
};

const struct reconciler *const registry_reconcilers[REGISTRY_RECONCILERS] = {
    &registry_reconciler,
    &identity_reconciler,
    &pool_reconciler,
};
