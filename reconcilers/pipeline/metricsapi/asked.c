#include "reconcilers/pipeline/metricsapi/asked.h"

#include "server/base/arena.h"
#include "server/base/str.h"

#include <stddef.h>
#include <string.h>

enum { SEGMENTS_MAX = 8 };

const char *const metrics_versions[METRICS_VERSIONS] = {METRICS_VERSION_2, METRICS_VERSION_1};

/* The segments of "/a/b/c"; 0 when one is empty, or there are too many. */
static size_t split(struct arena *arena, const char *path, const char *segments[SEGMENTS_MAX])
{
    size_t count = 0;
    while (*path) {
        size_t bytes = *path == '/' ? strcspn(path + 1, "/") : 0;
        if (!bytes || count == SEGMENTS_MAX)
            return 0;
        segments[count++] = arena_strndup(arena, path + 1, bytes);
        path += 1 + bytes;
    }
    return count;
}

static const char *version_of(const char *text)
{
    for (size_t at = 0; at < METRICS_VERSIONS; at++)
        if (str_equal(metrics_versions[at], text))
            return metrics_versions[at];
    return NULL;
}

struct asked asked_read(struct arena *arena, const char *path)
{
    const struct asked nothing = {.what = ASKED_NOTHING};
    const char *segments[SEGMENTS_MAX] = {NULL};
    size_t count = split(arena, path, segments);
    if (count < 1 || !str_equal(segments[0], "apis"))
        return nothing;
    if (count == 1)
        return (struct asked){.what = ASKED_GROUPS};
    if (!str_equal(segments[1], METRICS_GROUP))
        return nothing;
    if (count == 2)
        return (struct asked){.what = ASKED_GROUP};
    struct asked asked = {.version = version_of(segments[2])};
    if (!asked.version)
        return nothing;
    if (count == 3) {
        asked.what = ASKED_VERSION;
        return asked;
    }
    /* A namespace's own metric (namespaces/N/metrics/M) and one of cluster-scoped objects are
     * shorter: there is none. */
    if (count != SEGMENTS_MAX || !str_equal(segments[3], "namespaces"))
        return nothing;
    asked.what = ASKED_METRIC;
    asked.namespace = segments[4];
    asked.resource = segments[5];
    asked.name = segments[6];
    asked.metric = segments[7];
    return asked;
}
