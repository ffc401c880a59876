/* Watch frames: the same objects however the stream was cut. */
#include "reconcilers/kube/frames.h"
#include "tests/fuzz/reconcilers/kube/frames_cut.h"

static bool collect(void *arg, const char *text, size_t bytes)
{
    if (text)
        str_add_bytes(arg, text, bytes);
    str_add(arg, "\n");
    return true;
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    (void)ctx;
    must_not_mind_cuts(text, bytes, collect, 2, 7);
}
