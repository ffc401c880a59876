/*
 * resource: what a row and the custom resource that was read in its cell say about each other.
 * Pure; publish.c and purge.c act on the verdict, audit.c prints it.
 *
 * A row, as sql/queries/fleet_rows.sql builds it:
 *   {id, tenant, cell, namespace, name, identity, generation, published, closed, due, diverged,
 *    tombstone, object, fence, handover}
 * `object` is the custom resource as the cell shall have it, `fence` its namespace, `handover` the
 * Secret with the first admin password, without the password, or null when the cell keeps it.
 * Kinds without an identity have null there, and never a hand-over.
 */
#pragma once

#include "reconcilers/kube/kube.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;

#define FLEET_MANAGER "flotilla-fleet" /* our field manager */
#define LABEL_TENANT "flotilla.dev/tenant"
#define LABEL_REGISTRY_ID "flotilla.dev/registry-id"
#define LABEL_PIPELINE_ID "flotilla.dev/pipeline-id"
/* On a custom resource: "<revision>-<hash of spec>", as the fleet last wrote it. It tells what the
 * fleet wrote from what somebody else did, in a cached object too (caches keep no managedFields).
 */
#define ANNOTATION_PUBLISHED "flotilla.dev/published"

/* A kind of resource that is published. */
struct published_kind {
    const char *title;     /* "Registry" */
    const char *id_prefix; /* kind_of() of sql/migrations tells kinds by it, too */
    const char *id_label;  /* on its custom resources */
    enum kube_kind kube;
    bool is_optional;     /* a cell may not serve it yet */
    const char *serves;   /* the condition that says whether it serves now */
    const char *rejected; /* reasons of Ready with which nothing is waited for */
    bool keeps_data;      /* an operator keeps what it held, and purges it in the end */
};

enum { PUBLISHED_KINDS = 2 };
extern const struct published_kind published_kinds[PUBLISHED_KINDS];

/* By the id of a row. */
const struct published_kind *published_kind(const char *id);

/* X(id, reason, is it drift in the eyes of a customer, doc) */
#define VERDICTS(X)                                                                                \
    X(ABSENT, "Missing", true, "there is no custom resource")                                      \
    X(CURRENT, "Current", false, "the custom resource is what the row says")                       \
    X(STALE, "Behind", false, "the custom resource has an older revision than the row")            \
    X(DRIFTED, "Drifted", true, "somebody changed the custom resource under our revision")         \
    X(RAISED, "RevisionRaised", true, "somebody else set a revision above the row's generation")   \
    X(AHEAD, "Diverged", false, "we published something that the row does not know")               \
    X(LEAVING, "Terminating", false, "the custom resource is being deleted")                       \
    X(FOREIGN, "NotOurs", true, "the custom resource does not carry this row's labels")

enum verdict {
#define VERDICT(id, reason, is_drift, doc) VERDICT_##id,
    VERDICTS(VERDICT)
#undef VERDICT
};

struct verdict_row {
    const char *reason;
    bool is_drift;
    const char *doc;
};

const struct verdict_row *verdict_row(enum verdict verdict);

/* `live` NULL = there is none. */
enum verdict resource_judge(const json_t *row, const json_t *live);

/*
 * What has to be applied: the row's object, with uid and resourceVersion of `live`; without a live
 * one KUBE_VERSION_ABSENT, so that the apply can only create.
 */
json_t *resource_desired(struct ctx *ctx, const json_t *row, const json_t *live);

/* Members of live's spec that the row does not have, as a merge patch that removes them, fenced by
 * what was read; NULL = there are none. An apply cannot remove what we do not own. */
json_t *resource_strays(struct ctx *ctx, const json_t *row, const json_t *live);

/* The operator says that it keeps a copy of the first admin password. */
bool resource_keeps_password(const json_t *object);

int64_t resource_revision(const json_t *object);
/* Value of its id label, or NULL when it is no fleet's resource. */
const char *resource_id(const json_t *object);
/* Is this namespace the one that the row's resource lives in: its own, or its tenant's? */
bool resource_owns_fence(const json_t *row, const json_t *fence);
