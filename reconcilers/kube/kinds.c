/* The table of kinds, and the two maps of an object that a dotted path cannot reach into. */
#include "reconcilers/kube/kube.h"
#include "server/base/json.h"
#include "server/base/str.h"

static const struct kube_kind_row rows[KIND_MAX] = {
#define KIND(id, group, version, plural, kind, scope)                                              \
    [KIND_##id] = {group, version, plural, kind, sizeof(group) == 1 ? version : group "/" version, \
                   scope},
#include "reconcilers/kube/kinds.def"
#undef KIND
};

const struct kube_kind_row *kube_kind_row(enum kube_kind kind)
{
    return &rows[kind];
}

enum kube_kind kube_kind_of(const char *api_version, const char *kind)
{
    for (int at = 0; at < KIND_MAX; at++)
        if (str_equal(rows[at].kind, kind) && str_equal(rows[at].api_version, api_version))
            return (enum kube_kind)at;
    return KIND_MAX;
}

const char *kube_label(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(json_at(object, "metadata.labels"), key));
}

const char *kube_annotation(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(json_at(object, "metadata.annotations"), key));
}

json_t *kube_named(const json_t *list, const char *name, size_t *ret_at)
{
    size_t at;
    json_t *object;
    json_array_foreach(list, at, object) {
        if (!str_equal(json_str(object, "metadata.name"), name))
            continue;
        if (ret_at)
            *ret_at = at;
        return object;
    }
    return NULL;
}

bool kube_is_going(const json_t *object)
{
    return json_at(object, "metadata.deletionTimestamp") != NULL;
}

const json_t *kube_controller(const json_t *object)
{
    size_t at;
    json_t *owner;
    json_array_foreach(json_at(object, "metadata.ownerReferences"), at, owner)
        if (json_bool_or(owner, "controller", false))
            return owner;
    return NULL;
}

bool kube_is_controlled_by(const json_t *object, const char *uid)
{
    return str_equal(json_str(kube_controller(object), "uid"), uid);
}
