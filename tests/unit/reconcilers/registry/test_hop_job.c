/* What pods of a Job tell of its images. */
#include "tests/unit/test.h"

#include "reconcilers/registry/scope.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/yaml.h"

#include <string.h>

static const char job_text[] =
    "{metadata: {uid: j}, spec: {template: {spec: {containers: [{name: core}, {name: portal}]}}}}";

static json_t *tree_of(struct ctx *ctx, const char *text)
{
    json_t *tree = NULL;
    if (yaml_parse(ctx, text, strlen(text), &tree) < 0)
        fail_msg("%s", ctx->err.message);
    return tree;
}

/* One pod, made at 2026-11-28T10:00:00Z, controlled by `owner`. */
static json_t *pods_of(struct ctx *ctx, const char *owner, const char *core, const char *portal)
{
    return tree_of(ctx, arena_printf(ctx->arena,
                                     "[{metadata: {creationTimestamp: '2026-11-28T10:00:00Z',"
                                     " ownerReferences: [{controller: true, uid: %s}]}, status:"
                                     " {containerStatuses: [{name: core, image: c:1, %s},"
                                     " {name: portal, image: p:1, %s}]}}]",
                                     owner, core, portal));
}

#define CREATING "state: {waiting: {reason: ContainerCreating}}"
#define BACK_OFF "state: {waiting: {reason: ImagePullBackOff}}"
#define RUNS "state: {running: {startedAt: x}}"
#define NO_COMMAND "imageID: sha256, state: {waiting: {reason: RunContainerError}}"
#define ENDED "state: {terminated: {reason: StartError}}"
#define LOST "state: {terminated: {reason: ContainerStatusUnknown}}"

static void images__have_come_when_each_container_tried_to_run(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *owner, *core, *portal;
        bool came;
    } cases[] = {
        {"j", RUNS, RUNS, true},
        {"j", ENDED, NO_COMMAND, true},
        {"j", RUNS, CREATING, false},
        {"j", BACK_OFF, RUNS, false},
        {"j", LOST, RUNS, false},
        {"other", RUNS, RUNS, false}, /* whoever may make pods writes any label */
    };
    const json_t *job = tree_of(ctx, job_text);
    for (size_t at = 0; at < ARRAY_SIZE(cases); at++)
        assert_int_equal(
            hop_images_came(job, pods_of(ctx, cases[at].owner, cases[at].core, cases[at].portal)),
            cases[at].came);
    assert_false(hop_images_came(NULL, pods_of(ctx, "j", RUNS, RUNS)));
    assert_false(hop_images_came(job, NULL));
}

static void image__is_missing_after_its_time(void **state)
{
    struct ctx *ctx = *state;
    const json_t *job = tree_of(ctx, job_text);
    int64_t made_ms;
    assert_int_equal(clock_parse_rfc3339("2026-11-28T10:00:00Z", &made_ms), 0);
    const json_t *stuck = pods_of(ctx, "j", RUNS, BACK_OFF);
    assert_string_equal(hop_image_missing(job, stuck, made_ms), "p:1");
    assert_null(hop_image_missing(job, stuck, made_ms - 1));
    assert_null(hop_image_missing(job, pods_of(ctx, "j", RUNS, CREATING), made_ms));
    assert_null(hop_image_missing(job, pods_of(ctx, "other", RUNS, BACK_OFF), made_ms));
    assert_null(hop_image_missing(NULL, pods_of(ctx, "null", RUNS, BACK_OFF), made_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(images__have_come_when_each_container_tried_to_run),
        TEST(image__is_missing_after_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
