/*
 * Loading a bundle from embedded files: rows are checked once, at start, so that a mistake in YAML
 * stops the program and never a pass. Rows end up in apply order (a stable topological sort).
 */
#include "reconcilers/engine/bundle.h"

#include "reconcilers/engine/bundle_internal.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/embed.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"

#include <stdlib.h>
#include <string.h>

static const char *const row_keys[] = {"id",     "file",  "when",      "after",
                                       "config", "ready", "disruption"};
static const char *const ready_words[] = {"kstatus", "exists"};

static bool one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t at = 0; at < count; at++)
        if (str_equal(word, words[at]))
            return true;
    return false;
}

static int bad(struct ctx *ctx, const struct bundle *bundle, const char *file, const char *what,
               const char *which)
{
    return err_set(ctx, ERR_CONFIG, NULL, "%s/%s: %s '%s'", bundle->folder, file, what,
                   which ? which : "");
}

static int parse(struct ctx *ctx, const struct embed_file *file, json_t **ret)
{
    int rc = yaml_parse(ctx, file->data, file->bytes, ret);
    return rc < 0 ? err_wrap(ctx, rc, "%s", file->path) : 0;
}

static int read_yaml(struct ctx *ctx, const struct bundle *bundle, const char *file, json_t **ret)
{
    const char *path = arena_printf(ctx->arena, "%s/%s", bundle->folder, file);
    const struct embed_file *embedded = embed_find(path);
    if (!embedded)
        return bad(ctx, bundle, file, "there is no embedded file", path);
    return parse(ctx, embedded, ret);
}

void template_merge(json_t *into, const json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)patch, key, value) {
        if (json_is_null(value)) {
            json_object_del(into, key);
        } else if (!json_is_object(value)) {
            json_object_set(into, key, value);
        } else {
            if (!json_is_object(json_object_get(into, key)))
                json_object_set_new(into, key, json_object());
            template_merge(json_object_get(into, key), value);
        }
    }
}

/* A file of the base, and what the variant says about it. */
static int read_template(struct ctx *ctx, const struct bundle *bundle, const char *file,
                         json_t **ret)
{
    json_t *patch = NULL;
    TRY(read_yaml(ctx, bundle, file, ret));
    if (!bundle->variant)
        return 0;
    const char *path = arena_printf(ctx->arena, "%s/%s/%s", bundle->folder, bundle->variant, file);
    const struct embed_file *difference = embed_find(path);
    if (!difference)
        return 0;
    TRY(parse(ctx, difference, &patch));
    if (!json_is_object(*ret) || !json_is_object(patch))
        return bad(ctx, bundle, file, "only maps have differences", bundle->variant);
    template_merge(*ret, patch);
    return 0;
}

static int check_object(struct ctx *ctx, const struct bundle *bundle, struct bundle_row *row)
{
    const char *kind = json_str(row->object, "kind");
    row->kind = kube_kind_of(json_str_or(row->object, "apiVersion", ""), kind ? kind : "");
    if (row->kind == KIND_MAX)
        return bad(ctx, bundle, row->file, "unknown apiVersion or kind", kind);
    if (kube_kind_row(row->kind)->scope != NAMESPACED)
        return bad(ctx, bundle, row->file, "a cluster-scoped object has no owner", kind);
    if (!json_str(row->object, "metadata.name"))
        return bad(ctx, bundle, row->file, "metadata.name is missing", NULL);
    if (json_at(row->object, "metadata.namespace"))
        return bad(ctx, bundle, row->file, "metadata.namespace is the root's", NULL);
    return template_check(ctx, row->file, row->object);
}

/* Appends the ids of a list to `ids`, which ends with NULL. */
static int read_ids(struct ctx *ctx, const struct bundle *bundle, const json_t *list,
                    const char *row, const char **ids)
{
    int count = 0;
    size_t index;
    json_t *id;
    while (ids[count])
        count++;
    json_array_foreach(list, index, id) {
        if (count == BUNDLE_AFTER_MAX)
            return bad(ctx, bundle, "bundle.yaml", "too many ids in row", row);
        ids[count] = json_string_value(id);
        if (!ids[count++])
            return bad(ctx, bundle, "bundle.yaml", "what is no id stands in row", row);
    }
    return 0;
}

static int read_row(struct ctx *ctx, const struct bundle *bundle, const json_t *yaml,
                    struct bundle_row *row)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)yaml, key, value)
        if (!one_of(key, row_keys, ARRAY_SIZE(row_keys)))
            return bad(ctx, bundle, "bundle.yaml", "unknown key", key);
    row->id = json_str(yaml, "id");
    row->file = json_str(yaml, "file");
    row->when = json_str(yaml, "when");
    row->ready = json_str_or(yaml, "ready", "kstatus");
    row->disruption = json_str_or(yaml, "disruption", "");
    if (!row->id || !row->file)
        return bad(ctx, bundle, "bundle.yaml", "a row without id or file", row->id);
    if (!one_of(row->ready, ready_words, ARRAY_SIZE(ready_words)))
        return bad(ctx, bundle, "bundle.yaml", "unknown ready:", row->ready);
    json_t *object = NULL;
    TRY(read_ids(ctx, bundle, json_at(yaml, "after"), row->id, row->after));
    TRY(read_ids(ctx, bundle, json_at(yaml, "config"), row->id, row->config));
    TRY(read_ids(ctx, bundle, json_at(yaml, "config"), row->id, row->after));
    TRY(read_template(ctx, bundle, row->file, &object));
    row->object = object;
    return check_object(ctx, bundle, row);
}

static int find_row(const struct bundle_row *rows, int count, const char *id)
{
    for (int at = 0; at < count; at++)
        if (str_equal(rows[at].id, id))
            return at;
    return -1;
}

static int check_ids(struct ctx *ctx, const struct bundle *bundle, const struct bundle_row *rows,
                     int count)
{
    for (int at = 0; at < count; at++) {
        if (find_row(rows, count, rows[at].id) != at)
            return bad(ctx, bundle, "bundle.yaml", "two rows have the id", rows[at].id);
        for (int after = 0; rows[at].after[after]; after++)
            if (find_row(rows, count, rows[at].after[after]) < 0)
                return bad(ctx, bundle, "bundle.yaml", "after: names no row",
                           rows[at].after[after]);
    }
    return 0;
}

static bool may_follow(const struct bundle *bundle, const struct bundle_row *row)
{
    for (int after = 0; row->after[after]; after++)
        if (find_row(bundle->rows, bundle->count, row->after[after]) < 0)
            return false;
    return true;
}

/* Each turn moves the first row whose predecessors are all placed; no such row = a cycle. */
static int sort_rows(struct ctx *ctx, struct bundle *bundle, const struct bundle_row *rows,
                     int count)
{
    bool placed[BUNDLE_ROWS_MAX] = {false};
    while (bundle->count < count) {
        int next = 0;
        while (next < count && (placed[next] || !may_follow(bundle, &rows[next])))
            next++;
        if (next == count)
            return bad(ctx, bundle, "bundle.yaml", "after: goes round in a cycle", NULL);
        placed[next] = true;
        bundle->rows[bundle->count++] = rows[next];
    }
    return 0;
}

/* A difference to nothing would be silently without effect. */
static int check_variant(struct ctx *ctx, const struct bundle *bundle)
{
    const struct embed_file *first;
    const char *prefix = arena_printf(ctx->arena, "%s/%s/", bundle->folder, bundle->variant);
    size_t count = bundle->variant ? embed_list(prefix, &first) : 0;
    for (size_t at = 0; at < count; at++) {
        const char *file = first[at].path + strlen(prefix);
        bool known = false;
        for (int row = 0; row < bundle->count; row++)
            known |= str_equal(bundle->rows[row].file, file);
        if (!known)
            return bad(ctx, bundle, bundle->variant, "it differs from no row's file:", file);
    }
    return 0;
}

static int load(struct ctx *ctx, struct bundle *bundle)
{
    json_t *yaml = NULL, *row;
    size_t index;
    TRY(read_yaml(ctx, bundle, "bundle.yaml", &yaml));
    size_t count = json_array_size(yaml);
    if (count == 0 || count > BUNDLE_ROWS_MAX)
        return bad(ctx, bundle, "bundle.yaml", "it must be a list of 1 to 64 rows", NULL);
    struct bundle_row *rows = arena_alloc(bundle->arena, count * sizeof *rows);
    json_array_foreach(yaml, index, row)
        TRY(read_row(ctx, bundle, row, &rows[index]));
    TRY(check_ids(ctx, bundle, rows, (int)count));
    TRY(sort_rows(ctx, bundle, rows, (int)count));
    return check_variant(ctx, bundle);
}

int bundle_load(struct ctx *ctx, const char *folder, const char *variant, struct bundle **ret)
{
    struct arena *arena = arena_new();
    struct bundle *bundle = arena_alloc(arena, sizeof *bundle);
    bundle->arena = arena;
    bundle->folder = arena_strdup(arena, folder);
    bundle->variant = variant ? arena_strdup(arena, variant) : NULL;
    struct ctx own = ctx_make(arena, ctx->actor); /* what is parsed lives as long as the bundle */
    int rc = load(&own, bundle);
    if (rc < 0) {
        ctx->err = own.err;
        arena_free(arena);
        return rc;
    }
    *ret = bundle;
    return 0;
}

void bundle_free(struct bundle *bundle)
{
    if (bundle)
        arena_free(bundle->arena);
}

/* ---- comparing ---- */

static bool value_differs(const json_t *desired, const json_t *live);

/* What the server drops because it is empty. */
static bool is_empty(const json_t *value)
{
    return json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static bool map_differs(const json_t *desired, const json_t *live)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)desired, key, value)
        if (value_differs(value, json_object_get(live, key)))
            return true;
    return false;
}

static bool is_key(const json_t *list, const char *key)
{
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item) {
        const char *value = json_str(item, key);
        if (!value || json_find(list, "", key, value) != item)
            return false;
    }
    return json_array_size(list) > 0;
}

/* The field that all items have, each another value; NULL = their order counts. */
static const char *key_of(const json_t *list)
{
    static const char *const keys[] = {
        "name", "mountPath" /* one volume may be mounted twice, under one name */
    };
    for (size_t at = 0; at < ARRAY_SIZE(keys); at++)
        if (is_key(list, keys[at]))
            return keys[at];
    return NULL;
}

/* Items with a key may stand among others that somebody else added; the rest is ordered and
 * complete. */
static bool list_differs(const json_t *desired, const json_t *live)
{
    size_t index;
    json_t *item;
    const char *key = key_of(desired);
    if (!key && json_array_size(desired) != json_array_size(live))
        return true;
    json_array_foreach(desired, index, item) {
        const json_t *other =
            key ? json_find(live, "", key, json_str(item, key)) : json_array_get(live, index);
        if (value_differs(item, other))
            return true;
    }
    return false;
}

static bool number_differs(const json_t *desired, const json_t *live)
{
    return json_number_value(desired) < json_number_value(live) ||
           json_number_value(desired) > json_number_value(live);
}

/* A quantity that was given as a number is kept as text. */
static bool quantity_differs(const json_t *desired, const json_t *live)
{
    char text[24];
    snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(desired));
    return !str_equal(text, json_string_value(live));
}

static bool value_differs(const json_t *desired, const json_t *live)
{
    if (!live)
        return !is_empty(desired);
    if (json_is_number(desired) && json_is_number(live))
        return number_differs(desired, live);
    if (json_is_integer(desired) && json_is_string(live))
        return quantity_differs(desired, live);
    if (json_typeof(desired) != json_typeof(live))
        return true;
    if (json_is_object(desired))
        return map_differs(desired, live);
    if (json_is_array(desired))
        return list_differs(desired, live);
    return !json_equal(desired, live);
}

bool bundle_differs(const json_t *desired, const json_t *live)
{
    /* The hash is one of the annotations, and so compared like every other value. */
    return value_differs(desired, live);
}
