/* Watch frames: the same objects however the stream was cut. */
#include "reconcilers/kube/frames.h"
#include "tests/fuzz/fuzz.h"

#include "server/base/str.h"

enum { FOUND_MAX_BYTES = 1 << 20 };

static bool collect(void *arg, const char *text, size_t bytes)
{
    str_add_bytes(arg, text, bytes);
    str_add(arg, "\n");
    return true;
}

/* Pieces of `piece` bytes. */
static bool feed(const char *text, size_t bytes, size_t piece, struct str *ret)
{
    struct frames frames;
    bool fine = true;
    frames_init(&frames);
    for (size_t at = 0; fine && at < bytes; at += piece)
        fine =
            frames_feed(&frames, text + at, bytes - at < piece ? bytes - at : piece, collect, ret);
    frames_done(&frames);
    return fine;
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    _cleanup_str_ struct str whole, cut;
    (void)ctx;
    str_init(&whole, FOUND_MAX_BYTES);
    str_init(&cut, FOUND_MAX_BYTES);
    bool fine = feed(text, bytes, bytes + 1, &whole);
    for (size_t piece = 1; piece <= 7; piece += 2) {
        str_clear(&cut);
        MUST(feed(text, bytes, piece, &cut) == fine);
        MUST(str_equal(str_text(&cut), str_text(&whole)));
    }
}
