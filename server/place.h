/* What `flotillad do place` consists of: words, objects, text. */
#pragma once

#include "reconcilers/pipeline/preview.h"

enum { PLACE_FILES_MAX = 32 };

struct place_words {
    const char *files[PLACE_FILES_MAX];
    int file_count;
    const char *namespace, *kubeconfig, *output, *explain, *graph, *dry_run;
    const char *name; /* of a Pipeline; NULL = all */
};

/* Files as arrays of objects, Lists taken apart; "-" is standard input. */
int place_read(struct ctx *ctx, const char *file, json_t **ret);
/* The cell's, into the preview. */
int place_list(struct ctx *ctx, const char *kubeconfig, struct preview *preview);
/* Without control characters, which a terminal obeys. */
const char *place_plain(struct ctx *ctx, const char *text);
/* For people: the pipelines of a preview stage by stage, and the classes that they need. */
void place_print(struct ctx *ctx, const json_t *told);
