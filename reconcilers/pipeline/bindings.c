/* PipelineBindings as the ledger wants them: one for each stage of a pipeline that has been placed.
 */
#include "reconcilers/pipeline/scope.h"

#include "server/adapters/crypto.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdlib.h>
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

/* ---- by owner ---- */

static int row_order(const void *a, const void *b)
{
    const struct binding_row *one = a, *other = b;
    int order = strcmp(one->uid, other->uid);
    return order ? order
                 : strcmp(json_str_or(one->object, "metadata.name", ""),
                          json_str_or(other->object, "metadata.name", ""));
}

void bindings_index(struct arena *arena, const json_t *list, struct bindings *ret)
{
    size_t at;
    json_t *binding;
    *ret = (struct bindings){
        .rows = arena_alloc(arena, (json_array_size(list) + 1) * sizeof *ret->rows)};
    json_array_foreach(list, at, binding) {
        const json_t *owner = kube_controller(binding);
        const char *uid = json_str(owner, "uid");
        if (uid && str_equal(json_str(owner, "kind"), kube_kind_row(KIND_PIPELINE)->kind))
            ret->rows[ret->count++] = (struct binding_row){.uid = uid, .object = binding};
    }
    qsort(ret->rows, ret->count, sizeof *ret->rows, row_order);
}

/* The place of the first row whose uid is not before it. */
static uint32_t first_of(const struct bindings *bindings, const char *uid)
{
    uint32_t low = 0, high = bindings->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(bindings->rows[middle].uid, uid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct binding_row *bindings_of(const struct bindings *bindings, const char *uid,
                                uint32_t *ret_count)
{
    uint32_t first = first_of(bindings, uid), end = first;
    while (end < bindings->count && str_equal(bindings->rows[end].uid, uid))
        end++;
    *ret_count = end - first;
    return &bindings->rows[first];
}

/* ---- are they as the ledger says? ---- */

/* The ledger's row of the stage, if its class is still the binding's; NULL = nothing is let. */
static const json_t *stage_row(const struct binding_row *binding)
{
    const json_t *spec = json_object_get(binding->object, "spec");
    const json_t *row = json_find(binding->entry, "stages", "name", json_str_or(spec, "stage", ""));
    return str_equal(json_str(row, "class"), json_str_or(spec, "class", "")) ? row : NULL;
}

static int64_t milli_of(const json_t *row, const char *pod)
{
    uint32_t ordinal;
    size_t at;
    json_t *share;
    if (!world_ordinal(pod, &ordinal))
        return 0;
    json_array_foreach(json_at(row, "shares"), at, share)
        if (json_int_or(share, "pod", -1) == ordinal)
            return json_int_or(share, "milli", 0) - json_int_or(share, "held", 0);
    return 0;
}

int64_t binding_lets(const struct binding_row *binding, const char *pod)
{
    return milli_of(stage_row(binding), pod);
}

bool binding_exceeds(const struct binding_row *binding, const json_t *share)
{
    return json_int_or(share, "milliDocumentsPerSecond", 0) >
           binding_lets(binding, json_str_or(share, "pod", ""));
}

/* Routed as it says, and to no pod more than the ledger does. */
static bool is_settled(const struct binding_row *binding)
{
    size_t at;
    json_t *share;
    if (json_int_or(binding->object, "status.observedGeneration", 0) !=
        json_int_or(binding->object, "metadata.generation", -1))
        return false;
    json_array_foreach(json_at(binding->object, "spec.shares"), at, share)
        if (binding_exceeds(binding, share))
            return false;
    return true;
}

bool bindings_settled(struct bindings *bindings, const json_t *ledger)
{
    size_t at;
    json_t *entry;
    bool settled = true;
    uint32_t count;
    for (uint32_t row = 0; row < bindings->count; row++)
        bindings->rows[row].entry = NULL;
    json_array_foreach(json_at(ledger, "pipelines"), at, entry) {
        struct binding_row *rows = bindings_of(bindings, json_str_or(entry, "uid", ""), &count);
        for (uint32_t row = 0; row < count; row++)
            rows[row].entry = entry;
    }
    for (uint32_t row = 0; row < bindings->count && settled; row++)
        settled = is_settled(&bindings->rows[row]);
    return settled;
}

/* ---- what they are to be ---- */

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

bool binding_serves(const struct world *world, const json_t *row)
{
    uint32_t class_at;
    size_t at;
    json_t *share;
    const struct workers *workers = world_class(world, json_str_or(row, "class", ""), &class_at);
    json_array_foreach(json_at(row, "shares"), at, share) {
        struct worker worker = world_worker(workers, (uint32_t)json_int_or(share, "pod", 0));
        if (worker.name && worker.address && worker.ready &&
            json_int_or(share, "milli", 0) > json_int_or(share, "held", 0))
            return true;
    }
    return false;
}

bool binding_is_routed(struct arena *arena, const struct world *world,
                       const struct pipeline_wish *wish, const json_t *row, const json_t *binding)
{
    return json_int_or(binding, "status.observedGeneration", 0) ==
               json_int_or(binding, "metadata.generation", -1) &&
           json_equal(json_object_get(binding, "spec"),
                      json_object_get(binding_wanted(arena, world, wish, row), "spec"));
}

/* `like`: the Pipeline, or one of its bindings: it has the namespace. */
static json_t *object_of(struct arena *arena, const json_t *like, const char *pipeline,
                         const char *uid, json_t *spec)
{
    const struct kube_kind_row *owner = kube_kind_row(KIND_PIPELINE);
    const struct kube_kind_row *kind = kube_kind_row(KIND_PIPELINE_BINDING);
    json_t *metadata =
        json_pack("{s:s, s:s, s:{s:s}, s:[{s:s, s:s, s:s, s:s, s:b, s:b}]}", "name",
                  binding_name(arena, pipeline, json_str_or(spec, "stage", "")), "namespace",
                  json_str(like, "metadata.namespace"), "labels", LABEL_MANAGED_BY, "flotilla",
                  "ownerReferences", "apiVersion", owner->api_version, "kind", owner->kind, "name",
                  pipeline, "uid", uid, "controller", true, "blockOwnerDeletion", true);
    return arena_json(arena, json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", kind->api_version,
                                       "kind", kind->kind, "metadata", metadata, "spec", spec));
}

json_t *binding_wanted(struct arena *arena, const struct world *world,
                       const struct pipeline_wish *wish, const json_t *row)
{
    const char *stage = json_str(row, "name"), *class = json_str(row, "class");
    uint32_t at;
    const struct workers *workers = world_class(world, class, &at);
    return object_of(arena, wish->object, wish->name, wish->uid,
                     json_pack("{s:s, s:s, s:s, s:I, s:I, s:o, s:O*}", "pipeline", wish->name,
                               "stage", stage, "class", class, "milliDocumentsPerSecond",
                               (json_int_t)json_int_or(row, "rate", 0), "port",
                               (json_int_t)workers->port, "shares", shares_of(workers, row),
                               "httpRoute", workers->http_route));
}

/* ---- bringing them there ---- */

static int bring(struct ctx *ctx, struct pass *pass, const char *uid, json_t *wanted,
                 bool *ret_taken)
{
    const json_t *live = pass_get(ctx, pass, KIND_PIPELINE_BINDING, pass->key.namespace,
                                  json_str(wanted, "metadata.name"));
    *ret_taken |= live && !kube_is_controlled_by(live, uid);
    if (live && (!kube_is_controlled_by(live, uid) || kube_is_going(live) ||
                 json_equal(json_object_get(live, "spec"), json_object_get(wanted, "spec"))))
        return 0;
    return pass_apply(ctx, pass, CALL_KUBE_PIPELINE_BIND, wanted, NULL);
}

/* A binding of ours with other shares, which are taken. */
static int bring_shares(struct ctx *ctx, struct pass *pass, const json_t *binding, int64_t milli,
                        json_t *shares)
{
    const struct placer_scope *scope = pass->scope;
    const json_t *owner = kube_controller(binding);
    json_t *spec = json_deep_copy(json_object_get(binding, "spec"));
    /* Whether there is an HTTPRoute is the class's to say, also of what does not run. */
    uint32_t at;
    const struct workers *workers = world_class(&scope->world, json_str_or(spec, "class", ""), &at);
    if (workers)
        json_object_del(spec, "httpRoute");
    json_object_update_new(spec, json_pack("{s:I, s:O, s:O*}", "milliDocumentsPerSecond",
                                           (json_int_t)milli, "shares", shares, "httpRoute",
                                           workers ? workers->http_route : NULL));
    json_decref(shares);
    const char *uid = json_str_or(owner, "uid", "");
    json_t *wanted = object_of(ctx->arena, binding, json_str_or(owner, "name", ""), uid, spec);
    json_put(wanted, "metadata.name", json_string(json_str_or(binding, "metadata.name", "")));
    bool taken = false;
    return bring(ctx, pass, uid, wanted, &taken);
}

/* The bindings of a pipeline that are there. Those of stages that it no longer has go, and all of
 * one that is not drawn well, or for which there is no room in the ledger: what counts there is
 * every one that the namespace has. Who only does not run keeps them, as the talk's do, but they
 * lead nowhere. */
static int sweep(struct ctx *ctx, struct pass *pass, const struct pipeline_wish *wish,
                 const struct verdict *verdict, const json_t *binding)
{
    const json_t *workers = json_at(wish->object, "spec.workers");
    bool drawn = !wish->graph.reason && !verdict->full &&
                 json_object_get(workers, json_str_or(binding, "spec.stage", ""));
    if (kube_is_going(binding))
        return 0;
    if (!drawn)
        return pass_delete(ctx, pass, CALL_KUBE_PIPELINE_UNBIND, binding);
    return verdict->view.ran ? 0 : bring_shares(ctx, pass, binding, 0, json_array());
}

/* One that had bindings, and lacks one: either it was drawn anew, or it went, and they with it, and
 * we have not heard of it. Who made them again would be followed by the garbage collector until
 * then. */
static int look_for(struct ctx *ctx, struct pass *pass, const struct pipeline_wish *wish,
                    bool *ret_gone)
{
    json_t *live;
    TRY(placer_pipeline_live(ctx, pass, wish->name, wish->uid, &live));
    *ret_gone = !live || kube_is_going(live);
    return 0;
}

/* By names: whose they are can be changed by others. */
static bool lacks_one(struct ctx *ctx, struct pass *pass, const struct pipeline_wish *wish,
                      const json_t *stages)
{
    size_t at;
    json_t *row;
    json_array_foreach(stages, at, row)
        if (!pass_get(ctx, pass, KIND_PIPELINE_BINDING, pass->key.namespace,
                      binding_name(ctx->arena, wish->name, json_str_or(row, "name", ""))))
            return true;
    return false;
}

/* All stages of a pipeline that runs; none is made for one that went. */
static int bring_all(struct ctx *ctx, struct pass *pass, uint32_t at, struct refusals *refusals)
{
    struct placer_scope *scope = pass->scope;
    const struct pipeline_wish *wish = &scope->world.pipelines[at];
    const json_t *stages = json_at(scope->decision.verdicts[at].entry, "stages");
    bool had = str_has_word("Plotted Ready Broken", json_str_or(wish->object, "status.phase", ""));
    bool gone = false;
    size_t stage;
    json_t *row;
    if (had && lacks_one(ctx, pass, wish, stages))
        TRY(look_for(ctx, pass, wish, &gone));
    json_array_foreach(gone ? NULL : stages, stage, row)
        TRY(refusals_note(ctx, refusals,
                          bring(ctx, pass, wish->uid,
                                binding_wanted(ctx->arena, &scope->world, wish, row),
                                &scope->taken[at])));
    return 0;
}

/* One that is being deleted and is still there, for somebody holds it by a finalizer: the ledger
 * has given away what it had. */
static int unroute_going(struct ctx *ctx, struct pass *pass, struct refusals *refusals)
{
    const struct placer_scope *scope = pass->scope;
    size_t at;
    uint32_t count;
    json_t *pipeline;
    json_array_foreach(scope->scene.pipelines, at, pipeline) {
        if (!kube_is_going(pipeline))
            continue;
        const char *uid = json_str_or(pipeline, "metadata.uid", "");
        const struct binding_row *rows = bindings_of(&scope->bindings, uid, &count);
        for (uint32_t row = 0; row < count; row++)
            TRY(refusals_note(ctx, refusals,
                              bring_shares(ctx, pass, rows[row].object, 0, json_array())));
    }
    return 0;
}

int bindings_apply(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    struct refusals refusals = {0};
    TRY(unroute_going(ctx, pass, &refusals));
    for (uint32_t at = 0; at < scope->world.pipeline_count; at++) {
        const struct pipeline_wish *wish = &scope->world.pipelines[at];
        const struct verdict *verdict = &scope->decision.verdicts[at];
        uint32_t count;
        const struct binding_row *rows = bindings_of(&scope->bindings, wish->uid, &count);
        for (uint32_t row = 0; row < count; row++)
            TRY(refusals_note(ctx, &refusals, sweep(ctx, pass, wish, verdict, rows[row].object)));
        if (verdict->view.ran)
            TRY(bring_all(ctx, pass, at, &refusals));
    }
    return refusals_end(ctx, &refusals);
}

/* ---- where nothing was decided ---- */

/* A share as its pod is now; NULL = the pod is gone, and its address another's soon. */
static json_t *share_now(const struct workers *workers, json_t *share)
{
    const char *name = json_str_or(share, "pod", "");
    uint32_t ordinal;
    if (!world_ordinal(name, &ordinal))
        return NULL;
    const struct worker worker = world_worker(workers, ordinal);
    if (!worker.name || !worker.address || !str_equal(worker.name, name))
        return NULL;
    json_t *made = json_copy(share);
    json_object_update_new(
        made, json_pack("{s:s, s:b}", "address", worker.address, "ready", worker.ready));
    return made;
}

int bindings_follow_pods(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    struct refusals refusals = {0};
    for (uint32_t row = 0; row < scope->bindings.count; row++) {
        const json_t *binding = scope->bindings.rows[row].object;
        uint32_t class_at;
        size_t at;
        json_t *share, *shares = json_array();
        const struct workers *workers =
            world_class(&scope->world, json_str_or(binding, "spec.class", ""), &class_at);
        json_array_foreach(json_at(binding, "spec.shares"), at, share) {
            json_t *now = share_now(workers, share);
            if (now)
                json_array_append_new(shares, now);
        }
        int64_t milli = json_int_or(binding, "spec.milliDocumentsPerSecond", 0);
        TRY(refusals_note(ctx, &refusals, bring_shares(ctx, pass, binding, milli, shares)));
    }
    return refusals_end(ctx, &refusals);
}
