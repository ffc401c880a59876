/* What the files of the bundle share: see bundle.h. */
#pragma once

#include "reconcilers/engine/bundle.h"

enum { BUNDLE_ROWS_MAX = 64, BUNDLE_AFTER_MAX = 16, TEMPLATE_TEXT_MAX_BYTES = 256 << 10 };

struct bundle_row {
    const char *id;
    const char *file; /* relative to the folder; for messages */
    const char *when; /* fact, or NULL */
    const char *ready;
    const char *disruption;
    const char *after[BUNDLE_AFTER_MAX + 1];
    const char *config[BUNDLE_AFTER_MAX + 1]; /* each is in `after`, too */
    enum kube_kind kind;
    const json_t *object; /* the template */
};

struct bundle {
    struct arena *arena;          /* owns everything, as long as the process needs it */
    const char *folder, *variant; /* variant: folder of differences, or NULL */
    int count;
    struct bundle_row rows[BUNDLE_ROWS_MAX]; /* in apply order */
};

/* Refuses what can be seen before any facts are known: malformed `${`, facts in keys. */
int template_check(struct ctx *ctx, const char *file, const json_t *object);
/* Lays a JSON merge patch (RFC 7386) over a map, in place. */
void template_merge(json_t *into, const json_t *patch);
/* A boolean fact. */
int template_fact(struct ctx *ctx, const char *file, const json_t *facts, const char *fact,
                  bool *ret);
/* *ret is NULL when a `$when` at the top is false; owned by ctx->arena. */
int template_render(struct ctx *ctx, const char *file, const json_t *object, const json_t *facts,
                    json_t **ret);
