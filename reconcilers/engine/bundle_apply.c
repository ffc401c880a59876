/*
 * Bringing live objects to a plan. Nothing is remembered: what is live (in the caches of this
 * pass) is compared with what is desired, and only a difference is sent.
 */
#include "reconcilers/engine/bundle.h"
#include "reconcilers/engine/engine.h"
#include "reconcilers/engine/ready.h"

#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

/* One pass over one plan. */
struct stack {
    struct ctx *ctx;
    struct pass *pass;
    const struct bundle_plan *plan;
    const char *namespace, *root_label;
    bool *current; /* by row */
    struct bundle_result *result;
};

static void not_current(struct stack *stack, const struct bundle_object *object,
                        const char *message)
{
    if (!*stack->result->message)
        stack->result->message =
            arena_printf(stack->ctx->arena, "%s %s: %s", kube_kind_row(object->kind)->kind,
                         json_str_or(object->desired, "metadata.name", object->id), message);
}

/* Root's namespace, label and ownerReference, in place: doing it twice changes nothing. */
static void adopt(const struct stack *stack, json_t *desired)
{
    const json_t *root = stack->pass->root;
    const struct kube_kind_row *kind = kube_kind_row(stack->pass->reconciler->kind);
    json_put(desired, "metadata.namespace", json_string(stack->namespace));
    json_object_set_new(json_at(desired, "metadata.labels"), LABEL_ROOT,
                        json_string(stack->root_label));
    json_object_set_new(json_at(desired, "metadata.annotations"), ANNOTATION_ROOT_NAME,
                        json_sprintf("%s/%s", kind->kind, json_str_or(root, "metadata.name", "")));
    json_put(desired, "metadata.ownerReferences",
             json_pack("[{s:s, s:s, s:s, s:s, s:b, s:b}]", "apiVersion", kind->api_version, "kind",
                       kind->kind, "name", json_str(root, "metadata.name"), "uid",
                       json_str(root, "metadata.uid"), "controller", true, "blockOwnerDeletion",
                       true));
}

/*
 * Ours is what our root controls; without any controller, what carries the root's label (somebody
 * took the reference away: drift). A child of an earlier root of the same name has another uid.
 */
static bool is_ours(const struct stack *stack, const json_t *live)
{
    const json_t *owner = kube_controller(live);
    if (owner)
        return str_equal(json_str(owner, "uid"), json_str(stack->pass->root, "metadata.uid"));
    return str_equal(kube_label(live, LABEL_ROOT), stack->root_label);
}

static bool predecessors_current(const struct stack *stack, const struct bundle_object *object)
{
    for (const char *const *after = object->after; *after; after++)
        for (int row = 0; row < stack->plan->count; row++)
            if (str_equal(stack->plan->objects[row].id, *after) && !stack->current[row])
                return false;
    return true;
}

static int check_ours(const struct stack *stack, const json_t *live)
{
    if (!live || is_ours(stack, live))
        return 0;
    return err_set(stack->ctx, ERR_TAKEN, "ObjectTaken", "it exists and is not ours");
}

/* Nothing is sent for what is equal, or is being deleted: its end will wake us. */
static int send_if_different(struct stack *stack, const struct bundle_object *object, json_t **live)
{
    TRY(check_ours(stack, *live));
    if (*live &&
        (json_at(*live, "metadata.deletionTimestamp") || !bundle_differs(object->desired, *live)))
        return 0;
    TRY(pass_apply(stack->ctx, stack->pass, CALL_KUBE_OBJECT_APPLY, object->desired, live));
    stack->result->applied++;
    return 0;
}

/*
 * What we did not see may be there all the same: made a moment ago, or without the label by which
 * our cache selects, which somebody took away. Then the server is asked, once.
 */
static int bring_to(struct stack *stack, const struct bundle_object *object, json_t **live)
{
    const char *name = json_str(object->desired, "metadata.name");
    bool unseen = !*live;
    adopt(stack, object->desired);
    int rc = send_if_different(stack, object, live);
    if (rc == -ERR_CONFLICT && unseen) {
        TRY(pass_get_live(stack->ctx, stack->pass, CALL_KUBE_OBJECT_READ, object->kind,
                          stack->namespace, name, live));
        rc = send_if_different(stack, object, live);
    }
    return rc < 0 ? err_wrap(stack->ctx, rc, "%s %s", kube_kind_row(object->kind)->kind, name) : 0;
}

static void judge(struct stack *stack, int row, const struct bundle_object *object,
                  const json_t *live)
{
    struct ready_verdict verdict = ready_of(stack->ctx, live);
    bool exists_is_enough =
        str_equal(object->ready, "exists") && live && verdict.readiness != READY_TERMINATING;
    stack->current[row] = verdict.readiness == READY_CURRENT || exists_is_enough;
    if (stack->current[row]) {
        stack->result->current++;
        return;
    }
    stack->result->waiting++;
    stack->result->failed |= verdict.readiness == READY_FAILED;
    not_current(stack, object, verdict.message);
}

/* What ends pods waits for nobody: its predecessors may never be ready. */
static bool asks_for_none(const json_t *desired)
{
    return json_int_or(desired, "spec.replicas", 1) == 0;
}

static void wait_for_others(struct stack *stack, const struct bundle_object *object)
{
    stack->result->waiting++;
    not_current(stack, object, "waits for the rows before it");
}

static int apply_row(struct stack *stack, int row)
{
    const struct bundle_object *object = &stack->plan->objects[row];
    if (!object->desired) {
        stack->current[row] = true; /* nobody waits for what is not wanted */
        return 0;
    }
    stack->result->total++;
    bool early = !predecessors_current(stack, object);
    if (early && !asks_for_none(object->desired)) {
        wait_for_others(stack, object);
        return 0;
    }
    json_t *live = pass_get(stack->ctx, stack->pass, object->kind, stack->namespace,
                            json_str(object->desired, "metadata.name"));
    TRY(bring_to(stack, object, &live));
    if (early)
        wait_for_others(stack, object);
    else
        judge(stack, row, object, live);
    return 0;
}

/* ---- prune ---- */

static bool is_wanted(const struct stack *stack, enum kube_kind kind, const json_t *live)
{
    const char *name = json_str(live, "metadata.name");
    for (int row = 0; row < stack->plan->count; row++) {
        const struct bundle_object *object = &stack->plan->objects[row];
        if (object->desired && object->kind == kind &&
            str_equal(json_str(object->desired, "metadata.name"), name))
            return true;
    }
    return false;
}

/* Only what a bundle made: a Secret of the root that no row names is never touched. */
static bool is_bundled(const struct stack *stack, const json_t *live)
{
    return kube_annotation(live, ANNOTATION_BUNDLE_ID) &&
           str_equal(kube_label(live, LABEL_MANAGED_BY), "flotilla") && is_ours(stack, live);
}

/* To end a Job in the middle is never ours to decide: what it does may not bear it. */
static bool is_at_work(enum kube_kind kind, const json_t *live)
{
    return kind == KIND_JOB && json_int_or(live, "status.active", 0) > 0 &&
           !kube_annotation(live, ANNOTATION_MAY_END);
}

static int prune_kind(struct stack *stack, enum kube_kind kind)
{
    size_t index;
    json_t *live;
    const json_t *list =
        pass_list(stack->ctx, stack->pass, kind, stack->namespace, LABEL_ROOT, stack->root_label);
    json_array_foreach(list, index, live) {
        if (!is_bundled(stack, live) || is_wanted(stack, kind, live))
            continue;
        stack->result->pruned++;
        if (!json_at(live, "metadata.deletionTimestamp") && !is_at_work(kind, live))
            TRY(pass_delete(stack->ctx, stack->pass, CALL_KUBE_OBJECT_DELETE, live));
    }
    return 0;
}

static int prune(struct stack *stack)
{
    const struct reconciler *reconciler = stack->pass->reconciler;
    bool seen[KIND_MAX] = {false};
    for (int at = 0; at < reconciler->source_count; at++) {
        const struct source *source = &reconciler->sources[at];
        enum kube_kind kind = source->kind;
        if (source->map)
            continue; /* others' objects: of our own the owner tells whose they are */
        if (!seen[kind] && kube_kind_row(kind)->scope == NAMESPACED)
            TRY(prune_kind(stack, kind));
        seen[kind] = true;
    }
    return 0;
}

int bundle_apply(struct ctx *ctx, struct pass *pass, const struct bundle_plan *plan,
                 struct bundle_result *ret)
{
    *ret = (struct bundle_result){.message = ""};
    struct stack stack = {
        .ctx = ctx,
        .pass = pass,
        .plan = plan,
        .namespace = pass->key.namespace,
        .root_label =
            shard_root_label(ctx, pass->reconciler->kind, pass->key.namespace, pass->key.name),
        .current = arena_alloc(ctx->arena, (size_t)plan->count * sizeof(bool)),
        .result = ret,
    };
    for (int row = 0; row < plan->count; row++)
        TRY(apply_row(&stack, row));
    TRY(prune(&stack));
    if (ret->pruned && !*ret->message)
        ret->message = "objects that are no longer wanted are being removed";
    ret->ready = ret->current == ret->total && !ret->pruned;
    return 0;
}
