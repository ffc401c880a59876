/* What `flotillad do place` consists of: words, objects, text; and the same asked by the fleet. */
#pragma once

#include "reconcilers/pipeline/preview.h"

enum { PLACE_FILES_MAX = 32 };
/* What is read of a cell: by a person as much as of a file; by the fleet, who is asked by tenants,
 * about a namespace that is full (docs/operations.md). A tree takes up to 30 times its text. */
enum { PLACE_CELL_BYTES = 32 << 20, PLACE_ASK_BYTES = 12 << 20 };

struct place_words {
    const char *files[PLACE_FILES_MAX];
    int file_count;
    const char *namespace, *kubeconfig, *output, *explain, *graph, *dry_run;
    const char *name; /* of a Pipeline; NULL = all */
};

/* A preview of the cell's objects and the files', Lists taken apart; standard error is told what is
 * left out. */
int place_gather(struct ctx *ctx, const struct place_words *given, struct preview *ret);
/* What there is in the preview's namespace of the cell, of max_bytes at most: -ERR_TOO_LARGE
 * NamespaceTooLarge. */
int place_list(struct ctx *ctx, enum call call, struct kube *kube, size_t max_bytes,
               struct preview *preview);
/* Without control characters, which a terminal obeys. */
const char *place_plain(struct ctx *ctx, const char *text);
/* For people: the pipelines of a preview stage by stage, and the classes that they need. */
void place_print(struct ctx *ctx, const json_t *told);

/*
 * A fleet_preview (reconcilers/fleet/fleet.h): of one Pipeline that is not there yet what
 * preview_make() tells, {"placed": wholly, "changes", "refused", "pipelines": [the one], "classes":
 * [those of its stages, in numbers only]}. -ERR_TAKEN NameTakenInCell when the cell has one of that
 * name.
 */
int place_ask(struct ctx *ctx, struct kube *kube, const json_t *object, json_t **ret);
