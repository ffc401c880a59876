/* The steps of a rotation: what may follow what, and what the kept Secret holds then. Pure. */
#include "tests/unit/test.h"

#include "reconcilers/registry/rotation.h"
#include "server/adapters/crypto.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"

#include <string.h>

#define IDENTITY "abcdefghijklmnop"

static json_t *parsed(struct ctx *ctx, const char *text)
{
    json_t *tree = NULL;
    assert_int_equal(yaml_parse(ctx, text, strlen(text), &tree), 0);
    return tree;
}

/* A scope whose pass did everything: backends are open, the stack is as planned. */
static struct registry_scope scope_of(struct ctx *ctx, json_t *kept)
{
    struct registry_scope scope = {
        .spec = {.identity = IDENTITY}, .kept = kept, .pods = parsed(ctx, "[]")};
    for (int type = 0; type < BACKEND_TYPES; type++)
        scope.backends[type].external = EXTERNAL_OPEN;
    scope.stack.ready = scope.stack_seen = true;
    return scope;
}

/* One for all: an RSA key is expensive. */
static json_t *made;

static json_t *kept_of(struct ctx *ctx)
{
    const char *key;
    json_t *value, *data = json_object();
    if (!made)
        made = json_deep_copy(registry_kept_make(ctx, IDENTITY));
    json_object_foreach(made, key, value) {
        const char *text = json_string_value(value);
        json_object_set_new(data, key, json_string(crypto_base64(ctx->arena, text, strlen(text))));
    }
    return arena_json(ctx->arena,
                      json_pack("{s:{s:{}}, s:o}", "metadata", "annotations", "data", data));
}

/* As the API server merges it. */
static void merge(json_t *into, const json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)patch, key, value) {
        if (json_is_null(value))
            json_object_del(into, key);
        else if (json_is_object(value))
            merge(json_object_get(into, key), value);
        else
            json_object_set(into, key, value);
    }
}

static bool step(struct ctx *ctx, const struct registry_scope *scope, json_t *kept)
{
    json_t *patch;
    assert_int_equal(rotation_step(ctx, scope, &patch), 0);
    if (patch)
        merge(kept, patch);
    return patch != NULL;
}

static enum rotation_phase phase_of(const json_t *kept, enum credential_kind kind)
{
    return rotation_of(kept, kind).phase;
}

/* ---- one kind through all of its phases, each of which holds until its condition is met ---- */

static const struct {
    enum credential_kind kind;
    const char *key;
    enum rotation_phase phases[4]; /* after each step; ends at CURRENT */
} ways[] = {
    {CREDENTIAL_DATABASE, "password", {ROTATION_ADDING, ROTATION_ROLLING, ROTATION_RETIRING}},
    {CREDENTIAL_REDIS, "redisPassword", {ROTATION_ADDING, ROTATION_ROLLING, ROTATION_RETIRING}},
    {CREDENTIAL_S3, "s3SecretKey", {ROTATION_ADDING, ROTATION_ROLLING, ROTATION_RETIRING}},
    {CREDENTIAL_REGISTRY,
     "registryPassword",
     {ROTATION_ADDING, ROTATION_ROLLING, ROTATION_RETIRING}},
    {CREDENTIAL_INTERNAL, "tokenKey", {ROTATION_ROLLING}},
};

static void steps__lead_from_asked_to_current(void **state)
{
    struct ctx *ctx = *state;
    for (size_t at = 0; at < sizeof ways / sizeof *ways; at++) {
        json_t *kept = kept_of(ctx);
        struct registry_scope scope = scope_of(ctx, kept);
        assert_false(step(ctx, &scope, kept));
        scope.spec.credentials[ways[at].kind] = 7;
        int taken = 0;
        while (rotation_is_open(&scope, ways[at].kind)) {
            assert_true(step(ctx, &scope, kept));
            assert_int_equal(phase_of(kept, ways[at].kind), ways[at].phases[taken++]);
        }
        assert_int_equal(rotation_of(kept, ways[at].kind).number, 7);
        assert_false(step(ctx, &scope, kept));
        for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) /* nobody else's was touched */
            assert_int_equal(rotation_of(kept, kind).number, kind == (int)ways[at].kind ? 7 : 0);
    }
}

static void values__are_kept_before_and_until_they_are_needed(void **state)
{
    struct ctx *ctx = *state;
    for (size_t at = 0; at < sizeof ways / sizeof *ways; at++) {
        json_t *kept = kept_of(ctx);
        struct registry_scope scope = scope_of(ctx, kept);
        const char *other = arena_printf(ctx->arena, "%s" KEPT_OTHER, ways[at].key);
        const char *first = registry_secret_value(ctx, kept, ways[at].key);
        const char *secret_key = registry_secret_value(ctx, kept, "secretKey");
        scope.spec.credentials[ways[at].kind] = 7;
        step(ctx, &scope, kept);
        const char *next = registry_secret_value(ctx, kept, other);
        if (ways[at].kind != CREDENTIAL_INTERNAL) {
            assert_string_equal(registry_secret_value(ctx, kept, ways[at].key), first);
            assert_string_not_equal(next, first);
            step(ctx, &scope, kept);
            assert_string_equal(registry_secret_value(ctx, kept, ways[at].key), next);
            assert_string_equal(registry_secret_value(ctx, kept, other), first);
        }
        while (rotation_is_open(&scope, ways[at].kind))
            step(ctx, &scope, kept);
        assert_string_not_equal(registry_secret_value(ctx, kept, ways[at].key), first);
        assert_null(registry_secret_value(ctx, kept, other));
        assert_string_equal(registry_secret_value(ctx, kept, "secretKey"), secret_key);
    }
}

/* ---- what holds a step up ---- */

static void steps__wait_for_what_they_stand_upon(void **state)
{
    static const struct {
        enum credential_kind kind;
        const char *annotation, *noted;
        bool open, ready; /* the backends; the stack */
        bool may;
    } rows[] = {
        {CREDENTIAL_REDIS, "rotation.flotilla.dev/redis", "7/Adding", false, true, false},
        {CREDENTIAL_REDIS, "rotation.flotilla.dev/redis", "7/Adding", true, false, true},
        {CREDENTIAL_REDIS, "rotation.flotilla.dev/redis", "7/Rolling", true, false, false},
        {CREDENTIAL_REDIS, "rotation.flotilla.dev/redis", "7/Retiring", false, true, false},
        {CREDENTIAL_REGISTRY, "rotation.flotilla.dev/registry", "7/Adding", true, false, false},
        {CREDENTIAL_REGISTRY, "rotation.flotilla.dev/registry", "7/Retiring", true, false, false},
        {CREDENTIAL_INTERNAL, "rotation.flotilla.dev/internal", "7/Rolling", true, false, false},
        {CREDENTIAL_INTERNAL, "rotation.flotilla.dev/internal", "7/Rolling", false, true, true},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        json_t *kept = kept_of(ctx);
        const char *value = json_str(kept, "data.redisPassword");
        json_object_set_new(json_object_get(kept, "data"), "redisPasswordOther",
                            json_string(value));
        json_object_set_new(json_at(kept, "metadata.annotations"), rows[at].annotation,
                            json_string(rows[at].noted));
        struct registry_scope scope = scope_of(ctx, kept);
        for (int type = 0; !rows[at].open && type < BACKEND_TYPES; type++)
            scope.backends[type].external = EXTERNAL_PENDING;
        scope.stack.ready = rows[at].ready;
        scope.spec.credentials[rows[at].kind] = 7;
        assert_true(rotation_is_open(&scope, rows[at].kind));
        if (step(ctx, &scope, kept) != rows[at].may)
            fail_msg("%s %s", rows[at].annotation, rows[at].noted);
    }
}

/* Also after the store changed its way in the middle, and after a note by somebody's hand. */
static void every_phase__has_a_way_out(void **state)
{
    static const struct {
        enum credential_kind kind;
        const char *annotation;
        bool given;
    } rows[] = {
        {CREDENTIAL_REDIS, "rotation.flotilla.dev/redis", false},
        {CREDENTIAL_S3, "rotation.flotilla.dev/s3", false},
        {CREDENTIAL_S3, "rotation.flotilla.dev/s3", true},
        {CREDENTIAL_INTERNAL, "rotation.flotilla.dev/internal", false},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++)
        for (enum rotation_phase phase = 0; phase < ROTATION_PHASES; phase++) {
            json_t *kept = kept_of(ctx), *data = json_object_get(kept, "data");
            static const char *const keys[] = {"redisPassword", "s3AccessKey", "s3SecretKey"};
            for (size_t key = 0; key < sizeof keys / sizeof *keys; key++)
                json_object_set(data, arena_printf(ctx->arena, "%s" KEPT_OTHER, keys[key]),
                                json_object_get(data, keys[key]));
            const char *note = arena_printf(ctx->arena, "7/%s", rotation_phase_name(phase));
            json_object_set_new(json_at(kept, "metadata.annotations"), rows[at].annotation,
                                json_string(note));
            struct registry_scope scope = scope_of(ctx, kept);
            scope.backends[BACKEND_S3].given = rows[at].given ? kept : NULL;
            scope.spec.credentials[rows[at].kind] = 8;
            for (int taken = 0; taken < 8 && rotation_is_open(&scope, rows[at].kind); taken++)
                if (!step(ctx, &scope, kept))
                    fail_msg("%s from %s: no step", rows[at].annotation, note);
            assert_false(rotation_is_open(&scope, rows[at].kind));
            assert_int_equal(rotation_of(kept, rows[at].kind).number, 8);
        }
}

static void next_login__that_is_not_valid_is_waited_for_until_nobody_wants_it(void **state)
{
    struct ctx *ctx = *state;
    json_t *kept = kept_of(ctx);
    json_t *before = arena_json(ctx->arena, json_deep_copy(json_object_get(kept, "data")));
    struct registry_scope scope = scope_of(ctx, kept);
    scope.spec.credentials[CREDENTIAL_DATABASE] = 7;
    assert_true(step(ctx, &scope, kept));
    scope.backends[BACKEND_POSTGRESQL].unproved = "refused";
    assert_string_equal(rotation_held_by(&scope, CREDENTIAL_DATABASE), "refused");
    assert_false(step(ctx, &scope, kept));
    scope.spec.credentials[CREDENTIAL_DATABASE] = 0;
    assert_true(step(ctx, &scope, kept));
    assert_int_equal(phase_of(kept, CREDENTIAL_DATABASE), ROTATION_CURRENT);
    assert_null(rotation_held_by(&scope, CREDENTIAL_DATABASE));
    assert_true(json_equal(json_object_get(kept, "data"), before));
    scope.backends[BACKEND_POSTGRESQL].unproved = NULL;
    scope.spec.credentials[CREDENTIAL_DATABASE] = 7; /* the same number again */
    assert_true(step(ctx, &scope, kept));
    assert_int_equal(phase_of(kept, CREDENTIAL_DATABASE), ROTATION_ADDING);
}

/* Of a component by its label, of `uid` by its controller. */
static const char *pod_of(struct ctx *ctx, const char *component, const char *uid,
                          const char *config)
{
    return arena_printf(ctx->arena,
                        "metadata: {ownerReferences: [{uid: %s, controller: true}], labels:"
                        " {app.kubernetes.io/component: %s}, annotations: {%s}}",
                        uid, component,
                        config ? arena_printf(ctx->arena, "flotilla.dev/config: %s", config) : "");
}

static json_t *owners_of(struct ctx *ctx)
{
    static const char deployments[] =
        "[{metadata: {uid: d-core, labels: {app.kubernetes.io/component: core}}},"
        " {metadata: {uid: d-registry, labels: {app.kubernetes.io/component: registry}}}]";
    static const char others[] =
        "[{metadata: {uid: s-trivy, labels: {app.kubernetes.io/component: trivy}}},"
        " {metadata: {uid: s-redis, labels: {app.kubernetes.io/component: redis}}}]";
    static const char replica_sets[] =
        "[{metadata: {uid: r-core, ownerReferences: [{uid: d-core, controller: true}]}},"
        " {metadata: {uid: r-registry, ownerReferences: [{uid: d-registry, controller: true}]}},"
        " {metadata: {uid: r-strange, ownerReferences: [{uid: d-strange, controller: true}],"
        "             labels: {app.kubernetes.io/component: core}}},"
        " {metadata: {uid: r-claims, ownerReferences: [{uid: d-core, controller: false}]}},"
        " {metadata: {uid: r-nobody}}]";
    return rotation_pod_owners(ctx, parsed(ctx, deployments), parsed(ctx, others),
                               parsed(ctx, replica_sets));
}

static void pods__of_before_are_waited_for(void **state)
{
    static const struct {
        const char *component, *owner, *config, *more;
        bool current, registry; /* in the eyes of all, and of those who wait for the registry's */
    } rows[] = {
        {"core", "r-core", "new", "", true, true},
        {"core", "r-core", "old", "", false, true},
        {"core", "r-core", NULL, "", false, true},
        {"redis", "s-redis", "old", "", false, true},
        {"trivy", "s-trivy", "old", "", true, true}, /* nobody plans it any more */
        {"registry", "r-registry", "old", "", false, false},
        {"portal", "r-registry", "old", "", false, false}, /* a label is only a label */
        {"core", "r-core", "old", ", status: {phase: Failed}", true, true},
        /* strangers' */
        {"core", "r-strange", "old", "", true, true},
        {"core", "r-claims", "old", "", true, true},
        {"core", "r-nobody", "old", "", true, true},
        {"core", "d-core", "old", "", true, true},
        {"registry", "anything", "old", "", true, true},
    };
    static const char template[] =
        "{spec: {template: {metadata: {labels: {app.kubernetes.io/component: %s},"
        " annotations: {flotilla.dev/config: new}}}}}";
    struct ctx *ctx = *state;
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        struct bundle_object objects[] = {
            {.desired = parsed(ctx, arena_printf(ctx->arena, template, "core"))},
            {.desired = parsed(ctx, arena_printf(ctx->arena, template, "registry"))},
            {.desired = parsed(ctx, arena_printf(ctx->arena, template, "redis"))},
        };
        struct registry_scope scope = scope_of(ctx, NULL);
        scope.plan = (struct bundle_plan){.count = 3, .objects = objects};
        scope.pod_owners = owners_of(ctx);
        const char *pod = pod_of(ctx, rows[at].component, rows[at].owner, rows[at].config);
        scope.pods = parsed(ctx, arena_printf(ctx->arena, "[{%s%s}]", pod, rows[at].more));
        if (rotation_pods_current(&scope, NULL, clock_wall_ms()) != rows[at].current ||
            rotation_pods_current(&scope, "registry", clock_wall_ms()) != rows[at].registry)
            fail_msg("row %zu: %s", at, pod);
    }
}

/* ---- particulars ---- */

static void logins__take_turns(void **state)
{
    static const char *const users[] = {"t_" IDENTITY "_a", "t_" IDENTITY "_b", "t_" IDENTITY "_a"};
    struct ctx *ctx = *state;
    json_t *kept = kept_of(ctx);
    struct registry_scope scope = scope_of(ctx, kept);
    assert_string_equal(registry_secret_value(ctx, kept, "username"), "t_" IDENTITY);
    for (int turn = 0; turn < 3; turn++) {
        scope.spec.credentials[CREDENTIAL_DATABASE] = 9 - turn; /* another, not a greater one */
        scope.spec.credentials[CREDENTIAL_REGISTRY] = 9 - turn;
        while (step(ctx, &scope, kept))
            ;
        assert_string_equal(registry_secret_value(ctx, kept, "username"), users[turn]);
        bool second =
            str_starts(registry_secret_value(ctx, kept, "registryHtpasswd"), REGISTRY_USER "_b:");
        assert_int_equal(second, turn != 1);
    }
}

static void given__keys_are_not_made_anew(void **state)
{
    struct ctx *ctx = *state;
    json_t *kept = kept_of(ctx);
    json_t *before = arena_json(ctx->arena, json_deep_copy(json_object_get(kept, "data")));
    struct registry_scope scope = scope_of(ctx, kept);
    scope.backends[BACKEND_S3].given = kept;
    for (int number = 1; number < 3; number++) {
        scope.spec.credentials[CREDENTIAL_S3] = number;
        assert_true(step(ctx, &scope, kept));
        assert_false(rotation_is_open(&scope, CREDENTIAL_S3));
        assert_int_equal(phase_of(kept, CREDENTIAL_S3), ROTATION_GIVEN);
    }
    assert_true(json_equal(json_object_get(kept, "data"), before));
}

static void damage__is_told_and_nothing_is_swapped(void **state)
{
    struct ctx *ctx = *state;
    json_t *kept = kept_of(ctx), *patch;
    struct registry_scope scope = scope_of(ctx, kept);
    scope.spec.credentials[CREDENTIAL_REDIS] = 7;
    json_object_set_new(json_at(kept, "metadata.annotations"), "rotation.flotilla.dev/redis",
                        json_string("7/Adding"));
    assert_int_equal(rotation_step(ctx, &scope, &patch), -ERR_REFUSED);
    assert_string_equal(ctx->err.reason, "SecretDamaged");
    err_clear(ctx);
    json_object_set_new(json_at(kept, "metadata.annotations"), "rotation.flotilla.dev/redis",
                        json_string("by hand"));
    scope.spec.credentials[CREDENTIAL_REDIS] = 0;
    assert_false(step(ctx, &scope, kept));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(steps__lead_from_asked_to_current),
        TEST(values__are_kept_before_and_until_they_are_needed),
        TEST(steps__wait_for_what_they_stand_upon),
        TEST(every_phase__has_a_way_out),
        TEST(next_login__that_is_not_valid_is_waited_for_until_nobody_wants_it),
        TEST(pods__of_before_are_waited_for),
        TEST(logins__take_turns),
        TEST(given__keys_are_not_made_anew),
        TEST(damage__is_told_and_nothing_is_swapped),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(made);
    return failed;
}
