#include "reconcilers/fleet/resource.h"

#include "reconcilers/engine/engine.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>
#include <stdio.h>

enum { SEAL_BYTES = 48 };

static const struct verdict_row rows[] = {
#define VERDICT(id, reason, is_drift, doc) [VERDICT_##id] = {reason, is_drift, doc},
    VERDICTS(VERDICT)
#undef VERDICT
};

const struct published_kind published_kinds[PUBLISHED_KINDS] = {
    {
        .title = "Registry",
        .id_prefix = "reg_",
        .id_label = LABEL_REGISTRY_ID,
        .kube = KIND_REGISTRY,
        .serves = "Available",
        .rejected = "",
        .keeps_data = true,
    },
    {
        .title = "Pipeline",
        .id_prefix = "pl_",
        .id_label = LABEL_PIPELINE_ID,
        .kube = KIND_PIPELINE,
        .is_optional = true,
        .serves = "Ready",
        .rejected = "StageCount BadStageName UnknownNext Cycle UnreachableStage UnknownClass "
                    "ExceedsMaxCapacity ExceedsQuota NamespaceFull",
    },
};

/* Members of spec that a row may lack and a custom resource may have, without a default in the CRD.
 * A member with a default must be in the row's object: else it would look like an edit. */
static const char *const optional_members[] = {"purgeAfter",  "backends",       "components",
                                               "exposure",    "adminSecretRef", "credentials",
                                               "storageBytes"};

const struct verdict_row *verdict_row(enum verdict verdict)
{
    return &rows[verdict];
}

const struct published_kind *published_kind(const char *id)
{
    const struct published_kind *kind = &published_kinds[PUBLISHED_KINDS - 1];
    while (kind > published_kinds && !str_starts(id, kind->id_prefix))
        kind--;
    return kind;
}

static json_t *member(const json_t *object, const char *parent, const char *key)
{
    return json_object_get(json_object_get(object, parent), key);
}

int64_t resource_revision(const json_t *object)
{
    return json_int_or(object, "spec.revision", 0);
}

const char *resource_id(const json_t *object)
{
    const char *id = NULL;
    if (str_equal(kube_label(object, LABEL_FLEET), "true"))
        for (size_t at = 0; at < PUBLISHED_KINDS && !id; at++)
            id = kube_label(object, published_kinds[at].id_label);
    return id;
}

bool resource_owns_fence(const json_t *row, const json_t *fence)
{
    static const char *const labels[] = {LABEL_FLEET, LABEL_TENANT, LABEL_REGISTRY_ID};
    for (size_t at = 0; at < ARRAY_SIZE(labels); at++)
        if (!str_equal(kube_label(fence, labels[at]),
                       kube_label(json_object_get(row, "fence"), labels[at])))
            return false;
    return true;
}

bool resource_keeps_password(const json_t *object)
{
    return str_equal(json_str(object, "status.adminPassword"), "Kept");
}

/* What we write beside a spec: which revision it is and a hash of it. Who edits by hand leaves it.
 */
static const char *seal_of(const json_t *spec, char out[SEAL_BYTES])
{
    snprintf(out, SEAL_BYTES, "%" PRId64 "-%016" PRIx64,
             (int64_t)json_integer_value(json_object_get(spec, "revision")), json_hash(spec));
    return out;
}

static const char *seal_on(const json_t *live)
{
    const char *seal = kube_annotation(live, ANNOTATION_PUBLISHED);
    return seal ? seal : "";
}

/* Is the live revision one that the fleet set? */
static bool is_our_revision(const json_t *live)
{
    char prefix[SEAL_BYTES];
    snprintf(prefix, sizeof prefix, "%" PRId64 "-", resource_revision(live));
    return str_starts(seal_on(live), prefix);
}

static bool labels_differ(const json_t *desired, const json_t *live)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_at(desired, "metadata.labels"), key, value) {
        if (!str_equal(kube_label(live, key), json_string_value(value)))
            return true;
    }
    return false;
}

static bool is_stray(const json_t *desired, const json_t *live, const char *key)
{
    return member(live, "spec", key) && !member(desired, "spec", key);
}

static bool specs_differ(const json_t *desired, const json_t *live)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(desired, "spec"), key, value) {
        if (!json_equal(value, member(live, "spec", key)))
            return true;
    }
    for (size_t row = 0; row < ARRAY_SIZE(optional_members); row++)
        if (is_stray(desired, live, optional_members[row]))
            return true;
    return false;
}

/*
 * The revisions are equal: compare the content. If we wrote other content under this revision, and
 * this row's history does not know that the revision was published, it was another history: the
 * database was restored and has since counted up to the same number.
 */
static enum verdict judge_equal(const json_t *row, const json_t *live)
{
    const json_t *desired = json_object_get(row, "object");
    char wanted[SEAL_BYTES];
    bool is_sealed = str_equal(seal_on(live), seal_of(json_object_get(desired, "spec"), wanted));
    bool is_recorded = json_int_or(row, "published", 0) >= json_int_or(row, "generation", 0);
    if (!is_sealed && !is_recorded && is_our_revision(live))
        return VERDICT_AHEAD;
    bool differs = !is_sealed || specs_differ(desired, live) || labels_differ(desired, live);
    return differs ? VERDICT_DRIFTED : VERDICT_CURRENT;
}

enum verdict resource_judge(const json_t *row, const json_t *live)
{
    if (!live)
        return VERDICT_ABSENT;
    if (!str_equal(resource_id(live), json_str(row, "id")))
        return VERDICT_FOREIGN;
    if (json_at(live, "metadata.deletionTimestamp"))
        return VERDICT_LEAVING;
    int64_t revision = resource_revision(live);
    int64_t generation = json_int_or(row, "generation", 0);
    if (revision > generation)
        return is_our_revision(live) ? VERDICT_AHEAD : VERDICT_RAISED;
    return revision < generation ? VERDICT_STALE : judge_equal(row, live);
}

json_t *resource_desired(struct ctx *ctx, const json_t *row, const json_t *live)
{
    json_t *desired = arena_json(ctx->arena, json_deep_copy(json_object_get(row, "object")));
    char seal[SEAL_BYTES];
    seal_of(json_object_get(desired, "spec"), seal);
    json_object_set_new(json_object_get(desired, "metadata"), "annotations",
                        json_pack("{s:s}", ANNOTATION_PUBLISHED, seal));
    if (live)
        json_put(desired, "metadata.uid", json_string(json_str(live, "metadata.uid")));
    json_put(desired, "metadata.resourceVersion",
             json_string(json_str_or(live, "metadata.resourceVersion", KUBE_VERSION_ABSENT)));
    return desired;
}

json_t *resource_strays(struct ctx *ctx, const json_t *row, const json_t *live)
{
    const json_t *desired = json_object_get(row, "object");
    json_t *patch = NULL;
    for (size_t index = 0; index < ARRAY_SIZE(optional_members); index++) {
        const char *key = optional_members[index];
        if (!is_stray(desired, live, key))
            continue;
        if (!patch)
            patch = arena_json(ctx->arena,
                               json_pack("{s:{s:s, s:s}, s:{}}", "metadata", "resourceVersion",
                                         json_str_or(live, "metadata.resourceVersion", ""), "uid",
                                         json_str_or(live, "metadata.uid", ""), "spec"));
        json_object_set_new(json_object_get(patch, "spec"), key, json_null());
    }
    return patch;
}
