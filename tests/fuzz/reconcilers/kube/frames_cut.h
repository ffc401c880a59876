/* What both targets of the splitter ask: that it finds the same however the stream was cut. */
#pragma once

#include "tests/fuzz/fuzz.h"

#include "server/base/str.h"

enum { FOUND_MAX_BYTES = 1 << 20 };

/* Pieces of `piece` bytes. */
static bool feed(const char *text, size_t bytes, size_t piece, frame_sink collect, struct str *ret)
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

/* Cut into pieces of 1 byte, 1 + step, and so on up to `most`; `collect` writes into a struct str.
 */
static void must_not_mind_cuts(const char *text, size_t bytes, frame_sink collect, size_t step,
                               size_t most)
{
    _cleanup_str_ struct str whole, cut;
    str_init(&whole, FOUND_MAX_BYTES);
    str_init(&cut, FOUND_MAX_BYTES);
    bool fine = feed(text, bytes, bytes + 1, collect, &whole);
    for (size_t piece = 1; piece <= most; piece += step) {
        str_clear(&cut);
        MUST(feed(text, bytes, piece, collect, &cut) == fine);
        MUST(str_equal(str_text(&cut), str_text(&whole)));
    }
}
