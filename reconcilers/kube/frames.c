/* The frame splitter: one pass over each byte, a copy only of objects that span pieces. */
#include "reconcilers/kube/frames.h"

#include <string.h>

void frames_init(struct frames *frames)
{
    *frames = (struct frames){0};
    str_init(&frames->tail, FRAME_MAX_BYTES);
}

void frames_done(struct frames *frames)
{
    str_done(&frames->tail);
}

void frames_clear(struct frames *frames)
{
    frames_done(frames); /* gives a large tail back */
    frames_init(frames);
}

/* Follows one byte; true when it ends an object. */
static bool step(struct frames *frames, char c)
{
    if (frames->in_string) {
        if (frames->escaped)
            frames->escaped = false;
        else if (c == '\\')
            frames->escaped = true;
        else if (c == '"')
            frames->in_string = false;
        return false;
    }
    if (c == '"')
        frames->in_string = true;
    else if (c == '{' || c == '[')
        frames->depth++;
    else if (c == '}' || c == ']')
        return --frames->depth == 0;
    return false;
}

/* Of an object that is too large only the length is kept. */
static void keep(struct frames *frames, const char *bytes, size_t count)
{
    frames->bytes += count;
    if (frames->bytes <= FRAME_MAX_BYTES)
        str_add_bytes(&frames->tail, bytes, count);
    else
        str_done(&frames->tail);
}

static bool deliver(struct frames *frames, const char *bytes, size_t count, frame_sink sink,
                    void *arg)
{
    if (frames->bytes) {
        keep(frames, bytes, count);
        bytes = frames->tail.data;
        count = frames->bytes;
    }
    bool more = sink(arg, count <= FRAME_MAX_BYTES ? bytes : NULL, count);
    str_clear(&frames->tail);
    frames->bytes = 0;
    return more;
}

bool frames_feed(struct frames *frames, const char *bytes, size_t count, frame_sink sink, void *arg)
{
    size_t begin = 0;
    for (size_t at = 0; at < count; at++) {
        if (frames->depth == 0) { /* between objects */
            begin = at;
            if (bytes[at] != '{') {
                if (!strchr(" \t\r\n", bytes[at]) || !bytes[at])
                    return false;
                continue;
            }
        }
        if (!step(frames, bytes[at]))
            continue;
        if (!deliver(frames, bytes + begin, at + 1 - begin, sink, arg))
            return false;
    }
    if (frames->depth > 0)
        keep(frames, bytes + begin, count - begin);
    return true;
}
