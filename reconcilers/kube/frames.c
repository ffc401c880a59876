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

static bool deliver(struct frames *frames, const char *bytes, size_t count, frame_sink sink,
                    void *arg)
{
    if (!frames->tail.length)
        return count <= FRAME_MAX_BYTES && sink(arg, bytes, count);
    str_add_bytes(&frames->tail, bytes, count);
    bool more = !frames->tail.overflow && sink(arg, frames->tail.data, frames->tail.length);
    str_clear(&frames->tail);
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
        str_add_bytes(&frames->tail, bytes + begin, count - begin);
    return !frames->tail.overflow;
}
