/*
 * The kinds of registry.flotilla.dev as C: the spec as a struct, who may set which field, and
 * checks that agree with the CRDs (tests/kube/crd_inputs.yaml runs one table through both). No I/O.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;

enum audience {
    AUDIENCE_TENANT = 1,   /* the customer, through the provider API */
    AUDIENCE_PROVIDER = 2, /* the provider's own staff */
    AUDIENCE_SYSTEM = 4,   /* Flotilla itself */
};

enum registry_lifecycle { REGISTRY_ACTIVE, REGISTRY_CLOSED };
enum registry_deletion { REGISTRY_RETAIN, REGISTRY_DELETE };

/* What a registry has a part of, in the order in which the parts are made and locked. */
enum backend_type { BACKEND_POSTGRESQL, BACKEND_REDIS, BACKEND_S3, BACKEND_TYPES };
/* As BackendPool.spec.type and BackendClaim.spec.type call them. */
extern const char *const backend_type_names[BACKEND_TYPES];
/* BACKEND_TYPES when there is none of that name. */
enum backend_type backend_type_of(const char *name);
/* A claim of a time at which there was one type carries none. */
enum backend_type backend_claim_type(const json_t *claim);

/* What can be made anew while a registry serves, each with a number in spec.credentials. */
enum credential_kind {
    CREDENTIAL_DATABASE,
    CREDENTIAL_REDIS,
    CREDENTIAL_S3,
    CREDENTIAL_REGISTRY,
    CREDENTIAL_INTERNAL,
    CREDENTIAL_KINDS
};
extern const char *const credential_kind_names[CREDENTIAL_KINDS];

/* Strings are borrowed from the JSON that was bound. */
struct registry_spec {
    const char *identity; /* NULL = not made yet */
    int64_t revision;     /* -1 = none */
    const char *version;
    const char *size;
    const char *host;
    enum registry_lifecycle lifecycle;
    const char *purge_after; /* NULL = none */
    enum registry_deletion deletion;
    const char *admin_secret;         /* NULL = none was handed over */
    const char *pools[BACKEND_TYPES]; /* pinned by name; NULL = any */
    bool trivy, exporter;             /* optional components */
    int64_t storage_bytes;            /* it may store; -1 = what its size allows */
    const char *ingress_class;        /* NULL = the cluster's default */
    const char *tls_secret;           /* NULL = none given */
    const char *issuer;               /* of cert-manager; NULL = none */
    const char *issuer_kind;          /* Issuer or ClusterIssuer */
    /* Another number than the last one asks for new ones; 0 = nothing is asked for. */
    int64_t credentials[CREDENTIAL_KINDS];
};

/* One row per field of Registry.spec. */
struct registry_field {
    const char *path; /* "backends.postgresql.pool" */
    unsigned audience;
    const char *doc;
};
/* Ends at a row without path. */
extern const struct registry_field registry_fields[];

/* The spec of a Registry object; what is missing gets the CRD's default. Checks nothing. */
struct registry_spec registry_spec_bind(const json_t *object);

/* Why a registry may not go from one version of Harbor to another, each with or without patch. */
enum hop_fault {
    HOP_NO_FAULT, /* the same, a later patch, or one of the next HOP_MINORS_MAX minors */
    HOP_BACK,
    HOP_TOO_FAR
};
enum { HOP_MINORS_MAX = 2 };
enum hop_fault registry_hop_fault(const char *from, const char *to);

/*
 * Checks a whole object of one of the four kinds as the API server would: the structural schema of
 * its CRD, then the rules that the CRD has in CEL. `old` is NULL for a create. *ret_problems is an
 * array of {"pointer", "message"} in ctx->arena, empty when there is none. -ERR_INVALID when the
 * object is of no kind known here.
 */
int registry_object_check(struct ctx *ctx, const json_t *object, const json_t *old,
                          json_t **ret_problems);

/* 16 characters of [a-z2-7]. */
bool registry_identity_valid(const char *identity);
