/* Where the objects of `do place` come from: files as people keep them, and a cell. What cannot be
 * meant as it is written is refused; what is for somebody else is left out, and named. */
#include "server/place.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 32 << 20 };

/* ---- files ---- */

static int read_text(struct ctx *ctx, FILE *in, const char *file, struct str *text)
{
    char part[8192];
    size_t bytes;
    while ((bytes = fread(part, 1, sizeof part, in)) > 0)
        str_add_bytes(text, part, bytes);
    if (ferror(in))
        return err_set(ctx, ERR_INVALID, NULL, "%s: %s", file, strerror(errno));
    if (text->overflow)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "%s: more than %d bytes", file, FILE_BYTES_MAX);
    return 0;
}

/* JSON begins with a brace; its limits are wider than YAML's. */
static int parse(struct ctx *ctx, const struct str *text, json_t **ret)
{
    const char *begin = str_text(text);
    begin += strspn(begin, " \t\r\n");
    if (*begin != '{')
        return yaml_parse_all(ctx, str_text(text), text->length, ret);
    json_t *one;
    TRY(json_parse_foreign(ctx, str_text(text), text->length, FILE_BYTES_MAX, &one));
    *ret = arena_json(ctx->arena, json_array());
    json_array_append(*ret, one);
    return 0;
}

static int check_object(struct ctx *ctx, const json_t *object, const char *pointer)
{
    static const char *const wanted[] = {"kind", "apiVersion"};
    if (!json_is_object(object))
        return err_set(ctx, ERR_INVALID, NULL, "%s is no object", *pointer ? pointer : "it");
    for (size_t at = 0; at < ARRAY_SIZE(wanted); at++)
        if (!json_str(object, wanted[at]))
            return err_set(ctx, ERR_INVALID, NULL, "%s/%s is missing", pointer, wanted[at]);
    return 0;
}

/* `kubectl get` gives a List; what is in it counts. */
static int add_document(struct ctx *ctx, json_t *document, json_t *objects)
{
    json_t *items = json_at(document, "items"), *item;
    size_t at;
    TRY(check_object(ctx, document, ""));
    if (!json_is_array(items))
        json_array_append(objects, document);
    json_array_foreach(items, at, item)
        TRY(check_object(ctx, item, arena_printf(ctx->arena, "/items/%zu", at)));
    json_array_extend(objects, items);
    return 0;
}

static int read_file(struct ctx *ctx, const char *file, json_t *objects)
{
    _cleanup_file_ FILE *opened = str_equal(file, "-") ? NULL : fopen(file, "r");
    _cleanup_str_ struct str text;
    json_t *documents, *document;
    size_t at;
    str_init(&text, FILE_BYTES_MAX);
    if (!opened && !str_equal(file, "-"))
        return err_set(ctx, ERR_NOT_FOUND, NULL, "%s: %s", file, strerror(errno));
    TRY(read_text(ctx, opened ? opened : stdin, file, &text));
    int rc = parse(ctx, &text, &documents);
    if (rc < 0)
        return err_wrap(ctx, rc, "%s", file);
    json_array_foreach(documents, at, document) {
        rc = add_document(ctx, document, objects);
        if (rc < 0)
            return err_wrap(ctx, rc, "%s: document %zu", file, at + 1);
    }
    return 0;
}

/* ---- the cell ---- */

int place_list(struct ctx *ctx, enum call call, struct kube *kube, size_t max_bytes,
               struct preview *preview)
{
    size_t budget = max_bytes;
    int rc = 0;
    for (int at = 0; at < PREVIEW_KINDS && rc == 0; at++)
        rc = kube_list_within(ctx, call, kube, preview_kinds[at].kind, preview->namespace,
                              preview_kinds[at].label, &budget, &preview->lists[at]);
    if (rc != -ERR_TOO_LARGE)
        return rc;
    return err_set(ctx, ERR_TOO_LARGE, "NamespaceTooLarge",
                   "what a placement looks at in namespace %s takes more than %zu bytes",
                   preview->namespace, max_bytes);
}

static int read_cell(struct ctx *ctx, const char *kubeconfig, struct preview *preview)
{
    struct kube *kube = NULL;
    TRY(kube_open(ctx, kubeconfig, "flotillad-do/" FLOTILLA_VERSION, &kube));
    int rc = place_list(ctx, CALL_KUBE_PIPELINE_LIST, kube, PLACE_CELL_BYTES, preview);
    kube_close(kube);
    return rc;
}

/* ---- both ---- */

static const char *namespace_of(const json_t *objects)
{
    size_t at;
    json_t *object;
    json_array_foreach(objects, at, object)
        if (str_equal(json_str(object, "kind"), kube_kind_row(KIND_PIPELINE)->kind))
            return json_str_or(object, "metadata.namespace", "default");
    return "default";
}

static void tell_left_out(struct ctx *ctx, const char *namespace, const json_t *left_out)
{
    const json_t *first = json_array_get(left_out, 0);
    size_t count = json_array_size(left_out);
    if (!count)
        return;
    const char *more = count > 1 ? arena_printf(ctx->arena, " and %zu more", count - 1) : "";
    const char *text = arena_printf(
        ctx->arena,
        "left out: %s %s/%s%s (another namespace than %s, or a kind that a placement does not "
        "look at)",
        json_str_or(first, "kind", ""), json_str_or(first, "metadata.namespace", namespace),
        json_str_or(first, "metadata.name", ""), more, namespace);
    fprintf(stderr, "do place: %s\n", place_plain(ctx, text));
}

int place_gather(struct ctx *ctx, const struct place_words *given, struct preview *ret)
{
    json_t *objects = arena_json(ctx->arena, json_array()), *object;
    json_t *left_out = arena_json(ctx->arena, json_array());
    size_t index;
    for (int at = 0; at < given->file_count; at++)
        TRY(read_file(ctx, given->files[at], objects));
    const char *namespace = given->namespace ? given->namespace : namespace_of(objects);
    TRY(preview_begin(ctx, namespace, clock_wall_ms() / 1000, ret));
    if (*given->kubeconfig)
        TRY(read_cell(ctx, given->kubeconfig, ret));
    json_array_foreach(objects, index, object) {
        bool used;
        TRY(preview_apply(ctx, ret, object, &used));
        if (!used)
            json_array_append(left_out, object);
    }
    tell_left_out(ctx, namespace, left_out);
    return 0;
}
