/*
 * Cuts a byte stream into JSON objects, wherever its pieces were split. kube-apiserver sends one
 * event per line; braces and strings are followed all the same, so that no proxy can confuse us.
 * Internal to this room.
 */
#pragma once

#include "server/base/str.h"

/*
 * Larger than every object that an API server can have: etcd takes requests of 1.5 MiB, a byte of
 * text is at most six of JSON ("\u003c" for "<"), and an event has a few more around them. Anybody
 * who may write into the cluster makes such objects, so a cap below that stops the watch for all.
 */
enum { FRAME_MAX_BYTES = 16 << 20 };

struct frames {
    struct str tail; /* the beginning of an object whose end has not come */
    size_t bytes;    /* of that object so far; beyond the cap its text is not kept */
    int depth;
    bool in_string, escaped;
};

/* One whole object, valid during the call; text NULL: it was larger than the cap. False stops. */
typedef bool (*frame_sink)(void *arg, const char *text, size_t bytes);

void frames_init(struct frames *frames);
void frames_done(struct frames *frames);
/* Forgets the tail: a new stream begins. */
void frames_clear(struct frames *frames);

/* False when the sink stopped, or on bytes that are no sequence of objects. */
bool frames_feed(struct frames *frames, const char *bytes, size_t count, frame_sink sink,
                 void *arg);
