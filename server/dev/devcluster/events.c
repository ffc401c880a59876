#include "server/dev/devcluster/events.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"

/* Which field of the one is which of the other; what is not here is called the same. */
static const struct {
    const char *stored, *core;
} names[] = {
    {"regarding", "involvedObject"},
    {"note", "message"},
    {"reportingController", "reportingComponent"},
    {"deprecatedSource", "source"},
    {"deprecatedFirstTimestamp", "firstTimestamp"},
    {"deprecatedLastTimestamp", "lastTimestamp"},
    {"deprecatedCount", "count"},
};

static void rename_field(json_t *object, const char *from, const char *to)
{
    json_t *value = json_incref(json_object_get(object, from));
    json_object_del(object, from);
    if (value)
        json_object_set_new(object, to, value);
}

json_t *events_view(const json_t *event, bool core)
{
    json_t *view = json_copy((json_t *)(uintptr_t)event);
    for (size_t at = 0; at < ARRAY_SIZE(names); at++)
        rename_field(view, core ? names[at].stored : names[at].core,
                     core ? names[at].core : names[at].stored);
    json_object_set_new(view, "apiVersion", json_string(core ? "v1" : "events.k8s.io/v1"));
    return view;
}
