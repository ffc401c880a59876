/* A stack without a cluster: see example.yaml. Everything but where the scope comes from is what an
 * operator does. */
#include "reconcilers/registry/scope.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/embed.h"
#include "server/base/json.h"
#include "server/base/yaml.h"

#include <string.h>

#define FILE_NAME "reconcilers/registry/example.yaml"

static const char *const backend_members[BACKEND_TYPES] = {
    [BACKEND_POSTGRESQL] = "postgresql", [BACKEND_REDIS] = "redis", [BACKEND_S3] = "s3"};

/* As a Secret holds it. */
static json_t *secret_of(struct ctx *ctx, const json_t *words)
{
    const char *key;
    json_t *word, *data = json_object();
    json_object_foreach((json_t *)(uintptr_t)words, key, word) {
        const char *text = json_string_value(word);
        json_object_set_new(data, key, json_string(crypto_base64(ctx->arena, text, strlen(text))));
    }
    return arena_json(ctx->arena, json_pack("{s:o}", "data", data));
}

static int add_option(struct ctx *ctx, json_t *example, const char *name)
{
    json_t *option = json_object_get(json_object_get(example, "options"), name);
    if (!option)
        return err_set(ctx, ERR_INVALID, NULL, FILE_NAME ": no option '%s'", name);
    json_object_update_recursive(example, option);
    return 0;
}

static struct registry_scope scope_of(struct ctx *ctx, const json_t *example)
{
    const json_t *registry = json_at(example, "registry");
    struct registry_scope scope = {
        .spec = registry_spec_bind(registry),
        .namespace = json_str(registry, "metadata.namespace"),
        .name = json_str(registry, "metadata.name"),
        .managed = json_bool_or(example, "managed", false),
        .certificates = json_bool_or(example, "certificates", false),
        .hop = {.wanted = json_str(registry, "spec.version"),
                .pulls = json_bool_or(example, "pulls", false)},
        .kept = secret_of(ctx, json_at(example, "kept")),
    };
    for (int type = 0; type < BACKEND_TYPES; type++) {
        const json_t *backend =
            json_object_get(json_at(example, "backends"), backend_members[type]);
        scope.backends[type].claim = json_at(backend, "claim");
        scope.backends[type].pool = json_at(backend, "pool");
    }
    return scope;
}

int registry_example(struct ctx *ctx, const struct registry_operator *home, const char *version,
                     const char *size, const char *const *options, struct bundle_plan *ret)
{
    const struct embed_file *file = embed_find(FILE_NAME);
    json_t *example = NULL;
    if (!file)
        return err_set(ctx, ERR_INTERNAL, NULL, FILE_NAME " is not embedded");
    TRY(yaml_parse(ctx, file->data, file->bytes, &example));
    json_put(example, "registry.spec.version", json_string(version));
    json_put(example, "registry.spec.size", json_string(size));
    for (; *options; options++)
        TRY(add_option(ctx, example, *options));
    struct registry_scope scope = scope_of(ctx, example);
    struct pass pass = {
        .root = json_at(example, "registry"), .scope = &scope, .home = (void *)(uintptr_t)home};
    TRY(registry_plan(ctx, &pass));
    *ret = scope.plan;
    return 0;
}
