#include "server/dev/faults/cut.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 << 10 };

static ssize_t read_half(void *text, uint64_t position, char *out, size_t bytes)
{
    size_t half = strlen(text) / 2;
    if (position >= half)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t count = half - (size_t)position < bytes ? half - (size_t)position : bytes;
    memcpy(out, (const char *)text + position, count);
    return (ssize_t)count;
}

struct MHD_Response *cut_response(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return MHD_create_response_from_callback(strlen(copy), BLOCK_BYTES, read_half, copy, free);
}
