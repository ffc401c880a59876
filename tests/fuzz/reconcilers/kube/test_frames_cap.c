/*
 * Watch frames beyond the cap, which is so low here that inputs reach it: the same objects however
 * the stream was cut, of those that are too large the length only, and what comes after them.
 */
#include "reconcilers/kube/frames.h"

/* The splitter's source again: its library's has the cap of production. */
#define FRAME_MAX_BYTES 24
#include "reconcilers/kube/frames.c"
#include "tests/fuzz/reconcilers/kube/frames_cut.h"

static bool collect(void *arg, const char *text, size_t bytes)
{
    MUST((bytes <= FRAME_MAX_BYTES) == (text != NULL));
    str_printf(arg, "%zu ", bytes);
    if (text)
        str_add_bytes(arg, text, bytes);
    return true;
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    (void)ctx;
    must_not_mind_cuts(text, bytes, collect, 8, 33);
}
