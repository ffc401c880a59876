/*
 * preview: what the placement decides about the pipelines of one namespace, by the controller's own
 * look and decision, told in the statuses that it would write. Pure; nothing is written.
 */
#pragma once

#include "reconcilers/kube/kube.h"

#include <stdint.h>

/* What a decision looks at. */
enum { PREVIEW_KINDS = 5 };
struct preview_kind {
    enum kube_kind kind;
    const char *label; /* only those that carry it; NULL = all */
    const char *crd;   /* its embedded path; NULL = not ours */
};
extern const struct preview_kind preview_kinds[PREVIEW_KINDS];

struct preview {
    const char *namespace;
    int64_t now_s;
    json_t *lists[PREVIEW_KINDS]; /* arrays of objects, in the order of preview_kinds */
    json_t *schemas[PREVIEW_KINDS];
};

int preview_begin(struct ctx *ctx, const char *namespace, int64_t now_s, struct preview *ret);

/*
 * An object as somebody would apply it: it stands in for the one of its kind and name that is
 * there, and is that one with another spec; else it is new. *ret_used false: a decision does not
 * look at it. -ERR_INVALID names the field and what is wrong with it, as a kind of ours whose
 * apiVersion is another.
 */
int preview_apply(struct ctx *ctx, struct preview *preview, const json_t *object, bool *ret_used);

/* By its name, borrowed; NULL when there is none. */
const json_t *preview_pipeline(const struct preview *preview, const char *name);

/*
 * {"namespace", "changes": does the ledger change, "refused": why it is not believed,
 *  "pipelines": [{"name", "was": phase before, "status"}],
 *  "classes": [{"name", "mode", "policy", "capacity", "maxReplicas", "status"}]}
 */
int preview_make(struct ctx *ctx, const struct preview *preview, json_t **ret);

/* ---- of what was told (preview_told.c) ---- */

/* By its name, or with NULL the only one. -ERR_NOT_FOUND names those that there are. */
int preview_told(struct ctx *ctx, const json_t *told, const char *name, const json_t **ret);
/* Nothing is left of it but one pipeline, and the classes of its stages; "placed" says of the one
 * what preview_placed() says of all. */
int preview_narrow(struct ctx *ctx, json_t *told, const char *name);
/* Every stage of every pipeline has all that it asks for. */
bool preview_placed(const json_t *told);
