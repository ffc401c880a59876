/*
 * A bundle: a stack of objects as data. <folder>/bundle.yaml lists rows
 *   {id, file, when, after: [ids], config: [ids], ready, disruption}
 * and each file is one real YAML object. Files are parsed first and substituted in the tree, so
 * text of a tenant can never become structure. In a file:
 *   ${fact.path}   a scalar that is only this takes the fact's JSON type; in a longer string it
 *                  becomes text
 *   ${fact.path?}  only as a whole scalar: a fact that is missing drops the member or item
 *   $when: fact    as a member drops the map (or list item) that holds it unless the fact is true
 *   $json: value   as the only member makes the map the value's JSON text, which readers of YAML
 *                  take as well: a program's configuration is a tree, too
 * No loops, no expressions: if that is not enough, compute a fact.
 *
 * A version is a folder of differences: bundle_load(folder, "2.14") lays each file of
 * <folder>/2.14/ over the one of the same name, as a JSON merge patch (RFC 7386: null removes).
 *
 * `config` names rows whose data the pods of this row read when they start: a digest of it goes
 * into the pod template, so that a change rolls the pods. It implies `after`. A Job cannot be
 * changed: a digest of it ends its name, so that a changed Job is another one.
 */
#pragma once

#include "reconcilers/kube/kube.h"

#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct pass;
struct bundle;

/* From embedded files; checks rows (unknown keys, unknown ids, cycles) and every object. */
/* variant: NULL, or the folder of differences; one without files differs in nothing. */
int bundle_load(struct ctx *ctx, const char *folder, const char *variant, struct bundle **ret);
void bundle_free(struct bundle *bundle);

struct bundle_object {
    const char *id;
    enum kube_kind kind;
    json_t *desired;   /* rendered, with common metadata and desired-hash; NULL = when: is false */
    const char *ready; /* "kstatus" or "exists" */
    const char *disruption;
    const char *const *after; /* ids, NULL-terminated */
};

struct bundle_plan {
    int count;
    struct bundle_object *objects; /* in apply order; in ctx->arena */
    uint64_t hash;                 /* over everything desired */
};

/* Pure. A fact that a template names and that is missing is -ERR_INTERNAL naming file and fact. */
int bundle_render(struct ctx *ctx, const struct bundle *bundle, const json_t *facts,
                  struct bundle_plan *ret);

/* What came of it; messages in ctx->arena. */
struct bundle_result {
    int total, current, applied, pruned, waiting;
    bool ready;          /* all rows current and nothing left to prune */
    bool failed;         /* some row failed */
    const char *message; /* the first row that is not current, and why; "" when ready */
};

/*
 * Brings the live objects (from the pass's caches) to the plan: rows whose `after` rows are ready
 * are applied if desired and live differ, and those that ask for no replicas at once; objects of
 * ours with this root that the plan does not want are deleted (prune; of the kinds that the
 * reconciler's sources map by owner), but a Job that still runs is waited for, but for one with
 * ANNOTATION_MAY_END. Children get namespace, ownerReference to the root, labels LABEL_ROOT and
 * LABEL_MANAGED_BY. Sends nothing when nothing differs.
 */
int bundle_apply(struct ctx *ctx, struct pass *pass, const struct bundle_plan *plan,
                 struct bundle_result *ret);

/* True when live lacks something of desired, or carries another desired-hash: then we apply. */
bool bundle_differs(const json_t *desired, const json_t *live);
