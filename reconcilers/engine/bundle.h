/*
 * A bundle: a stack of objects as data. <folder>/bundle.yaml lists rows
 *   {id, file, when, after: [ids], ready, disruption}
 * and each file is one real YAML object with ${fact.path} in scalars. Files are parsed first and
 * substituted in the tree, so text of a tenant can never become structure. A scalar that is only
 * "${x}" takes the fact's JSON type; inside a longer string facts become text. `$when: fact` as a
 * member drops the map (or list item) that holds it unless the fact is true. No loops, no
 * expressions: if that is not enough, compute a fact.
 */
#pragma once

#include "reconcilers/kube/kube.h"

#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct pass;
struct bundle;

/* From embedded files; checks rows (unknown keys, unknown ids, cycles) and every object. */
int bundle_load(struct ctx *ctx, const char *folder, struct bundle **ret);
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
 * are applied if desired and live differ; objects of ours with this root that the plan does not
 * want are deleted (prune). Children get namespace, ownerReference to the root, labels
 * LABEL_ROOT and LABEL_MANAGED_BY. Sends nothing when nothing differs.
 */
int bundle_apply(struct ctx *ctx, struct pass *pass, const struct bundle_plan *plan,
                 struct bundle_result *ret);

/* True when live lacks something of desired, or carries another desired-hash: then we apply. */
bool bundle_differs(const json_t *desired, const json_t *live);
