/*
 * Watch frames beyond the cap, which is so low here that inputs reach it: the same objects however
 * the stream was cut, of those that are too large the length only, and what comes after them.
 */
#include "reconcilers/kube/frames.h"
#include "tests/fuzz/fuzz.h"

/* The splitter's source again: its library's has the cap of production. */
#define FRAME_MAX_BYTES 24
#include "reconcilers/kube/frames.c"

enum { FOUND_MAX_BYTES = 1 << 20 };

static bool collect(void *arg, const char *text, size_t bytes)
{
    MUST((bytes <= FRAME_MAX_BYTES) == (text != NULL));
    str_printf(arg, "%zu ", bytes);
    if (text)
        str_add_bytes(arg, text, bytes);
    return true;
}

/* Pieces of `piece` bytes. */
static bool feed(const char *text, size_t bytes, size_t piece, struct str *ret)
{
    struct frames frames;
    bool fine = true;
    frames_init(&frames);
    for (size_t at = 0; fine && at < bytes; at += piece) {
        size_t count = bytes - at < piece ? bytes - at : piece;
        fine = frames_feed(&frames, text + at, count, collect, ret);
        MUST(frames.tail.length <= FRAME_MAX_BYTES);
    }
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
    for (size_t piece = 1; piece <= 33; piece += 8) {
        str_clear(&cut);
        MUST(feed(text, bytes, piece, &cut) == fine);
        MUST(str_equal(str_text(&cut), str_text(&whole)));
    }
}
