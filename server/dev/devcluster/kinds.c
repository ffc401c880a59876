#include "server/dev/devcluster/kinds.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/shape.h"
#include "server/dev/devcluster/store.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *group, *version, *plural, *singular, *name, *short_names, *categories, *flags;
} builtin[] = {
#define KIND(...) {__VA_ARGS__},
#include "server/dev/devcluster/kinds.def"
#undef KIND
};

static const struct {
    char letter;
    unsigned flag;
} letters[] = {{'N', NAMESPACED}, {'S', STATUS}, {'C', SCALE}, {'G', GENERATION}, {'R', RETURNED}};

static unsigned flags_of(const char *text)
{
    unsigned flags = 0;
    for (size_t at = 0; at < ARRAY_SIZE(letters); at++)
        if (strchr(text, letters[at].letter))
            flags |= letters[at].flag;
    return flags;
}

/* Last in the order of discovery. */
static struct kind *add(struct devcluster *cluster, struct kind row)
{
    struct kind *kind = arena_alloc(cluster->arena, sizeof *kind), **end = &cluster->kinds;
    *kind = row;
    kind->home = kind;
    kind->served = true;
    clock_cond_init(&kind->news);
    kind->api_version =
        *row.group ? arena_printf(cluster->arena, "%s/%s", row.group, row.version) : row.version;
    while (*end)
        end = &(*end)->next;
    *end = kind;
    return kind;
}

void kinds_init(struct devcluster *cluster)
{
    cluster->owners = json_object();
    for (size_t at = 0; at < ARRAY_SIZE(builtin); at++)
        add(cluster, (struct kind){.group = builtin[at].group,
                                   .version = builtin[at].version,
                                   .plural = builtin[at].plural,
                                   .singular = builtin[at].singular,
                                   .name = builtin[at].name,
                                   .short_names = builtin[at].short_names,
                                   .categories = builtin[at].categories,
                                   .flags = flags_of(builtin[at].flags)});
    kinds_find(cluster, "", "v1", "events")->home =
        kinds_find(cluster, "events.k8s.io", "v1", "events");
}

void kinds_done(struct devcluster *cluster)
{
    for (struct kind *kind = cluster->kinds; kind; kind = kind->next) {
        store_done(kind);
        pthread_cond_destroy(&kind->news);
        json_decref(kind->definition);
    }
    json_decref(cluster->owners);
}

struct kind *kinds_find(const struct devcluster *cluster, const char *group, const char *version,
                        const char *plural)
{
    for (struct kind *kind = cluster->kinds; kind; kind = kind->next)
        if (kind->served && str_equal(kind->group, group) && str_equal(kind->plural, plural) &&
            (!version || str_equal(kind->version, version)))
            return kind;
    return NULL;
}

bool kinds_has_group(const struct devcluster *cluster, const char *group)
{
    for (const struct kind *kind = cluster->kinds; kind; kind = kind->next)
        if (kind->served && str_equal(kind->group, group))
            return true;
    return false;
}

struct kind *kinds_named(const struct devcluster *cluster, const char *api_version,
                         const char *name)
{
    for (struct kind *kind = cluster->kinds; kind; kind = kind->next)
        if (kind->served && str_equal(kind->api_version, api_version) &&
            str_equal(kind->name, name))
            return kind;
    return NULL;
}

/* ---- CustomResourceDefinitions ---- */

static json_t *served_version(const json_t *definition)
{
    size_t at;
    json_t *version;
    json_array_foreach(json_at(definition, "spec.versions"), at, version)
        if (json_bool_or(version, "served", false) && json_bool_or(version, "storage", false))
            return version;
    return NULL;
}

void kinds_define(struct devcluster *cluster, const json_t *definition)
{
    struct arena *arena = cluster->arena;
    const json_t *spec = json_object_get(definition, "spec");
    json_t *version = served_version(definition);
    const char *group = json_str_or(spec, "group", "");
    struct kind *kind = kinds_find(cluster, group, NULL, json_str_or(spec, "names.plural", ""));
    if (!version || (kind && json_equal(kind->definition, version)))
        return;
    if (!kind)
        kind =
            add(cluster, (struct kind){.group = arena_strdup(arena, group),
                                       .version = arena_strdup(arena, json_str(version, "name"))});
    kind->plural = arena_strdup(arena, json_str_or(spec, "names.plural", ""));
    kind->singular = arena_strdup(arena, json_str_or(spec, "names.singular", ""));
    kind->name = arena_strdup(arena, json_str_or(spec, "names.kind", ""));
    kind->short_names = shape_words(arena, json_at(spec, "names.shortNames"));
    kind->categories = shape_words(arena, json_at(spec, "names.categories"));
    kind->flags = CUSTOM | GENERATION |
                  (str_equal(json_str(spec, "scope"), "Namespaced") ? NAMESPACED : 0) |
                  (json_at(version, "subresources.status") ? STATUS : 0) |
                  (json_at(version, "subresources.scale") ? SCALE : 0);
    json_decref(kind->definition);
    kind->definition = json_incref(version);
}

void kinds_undefine(struct devcluster *cluster, const json_t *definition)
{
    struct kind *kind = kinds_find(cluster, json_str(definition, "spec.group"), NULL,
                                   json_str(definition, "spec.names.plural"));
    if (!kind)
        return;
    kind->served = false;
    store_done(kind);
}

const json_t *kind_schema(const struct kind *kind)
{
    return json_at(kind->definition, "schema.openAPIV3Schema");
}
