/* The verdicts on a row and its custom resource, and what is applied. */
#include "tests/unit/test.h"

#include "reconcilers/fleet/resource.h"

#include "reconcilers/engine/engine.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"

#include <string.h>

static const char row_text[] =
    "{\"id\":\"reg_1\",\"generation\":5,\"published\":5,\"object\":{\"metadata\":{\"namespace\":"
    "\"reg-1\",\"name\":\"r\",\"labels\":{\"flotilla.dev/fleet\":\"true\","
    "\"flotilla.dev/registry-id\":\"reg_1\"}},\"spec\":{\"revision\":5,\"size\":\"S\"}}}";

static json_t *row(struct ctx *ctx)
{
    json_t *made;
    assert_int_equal(json_parse(ctx, row_text, strlen(row_text), 4096, &made), 0);
    return made;
}

/* The custom resource as publishing `from` leaves it. */
static json_t *published(struct ctx *ctx, const json_t *from)
{
    json_t *live = resource_desired(ctx, from, NULL);
    json_put(live, "metadata.uid", json_string("u-1"));
    json_put(live, "metadata.resourceVersion", json_string("77"));
    return live;
}

/* As published at `generation`, then spec.<key> set by hand. NULL value = not touched. */
struct edit {
    const char *what;
    int generation, published_of_row;
    const char *path;
    json_t *(*value)(void);
    enum verdict verdict;
};

static json_t *large(void)
{
    return json_string("L");
}
static json_t *kept(void)
{
    return json_string("Kept");
}
static json_t *nine(void)
{
    return json_integer(9);
}
static json_t *nothing(void)
{
    return json_null();
}

static const struct edit edits[] = {
    {"untouched", 5, 5, NULL, NULL, VERDICT_CURRENT},
    {"older", 4, 5, NULL, NULL, VERDICT_STALE},
    {"older and edited", 4, 5, "spec.size", large, VERDICT_STALE},
    {"edited", 5, 5, "spec.size", large, VERDICT_DRIFTED},
    {"edited before the row knew that it was published", 5, 4, "spec.size", large, VERDICT_DRIFTED},
    {"a member added", 5, 5, "spec.purgeAfter", large, VERDICT_DRIFTED},
    {"a hand-over named", 5, 5, "spec.adminSecretRef", large, VERDICT_DRIFTED},
    {"a status that we do not judge", 5, 5, "status.adminPassword", kept, VERDICT_CURRENT},
    {"a member of nobody's added", 5, 5, "spec.tomorrow", large, VERDICT_CURRENT},
    {"revision raised by hand", 5, 5, "spec.revision", nine, VERDICT_RAISED},
    {"we published more than the row knows", 6, 5, NULL, NULL, VERDICT_AHEAD},
    {"more, and edited since", 6, 5, "spec.size", large, VERDICT_AHEAD},
    {"terminating", 6, 5, "metadata.deletionTimestamp", large, VERDICT_LEAVING},
    {"label given away", 5, 5, "metadata.labels", nothing, VERDICT_FOREIGN},
};

static void test_resource__judges_edits(void **state)
{
    struct ctx *ctx = *state;
    for (size_t index = 0; index < ARRAY_SIZE(edits); index++) {
        const struct edit *edit = &edits[index];
        json_t *then = row(ctx), *now = row(ctx);
        json_put(then, "generation", json_integer(edit->generation));
        json_put(then, "object.spec.revision", json_integer(edit->generation));
        json_put(now, "published", json_integer(edit->published_of_row));
        json_t *live = published(ctx, then);
        if (edit->path)
            json_put(live, edit->path, edit->value());
        enum verdict verdict = resource_judge(now, live);
        if (verdict != edit->verdict)
            fail_msg("%s: %s, not %s", edit->what, verdict_row(verdict)->reason,
                     verdict_row(edit->verdict)->reason);
    }
    assert_int_equal(resource_judge(row(ctx), NULL), VERDICT_ABSENT);
}

/* A restored database counted up to the live number again, with other content. */
static void test_resource__tells_two_histories_apart(void **state)
{
    struct ctx *ctx = *state;
    json_t *other = row(ctx);
    json_put(other, "object.spec.size", json_string("M"));
    json_t *live = published(ctx, other), *unpublished = row(ctx);
    json_put(unpublished, "published", json_integer(4));
    assert_int_equal(resource_judge(unpublished, live), VERDICT_AHEAD);
    /* The row knows that it was published: only our own rendering changed. */
    assert_int_equal(resource_judge(row(ctx), live), VERDICT_DRIFTED);
}

static void test_resource__desired_is_fenced(void **state)
{
    struct ctx *ctx = *state;
    json_t *create = resource_desired(ctx, row(ctx), NULL);
    assert_string_equal(json_str(create, "metadata.resourceVersion"), "1");
    assert_null(json_str(create, "metadata.uid"));
    json_t *update = resource_desired(ctx, row(ctx), published(ctx, row(ctx)));
    assert_string_equal(json_str(update, "metadata.resourceVersion"), "77");
    assert_string_equal(json_str(update, "metadata.uid"), "u-1");
}

static void test_resource__strays_are_removed_under_a_fence(void **state)
{
    struct ctx *ctx = *state;
    json_t *live = published(ctx, row(ctx));
    assert_null(resource_strays(ctx, row(ctx), live));
    json_put(live, "spec.purgeAfter", json_string("2099-01-01T00:00:00Z"));
    json_put(live, "spec.tomorrow", json_string("x"));
    json_t *patch = resource_strays(ctx, row(ctx), live);
    assert_true(json_is_null(json_at(patch, "spec.purgeAfter")));
    assert_int_equal(json_object_size(json_at(patch, "spec")), 1);
    assert_string_equal(json_str(patch, "metadata.resourceVersion"), "77");
}

/* What lets the fleet forget a password: this word in the status, and nothing else. */
static json_t *fence_of(struct ctx *ctx, const char *fleet, const char *tenant, const char *id)
{
    return arena_json(ctx->arena,
                      json_pack("{s:{s:{s:s*, s:s*, s:s*}}}", "metadata", "labels", LABEL_FLEET,
                                fleet, LABEL_TENANT, tenant, LABEL_REGISTRY_ID, id));
}

/* A registry's namespace is its own; a tenant's is that of all its pipelines. */
static void test_resource__knows_its_namespace(void **state)
{
    static const struct {
        const char *id, *fleet, *tenant, *found_id;
        bool owns;
    } rows[] = {
        {"reg_1", "true", "tn_1", "reg_1", true}, {"reg_1", "true", "tn_1", "reg_2", false},
        {"reg_1", "true", "tn_1", NULL, false},   {"reg_1", NULL, "tn_1", "reg_1", false},
        {NULL, "true", "tn_1", NULL, true},       {NULL, "true", "tn_2", NULL, false},
        {NULL, "true", "tn_1", "reg_1", false},   {NULL, NULL, NULL, NULL, false},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        json_t *of_row = arena_json(
            ctx->arena, json_pack("{s:O}", "fence", fence_of(ctx, "true", "tn_1", rows[at].id)));
        const json_t *found = fence_of(ctx, rows[at].fleet, rows[at].tenant, rows[at].found_id);
        assert_int_equal(resource_owns_fence(of_row, found), rows[at].owns);
    }
    assert_int_equal(published_kind("pl_1")->kube, KIND_PIPELINE);
    assert_int_equal(published_kind("reg_1")->kube, KIND_REGISTRY);
}

static void test_resource__keeps_only_what_it_says(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *path, *value;
        bool keeps;
    } rows[] = {
        {"status.adminPassword", "Kept", true},    {"status.adminPassword", "kept", false},
        {"status.adminPassword", "", false},       {"status.adminPassword", "Keptx", false},
        {"spec.adminPassword", "Kept", false},     {"adminPassword", "Kept", false},
        {"status.adminPassword.x", "Kept", false}, {"status.other", "Kept", false},
    };
    assert_false(resource_keeps_password(NULL));
    assert_false(resource_keeps_password(published(ctx, row(ctx))));
    for (size_t index = 0; index < ARRAY_SIZE(rows); index++) {
        json_t *live = published(ctx, row(ctx));
        json_put(live, rows[index].path, json_string(rows[index].value));
        if (resource_keeps_password(live) != rows[index].keeps)
            fail_msg("%s: %s", rows[index].path, rows[index].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_resource__judges_edits),
        TEST(test_resource__tells_two_histories_apart),
        TEST(test_resource__desired_is_fenced),
        TEST(test_resource__strays_are_removed_under_a_fence),
        TEST(test_resource__knows_its_namespace),
        TEST(test_resource__keeps_only_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
