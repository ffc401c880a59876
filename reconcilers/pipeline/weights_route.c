/* The HTTPRoute of a binding as it is live: whether it is ours, and what somebody added to it. */
#include "reconcilers/pipeline/scope.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

const json_t *weights_route_led(struct ctx *ctx, struct pass *pass)
{
    const json_t *live = pass_get(ctx, pass, KIND_HTTP_ROUTE, pass->key.namespace, pass->key.name);
    bool ours = live && pass_serves(pass, KIND_HTTP_ROUTE) &&
                kube_is_controlled_by(live, json_str(pass->root, "metadata.uid"));
    return ours ? live : NULL;
}

const json_t *weights_route(struct ctx *ctx, struct pass *pass)
{
    const json_t *live = weights_route_led(ctx, pass);
    return live && !kube_is_going(live) ? live : NULL;
}

/* What the server fills in where we say nothing, by the list in whose items it stands. */
static const struct {
    const char *list, *field, *value;
} defaults[] = {
    {"parentRefs", "group", "gateway.networking.k8s.io"},
    {"parentRefs", "kind", "Gateway"},
    {"backendRefs", "group", ""},
    {"backendRefs", "kind", "Service"},
};

static bool is_default(const char *list, const char *field, const json_t *value)
{
    for (size_t at = 0; at < ARRAY_SIZE(defaults); at++)
        if (str_equal(defaults[at].list, list) && str_equal(defaults[at].field, field) &&
            str_equal(defaults[at].value, json_string_value(value)))
            return true;
    return false;
}

static bool adds(const char *list, const json_t *desired, const json_t *live);

static bool item_adds(const char *list, const json_t *desired, const json_t *live)
{
    const char *field;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)live, field, value) {
        const json_t *wanted = json_object_get(desired, field);
        if (wanted ? adds(field, wanted, value) : !is_default(list, field, value))
            return true;
    }
    return false;
}

static bool adds(const char *list, const json_t *desired, const json_t *live)
{
    size_t at;
    json_t *item;
    if (json_is_object(live))
        return item_adds(list, desired, live);
    if (json_array_size(live) > json_array_size(desired))
        return true;
    json_array_foreach(live, at, item)
        if (adds(list, json_array_get(desired, at), item))
            return true;
    return false;
}

bool weights_added(const json_t *desired, const json_t *live)
{
    return item_adds("spec", json_object_get(desired, "spec"), json_object_get(live, "spec"));
}
