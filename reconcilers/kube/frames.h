/*
 * Cuts a byte stream into JSON objects, wherever its pieces were split. kube-apiserver sends one
 * event per line; braces and strings are followed all the same, so that no proxy can confuse us.
 * Internal to this room.
 */
#pragma once

#include "server/base/str.h"

enum { FRAME_MAX_BYTES = 4 << 20 };

struct frames {
    struct str tail; /* the beginning of an object whose end has not come */
    int depth;
    bool in_string, escaped;
};

/* One whole object, valid during the call. False stops. */
typedef bool (*frame_sink)(void *arg, const char *text, size_t bytes);

void frames_init(struct frames *frames);
void frames_done(struct frames *frames);
/* Forgets the tail: a new stream begins. */
void frames_clear(struct frames *frames);

/* False when the sink stopped, or on bytes that are no sequence of objects, or beyond the cap. */
bool frames_feed(struct frames *frames, const char *bytes, size_t count, frame_sink sink,
                 void *arg);
