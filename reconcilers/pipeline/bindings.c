/* PipelineBindings as the ledger wants them: one for each stage of a pipeline that has been placed.
 */
#include "reconcilers/pipeline/scope.h"

#include "server/adapters/crypto.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { SERVICE_NAME_MAX = 63, HASH_LENGTH = 8 };

/* A stage without a dash ends the name unmistakably; two others could make the same one. */
const char *binding_name(struct arena *arena, const char *pipeline, const char *stage)
{
    const char *plain = arena_printf(arena, "%s-%s", pipeline, stage);
    if (!strchr(stage, '-') && strlen(plain) <= SERVICE_NAME_MAX)
        return plain;
    const char *hash =
        crypto_base32_of(arena, arena_printf(arena, "%s/%s", pipeline, stage), HASH_LENGTH);
    return arena_printf(arena, "%.*s-%s", SERVICE_NAME_MAX - HASH_LENGTH - 1, plain, hash);
}

static const struct workers *workers_named(const struct world *world, const char *name)
{
    for (uint32_t at = 0; at < world->class_count; at++)
        if (str_equal(world->classes[at].class.name, name))
            return &world->classes[at];
    return NULL;
}

/* What is held must not be served yet, and a pod without an address cannot be. */
static json_t *shares_of(const struct workers *workers, const json_t *row)
{
    json_t *list = json_array(), *share;
    size_t at;
    json_array_foreach(json_at(row, "shares"), at, share) {
        struct worker worker = world_worker(workers, (uint32_t)json_int_or(share, "pod", 0));
        json_int_t milli = json_int_or(share, "milli", 0) - json_int_or(share, "held", 0);
        if (worker.name && worker.address && milli > 0)
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:I, s:b}", "pod", worker.name, "address",
                                            worker.address, "milliDocumentsPerSecond", milli,
                                            "ready", worker.ready));
    }
    return list;
}

static json_t *object_of(struct arena *arena, const struct pipeline_wish *wish, const char *stage,
                         json_t *spec)
{
    const struct kube_kind_row *owner = kube_kind_row(KIND_PIPELINE);
    const struct kube_kind_row *kind = kube_kind_row(KIND_PIPELINE_BINDING);
    json_t *metadata = json_pack("{s:s, s:s, s:{s:s}, s:[{s:s, s:s, s:s, s:s, s:b, s:b}]}", "name",
                                 binding_name(arena, wish->name, stage), "namespace",
                                 json_str(wish->object, "metadata.namespace"), "labels",
                                 LABEL_MANAGED_BY, "flotilla", "ownerReferences", "apiVersion",
                                 owner->api_version, "kind", owner->kind, "name", wish->name, "uid",
                                 wish->uid, "controller", true, "blockOwnerDeletion", true);
    return arena_json(arena, json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", kind->api_version,
                                       "kind", kind->kind, "metadata", metadata, "spec", spec));
}

json_t *binding_wanted(struct arena *arena, const struct world *world,
                       const struct pipeline_wish *wish, const json_t *row)
{
    const char *stage = json_str(row, "name"), *class = json_str(row, "class");
    const struct workers *workers = workers_named(world, class);
    return object_of(arena, wish, stage,
                     json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "pipeline", wish->name, "stage",
                               stage, "class", class, "milliDocumentsPerSecond",
                               (json_int_t)json_int_or(row, "rate", 0), "port",
                               (json_int_t)workers->port, "shares", shares_of(workers, row)));
}

/* ---- bringing them there ---- */

static bool is_of(const json_t *binding, const struct pipeline_wish *wish)
{
    return str_equal(json_str(kube_controller(binding), "uid"), wish->uid);
}

static int bring(struct ctx *ctx, struct pass *pass, const struct pipeline_wish *wish,
                 json_t *wanted, bool *ret_taken)
{
    const json_t *live = pass_get(ctx, pass, KIND_PIPELINE_BINDING, pass->key.namespace,
                                  json_str(wanted, "metadata.name"));
    *ret_taken |= live && !is_of(live, wish);
    if (live && (!is_of(live, wish) || json_at(live, "metadata.deletionTimestamp") ||
                 json_equal(json_object_get(live, "spec"), json_object_get(wanted, "spec"))))
        return 0;
    return pass_apply(ctx, pass, CALL_KUBE_PIPELINE_BIND, wanted, NULL);
}

/* It is not to run: kept, as the talk's are, but it leads nowhere. */
static int unset(struct ctx *ctx, struct pass *pass, const struct pipeline_wish *wish,
                 const json_t *binding)
{
    json_t *spec = json_deep_copy(json_object_get(binding, "spec"));
    json_object_set_new(spec, "milliDocumentsPerSecond", json_integer(0));
    json_object_set_new(spec, "shares", json_array());
    bool taken = false;
    return bring(ctx, pass, wish, object_of(ctx->arena, wish, json_str(spec, "stage"), spec),
                 &taken);
}

/* The bindings of a pipeline that are there: those that run no more, and those of stages that it no
 * longer has. */
static int sweep(struct ctx *ctx, struct pass *pass, const struct pipeline_wish *wish, bool ran)
{
    const struct placer_scope *scope = pass->scope;
    size_t at;
    json_t *binding;
    json_array_foreach(scope->bindings, at, binding) {
        if (!is_of(binding, wish) || json_at(binding, "metadata.deletionTimestamp"))
            continue;
        const json_t *workers = json_at(wish->object, "spec.workers");
        bool drawn = json_object_get(workers, json_str_or(binding, "spec.stage", ""));
        if (!drawn)
            TRY(pass_delete(ctx, pass, CALL_KUBE_PIPELINE_UNBIND, binding));
        else if (!ran)
            TRY(unset(ctx, pass, wish, binding));
    }
    return 0;
}

int bindings_apply(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    for (uint32_t at = 0; at < scope->world.pipeline_count; at++) {
        const struct pipeline_wish *wish = &scope->world.pipelines[at];
        const struct verdict *verdict = &scope->decision.verdicts[at];
        size_t stage;
        json_t *row;
        TRY(sweep(ctx, pass, wish, verdict->view.ran));
        json_array_foreach(verdict->view.ran ? json_at(verdict->entry, "stages") : NULL, stage, row)
            TRY(bring(ctx, pass, wish, binding_wanted(ctx->arena, &scope->world, wish, row),
                      &scope->taken[at]));
    }
    return 0;
}
