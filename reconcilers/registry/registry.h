/*
 * The registry operator as the rest of the house sees it: three reconcilers for engine_add(), the
 * thing they share, and the audit. Read registry.c first.
 */
#pragma once

#include "reconcilers/engine/engine.h"

struct ctx;
struct kube;
struct registry_operator;

struct registry_options {
    const char *operator_namespace; /* Leases and kept credentials; copied */
    int64_t verify_interval_ms;     /* time between two looks at a registry's externals */
    const char *leave_out;          /* "core registryctl": parts that no stack has; copied */
    bool serving_probe;             /* ask each registry's Harbor whether it serves */
    int64_t probe_interval_ms;
    int64_t manage_interval_ms;  /* time between two looks into a Harbor; with serving_probe */
    int64_t collect_interval_ms; /* instead of what the size says; 0 = that */
    const char *harbor_address;  /* where all of them are asked; "" = over their Services. Copied */
    const char *postgres_tools;  /* folder of pg_dump and pg_restore; "" = PATH. Copied */
    int64_t pull_wait_ms;        /* for an image of a new version */
    int workers;                 /* at most a quarter of them inside one pool */
};

enum { REGISTRY_RECONCILERS = 3 };

/* Registry, RegistryIdentity, BackendPool; add each with the same operator. */
extern const struct reconciler *const registry_reconcilers[REGISTRY_RECONCILERS];

/* Loads bundle, sizes and versions, and reads the cell's mark (uid of kube-system) live. */
int registry_operator_new(struct ctx *ctx, struct kube *kube,
                          const struct registry_options *options, struct registry_operator **ret);
void registry_operator_free(struct registry_operator *home);

struct bundle_plan;
/*
 * The stack of the Registry in example.yaml, as a pass would plan it: no cluster is needed.
 * `options` are names of example.yaml and end with NULL. -ERR_INVALID when one, the version or the
 * size is not known.
 */
int registry_example(struct ctx *ctx, const struct registry_operator *home, const char *version,
                     const char *size, const char *const *options, struct bundle_plan *ret);

/*
 * Compares pools, claims, identities, kept Secrets and registries of one cell, all read live.
 * `findings` gets a finding (reconcilers/engine/finding.h) for each difference; none = consistent.
 */
int registry_audit(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                   json_t *findings);
