/*
 * A whole bundle: rows to objects, with what all of them carry. Pure, like the templates
 * (bundle_render.c) that it uses.
 */
#include "reconcilers/engine/bundle_internal.h"
#include "reconcilers/engine/engine.h"

#include "server/adapters/crypto.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { DIGEST_LENGTH = 10, NAME_MAX_LENGTH = 253 };

/* The values of a map of texts: numbers and booleans become text. */
static const char *as_text(struct ctx *ctx, const json_t *value)
{
    return json_is_string(value) ? json_string_value(value) : json_text(ctx->arena, value);
}

static void data_to_text(struct ctx *ctx, json_t *object)
{
    const char *key;
    json_t *value, *data = json_object_get(object, "data");
    json_object_foreach(data, key, value)
        if (!json_is_string(value))
            json_object_set_new(data, key, json_string(as_text(ctx, value)));
}

/* The server turns stringData into data: only data can be compared with what it keeps. */
static void encode_string_data(struct ctx *ctx, json_t *object)
{
    const char *key;
    json_t *value, *texts = json_object_get(object, "stringData");
    json_object_foreach(texts, key, value) {
        if (!json_is_object(json_object_get(object, "data")))
            json_object_set_new(object, "data", json_object());
        const char *text = as_text(ctx, value);
        json_object_set_new(json_object_get(object, "data"), key,
                            json_string(crypto_base64(ctx->arena, text, strlen(text))));
    }
    json_object_del(object, "stringData");
}

/* Keys with dots and slashes: json_put() would take the dots for a path. */
static void put_metadata(json_t *object, const char *map, const char *key, const char *value)
{
    json_t *metadata = json_object_get(object, "metadata");
    if (!json_is_object(json_object_get(metadata, map)))
        json_object_set_new(metadata, map, json_object());
    json_object_set_new(json_object_get(metadata, map), key, json_string(value));
}

static const json_t *data_of(const struct bundle_plan *plan, const char *id)
{
    for (int at = 0; at < plan->count; at++)
        if (str_equal(plan->objects[at].id, id))
            return json_at(plan->objects[at].desired, "data");
    return NULL;
}

/*
 * SHA-256, not the faster hash of elsewhere: what goes in is secret, what comes out is not. Rows
 * that are not wanted count as empty.
 */
static void put_config_digest(struct ctx *ctx, const struct bundle_row *row,
                              const struct bundle_plan *plan, json_t *object)
{
    const char *text = "";
    for (int at = 0; row->config[at]; at++) {
        const json_t *data = data_of(plan, row->config[at]);
        text = arena_printf(ctx->arena, "%s%s\n", text, data ? json_text(ctx->arena, data) : "");
    }
    if (*text)
        put_metadata(json_at(object, "spec.template"), "annotations", ANNOTATION_CONFIG,
                     crypto_base32_of(ctx->arena, text, DIGEST_LENGTH));
}

static void name_job(struct ctx *ctx, json_t *object)
{
    const char *digest = crypto_base32_of(ctx->arena, json_text(ctx->arena, object), DIGEST_LENGTH);
    json_put(object, "metadata.name",
             json_sprintf("%s-%s", json_str_or(object, "metadata.name", ""), digest));
}

static int check_name(struct ctx *ctx, const struct bundle_row *row, const json_t *object)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
    if (str_matches(json_str(object, "metadata.name"), characters, 1, NAME_MAX_LENGTH))
        return 0;
    return err_set(ctx, ERR_INTERNAL, NULL, "%s: metadata.name is no name of an object", row->file);
}

/* `plan` holds the rows before this one. */
static int render_row(struct ctx *ctx, const struct bundle_row *row, const json_t *facts,
                      const struct bundle_plan *plan, struct bundle_object *ret)
{
    bool wanted = true;
    *ret = (struct bundle_object){.id = row->id,
                                  .kind = row->kind,
                                  .ready = row->ready,
                                  .disruption = row->disruption,
                                  .after = row->after};
    if (row->when)
        TRY(template_fact(ctx, "bundle.yaml", facts, row->when, &wanted));
    if (!wanted)
        return 0;
    TRY(template_render(ctx, row->file, row->object, facts, &ret->desired));
    if (!ret->desired)
        return 0;
    if (row->kind == KIND_SECRET)
        encode_string_data(ctx, ret->desired);
    if (row->kind == KIND_CONFIGMAP)
        data_to_text(ctx, ret->desired);
    put_config_digest(ctx, row, plan, ret->desired);
    if (row->kind == KIND_JOB)
        name_job(ctx, ret->desired);
    TRY(check_name(ctx, row, ret->desired));
    put_metadata(ret->desired, "labels", LABEL_MANAGED_BY, "flotilla");
    put_metadata(ret->desired, "annotations", ANNOTATION_BUNDLE_ID, row->id);
    char *hash = arena_printf(ctx->arena, "%016llx", (unsigned long long)json_hash(ret->desired));
    put_metadata(ret->desired, "annotations", ANNOTATION_HASH, hash);
    return 0;
}

int bundle_render(struct ctx *ctx, const struct bundle *bundle, const json_t *facts,
                  struct bundle_plan *ret)
{
    struct bundle_plan plan = {.hash = STR_HASH_START};
    plan.objects = arena_alloc(ctx->arena, (size_t)bundle->count * sizeof *plan.objects);
    while (plan.count < bundle->count) {
        struct bundle_object *object = &plan.objects[plan.count];
        TRY(render_row(ctx, &bundle->rows[plan.count], facts, &plan, object));
        uint64_t hash = object->desired ? json_hash(object->desired) : 0;
        plan.hash = str_hash_more(plan.hash, &hash, sizeof hash);
        plan.count++;
    }
    *ret = plan;
    return 0;
}
