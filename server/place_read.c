/* Where the objects of `do place` come from: files as people keep them, and a cell. */
#include "server/place.h"

#include "server/base/cleanup.h"
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

/* `kubectl get` gives a List; what is in it counts. */
static json_t *flat(struct ctx *ctx, const json_t *documents)
{
    json_t *objects = arena_json(ctx->arena, json_array()), *document;
    size_t at;
    json_array_foreach(documents, at, document) {
        const json_t *items = json_at(document, "items");
        if (json_is_array(items))
            json_array_extend(objects, (json_t *)(uintptr_t)items);
        else
            json_array_append(objects, document);
    }
    return objects;
}

int place_read(struct ctx *ctx, const char *file, json_t **ret)
{
    _cleanup_file_ FILE *opened = str_equal(file, "-") ? NULL : fopen(file, "r");
    _cleanup_str_ struct str text;
    json_t *documents;
    str_init(&text, FILE_BYTES_MAX);
    if (!opened && !str_equal(file, "-"))
        return err_set(ctx, ERR_NOT_FOUND, NULL, "%s: %s", file, strerror(errno));
    TRY(read_text(ctx, opened ? opened : stdin, file, &text));
    int rc = parse(ctx, &text, &documents);
    if (rc < 0)
        return err_wrap(ctx, rc, "%s", file);
    *ret = flat(ctx, documents);
    return 0;
}

/* ---- the cell ---- */

static int list_all(struct ctx *ctx, struct kube *kube, struct preview *preview)
{
    for (int at = 0; at < PREVIEW_KINDS; at++)
        TRY(kube_list(ctx, CALL_KUBE_PIPELINE_LIST, kube, preview_kinds[at].kind,
                      preview->namespace, preview_kinds[at].label, &preview->lists[at]));
    return 0;
}

int place_list(struct ctx *ctx, const char *kubeconfig, struct preview *preview)
{
    struct kube *kube = NULL;
    TRY(kube_open(ctx, kubeconfig, "flotillad-do/" FLOTILLA_VERSION, &kube));
    int rc = list_all(ctx, kube, preview);
    kube_close(kube);
    return rc;
}
