/*
 * Rules that every object of every stack keeps, whatever the version, the size and the options:
 * each of them is a trap that somebody fell into (reference of Harbor's binaries, tried). Sizes add
 * up.
 */
#include "tests/unit/reconcilers/registry/operator.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdio.h>
#include <string.h>

enum { MIGRATION_CONNECTIONS = 4, OWN_CONNECTIONS = 2 };

static const char *const versions[] = {"2.13", "2.14", "2.15", "2.14.1"};
static const char *const sizes[] = {"S", "M", "L"};
static const char *const option_sets[][8] = {
    {NULL},
    {"trivy", "exporter", "managed", "issuer", "class"},
    {"trivy", "secret"},
    {"exporter", "managed"},
    {"trivy", "exporter", "managed", "issuer", "closed"},
    {"trivy", "exporter", "managed", "issuer", "dedicated", "pulls"},
    {"dedicated", "rotating"},
    {"dedicated", "closed"},
};
enum { FULLEST = 5 }; /* of them, by pods */

static struct bundle_plan plan_of(struct ctx *ctx, const struct registry_operator *home,
                                  const char *version, const char *size, const char *const *options)
{
    struct bundle_plan plan;
    if (registry_example(ctx, home, version, size, options, &plan) < 0)
        fail_msg("%s %s: %s", version, size, ctx->err.message);
    return plan;
}

/* One rule, asked about one object at a time. */
struct seen {
    struct ctx *ctx;
    const struct bundle_plan *plan;
    const struct bundle_object *object;
    const char *version, *size;
};

static void for_each_object(struct ctx *ctx, void (*rule)(const struct seen *seen))
{
    struct registry_operator *home = test_operator(ctx);
    for (size_t version = 0; version < ARRAY_SIZE(versions); version++)
        for (size_t size = 0; size < ARRAY_SIZE(sizes); size++)
            for (size_t set = 0; set < ARRAY_SIZE(option_sets); set++) {
                struct arena *arena = arena_new();
                struct ctx own = ctx_make(arena, "test");
                struct bundle_plan plan =
                    plan_of(&own, home, versions[version], sizes[size], option_sets[set]);
                for (int at = 0; at < plan.count; at++)
                    if (plan.objects[at].desired)
                        rule(&(struct seen){&own, &plan, &plan.objects[at], versions[version],
                                            sizes[size]});
                arena_free(arena);
            }
    registry_operator_free(home);
}

static const json_t *find(const struct bundle_plan *plan, const char *id)
{
    for (int at = 0; at < plan->count; at++)
        if (str_equal(plan->objects[at].id, id))
            return plan->objects[at].desired;
    return NULL;
}

static const char *decoded(struct ctx *ctx, const json_t *secret, const char *key)
{
    const char *text = json_string_value(json_object_get(json_at(secret, "data"), key));
    size_t bytes;
    return text ? crypto_unbase64(ctx->arena, text, &bytes) : NULL;
}

#define REQUIRE(seen, condition)                                                                   \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("%s %s %s: %s", (seen)->version, (seen)->size, (seen)->object->id,            \
                     #condition);                                                                  \
    } while (0)

/* ---- pods ---- */

static void check_container(const struct seen *seen, const json_t *container)
{
    static const char *const needed[] = {"resources.requests.cpu", "resources.requests.memory",
                                         "resources.limits.memory", "image"};
    for (size_t at = 0; at < ARRAY_SIZE(needed); at++)
        if (!json_str(container, needed[at]))
            fail_msg("%s: no %s", seen->object->id, needed[at]);
    const json_t *security = json_at(container, "securityContext");
    REQUIRE(seen, !json_bool_or(security, "allowPrivilegeEscalation", true));
    REQUIRE(seen, str_equal(json_str(security, "capabilities.drop.0"), "ALL"));
    /* a Job has none: nothing may kill a migration */
    bool probed = json_at(container, "startupProbe") && json_at(container, "readinessProbe") &&
                  json_at(container, "livenessProbe");
    bool bare = !json_at(container, "startupProbe") && !json_at(container, "livenessProbe");
    REQUIRE(seen, seen->object->kind == KIND_JOB ? bare : probed);
}

static void check_pod(const struct seen *seen)
{
    const json_t *pod = json_at(seen->object->desired, "spec.template.spec"), *security;
    size_t index;
    json_t *container;
    if (!pod)
        return;
    security = json_at(pod, "securityContext");
    /* Services named like the registry would inject REGISTRY_* and HARBOR_* */
    REQUIRE(seen, !json_bool_or(pod, "enableServiceLinks", true));
    REQUIRE(seen, !json_bool_or(pod, "automountServiceAccountToken", true));
    REQUIRE(seen, json_bool_or(security, "runAsNonRoot", false));
    REQUIRE(seen, json_int_or(security, "runAsUser", 0) == 10000);
    REQUIRE(seen, json_int_or(security, "fsGroup", 0) == 10000);
    REQUIRE(seen, str_equal(json_str(security, "seccompProfile.type"), "RuntimeDefault"));
    json_array_foreach(json_at(pod, "containers"), index, container)
        check_container(seen, container);
}

static void pods__are_restricted_probed_and_bounded(void **state)
{
    for_each_object(*state, check_pod);
}

/* ---- who speaks with whom ---- */

static bool selects(const json_t *policy, const json_t *labels)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_at(policy, "spec.podSelector.matchLabels"), key, value)
        if (!json_equal(json_object_get(labels, key), value))
            return false;
    return json_object_size(json_at(policy, "spec.podSelector.matchLabels")) > 0;
}

static void check_policies(const struct seen *seen)
{
    const json_t *labels = json_at(seen->object->desired, "spec.template.metadata.labels");
    int found = 0;
    if (seen->object->kind == KIND_NETWORK_POLICY &&
        !str_equal(seen->object->id, "namespace-network") &&
        !str_equal(seen->object->id, "certificate-network"))
        REQUIRE(seen, str_equal(json_string_value(json_object_get(
                                    json_at(seen->object->desired, "spec.podSelector.matchLabels"),
                                    LABEL_REGISTRY)),
                                "acme"));
    if (!labels)
        return;
    for (int at = 0; at < seen->plan->count; at++)
        found += seen->plan->objects[at].kind == KIND_NETWORK_POLICY &&
                 seen->plan->objects[at].desired &&
                 selects(seen->plan->objects[at].desired, labels);
    REQUIRE(seen, found == 1);
}

static void policies__are_one_for_each_pod_and_for_nobody_else(void **state)
{
    for_each_object(*state, check_policies);
}

/* ---- secrets ---- */

static void check_leak(const struct seen *seen)
{
    const char *text = json_text(seen->ctx->arena, seen->object->desired);
    bool holds = strstr(text, "secret-") != NULL || strstr(text, "c2VjcmV0L") != NULL;
    if (seen->object->kind != KIND_SECRET && holds) {
        /* names of objects end with it, too */
        for (const char *at = strstr(text, "secret-"); at; at = strstr(at + 1, "secret-"))
            fail_msg("%s: %.40s", seen->object->id, at);
    }
}

static void secrets__stand_in_secrets_only(void **state)
{
    for_each_object(*state, check_leak);
}

static void check_formats(const struct seen *seen)
{
    const json_t *object = seen->object->desired;
    if (str_equal(seen->object->id, "core-files")) {
        REQUIRE(seen, strlen(decoded(seen->ctx, object, "key")) == 16); /* and no newline */
        REQUIRE(seen, strstr(decoded(seen->ctx, object, "app.conf"), "httpport = 8080\n"));
    }
    if (str_equal(seen->object->id, "core-secret"))
        REQUIRE(seen, strlen(decoded(seen->ctx, object, "CSRF_KEY")) == 32);
}

static void files__have_the_form_that_harbor_reads(void **state)
{
    for_each_object(*state, check_formats);
}

static void kept__values_have_the_form_that_harbor_reads(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *key;
        size_t length; /* 0 = any */
        const char *start;
    } rows[] = {
        {"secretKey", 16, ""},
        {"csrfKey", 32, ""},
        {"tokenKey", 0, "-----BEGIN RSA PRIVATE KEY-----\n"},
        {"registryHtpasswd", 0, REGISTRY_USER ":$2b$"},
        {"adminPassword", 32, ""},
        {"coreSecret", 32, ""},
    };
    json_t *values = registry_kept_make(ctx, "abcdefghijklmnop");
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const char *value = json_str(values, rows[at].key);
        assert_non_null(value);
        assert_true(str_starts(value, rows[at].start));
        if (rows[at].length && strlen(value) != rows[at].length)
            fail_msg("%s has %zu characters", rows[at].key, strlen(value));
    }
    const char *admin = json_str(values, "adminPassword"); /* Harbor's own policy */
    assert_non_null(strpbrk(admin, "0123456789"));
    assert_non_null(strpbrk(admin, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
    assert_non_null(strpbrk(admin, "abcdefghijklmnopqrstuvwxyz"));
    assert_string_not_equal(admin,
                            json_str(registry_kept_make(ctx, "abcdefghijklmnop"), "adminPassword"));
}

/* ---- versions ---- */

/* Before 2.15 the registry knows no Redis user name: a shared Redis would let nobody in; one of its
 * own does, as the user that has no need of a name. */
static void registry__uses_redis_where_it_knows_a_user(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *version, *option, *layerinfo, *user;
        bool redis;
    } rows[] = {
        {"2.13", NULL, "inmemory", NULL, false},
        {"2.14", NULL, "inmemory", NULL, false},
        {"2.15", NULL, "redis", "t_abcdefghijklmnop", true},
        {"2.13", "dedicated", "redis", NULL, true},
        {"2.14", "dedicated", "redis", NULL, true},
        {"2.15", "dedicated", "redis", "default", true},
    };
    struct registry_operator *home = test_operator(ctx);
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const char *const options[] = {rows[at].option, NULL};
        struct bundle_plan plan = plan_of(ctx, home, rows[at].version, "S", options);
        const json_t *data = json_at(find(&plan, "registry-config"), "data");
        const char *text = json_string_value(json_object_get(data, "config.yml"));
        json_t *config = NULL;
        assert_int_equal(json_parse(ctx, text, strlen(text), JSON_TEXT_MAX_BYTES, &config), 0);
        assert_string_equal(json_str(config, "storage.cache.layerinfo"), rows[at].layerinfo);
        assert_int_equal(json_at(config, "redis") != NULL, rows[at].redis);
        const char *password =
            decoded(ctx, find(&plan, "registry-secret"), "REGISTRY_REDIS_PASSWORD");
        assert_int_equal(password != NULL, rows[at].redis);
        if (!str_equal(json_str(config, "redis.username"), rows[at].user))
            fail_msg("%s %s", rows[at].version, rows[at].option ? rows[at].option : "");
    }
    registry_operator_free(home);
}

/* What the provider API calls a version, and what the operator makes of its minor, are one. */
static void versions__are_those_of_the_api(void **state)
{
    static const char *const known[] = {
#define VERSION(version, why) version,
#include "api/versions.def"
#undef VERSION
    };
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    assert_int_equal(home->bundle_count, ARRAY_SIZE(known));
    for (size_t at = 0; at < ARRAY_SIZE(known); at++) {
        const char *minor = arena_strndup(ctx->arena, known[at], strlen("2.00"));
        const json_t *patches = json_object_get(home->versions, "patches");
        assert_string_equal(json_string_value(json_object_get(patches, minor)), known[at]);
    }
    struct bundle_plan plan;
    assert_int_equal(registry_example(ctx, home, "2.16", "S", option_sets[0], &plan), -ERR_INVALID);
    assert_int_equal(registry_example(ctx, home, "2.1", "S", option_sets[0], &plan), -ERR_INVALID);
    assert_int_equal(registry_example(ctx, home, "2.15", "XL", option_sets[0], &plan),
                     -ERR_INVALID);
    registry_operator_free(home);
}

/* ---- order ---- */

static bool follows(const struct bundle_plan *plan, const char *id, const char *before)
{
    for (int at = 0; at < plan->count; at++) {
        const char *const *after = plan->objects[at].after;
        if (!str_equal(plan->objects[at].id, id))
            continue;
        for (; *after; after++)
            if (str_equal(*after, before) || follows(plan, *after, before))
                return true;
    }
    return false;
}

static void order__is_schema_core_rest_jobservice(void **state)
{
    static const char *const pairs[][2] = {
        {"core", "migration"},  {"portal", "core"},
        {"registry", "core"},   {"trivy", "core"},
        {"exporter", "core"},   {"jobservice", "registry"},
        {"jobservice", "core"}, {"migration", "core-secret"},
        {"core", "core-files"}, {"registry", "registry-config"},
        {"migration", "redis"}, {"redis", "redis-users"},
    };
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    struct bundle_plan plan = plan_of(ctx, home, "2.15", "M", option_sets[FULLEST]);
    for (size_t at = 0; at < ARRAY_SIZE(pairs); at++)
        if (!follows(&plan, pairs[at][0], pairs[at][1]))
            fail_msg("%s does not wait for %s", pairs[at][0], pairs[at][1]);
    const json_t *core = json_at(find(&plan, "core"), "spec.template.spec.containers.0");
    const json_t *job = json_at(find(&plan, "migration"), "spec.template.spec.containers.0");
    assert_string_equal(json_str(core, "command.1"), "-mode=skip-migrate");
    assert_string_equal(json_str(job, "command.1"), "-mode=migrate");
    assert_null(json_at(find(&plan, "migration"), "spec.activeDeadlineSeconds"));
    registry_operator_free(home);
}

/* ---- a change of what pods read rolls them; a change of size makes no new migration ---- */

static const char *config_digest(const struct bundle_plan *plan, const char *id)
{
    const json_t *annotations = json_at(find(plan, id), "spec.template.metadata.annotations");
    return json_string_value(json_object_get(annotations, ANNOTATION_CONFIG));
}

static void configuration__rolls_its_readers_only(void **state)
{
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    static const char *const traced[] = {"exporter", NULL};
    struct bundle_plan one = plan_of(ctx, home, "2.15", "M", option_sets[0]);
    struct bundle_plan two = plan_of(ctx, home, "2.15", "M", traced); /* switches metrics on */
    assert_string_not_equal(config_digest(&one, "core"), config_digest(&two, "core"));
    assert_string_not_equal(config_digest(&one, "registry"), config_digest(&two, "registry"));
    assert_string_equal(config_digest(&one, "portal"), config_digest(&two, "portal"));
    registry_operator_free(home);
}

/* Redis reads who may log in when it starts, so that a password that comes or goes restarts it;
 * that two of them change places does not, but turns all others. */
static void redis__starts_anew_for_another_set_of_passwords_only(void **state)
{
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    static const char *const sets[][3] = {
        {"dedicated", NULL}, {"dedicated", "rotating", NULL}, {"dedicated", "turned", NULL}};
    struct bundle_plan plans[ARRAY_SIZE(sets)];
    for (size_t at = 0; at < ARRAY_SIZE(sets); at++)
        plans[at] = plan_of(ctx, home, "2.15", "S", sets[at]);
    assert_string_not_equal(config_digest(&plans[0], "redis"), config_digest(&plans[1], "redis"));
    assert_string_equal(config_digest(&plans[1], "redis"), config_digest(&plans[2], "redis"));
    assert_string_equal(config_digest(&plans[0], "core"), config_digest(&plans[1], "core"));
    assert_string_not_equal(config_digest(&plans[1], "core"), config_digest(&plans[2], "core"));
    registry_operator_free(home);
}

static void migration__is_another_one_for_another_version_only(void **state)
{
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    struct bundle_plan small = plan_of(ctx, home, "2.15", "S", option_sets[0]);
    struct bundle_plan large = plan_of(ctx, home, "2.15", "L", option_sets[1]);
    struct bundle_plan older = plan_of(ctx, home, "2.14", "S", option_sets[0]);
    const char *name = json_str(find(&small, "migration"), "metadata.name");
    assert_string_equal(name, json_str(find(&large, "migration"), "metadata.name"));
    assert_string_not_equal(name, json_str(find(&older, "migration"), "metadata.name"));
    registry_operator_free(home);
}

/* ---- what an operator leaves out ---- */

static int open_with(struct ctx *ctx, const char *leave_out, struct registry_operator **ret)
{
    const struct registry_options options = {.operator_namespace = "flotilla-system",
                                             .leave_out = leave_out};
    return registry_operator_new(ctx, NULL, &options, ret);
}

/* "core-config", "core-secret", "portal" become "core portal": whose objects there are. */
static const char *parts_of(struct ctx *ctx, const struct bundle_plan *plan)
{
    const char *words = "";
    for (int at = 0; at < plan->count; at++) {
        const char *id = plan->objects[at].id;
        const char *part = arena_strndup(ctx->arena, id, strcspn(id, "-"));
        if (plan->objects[at].desired && !str_has_word(words, part))
            words = arena_printf(ctx->arena, "%s%s%s", words, *words ? " " : "", part);
    }
    return words;
}

static void parts__that_are_left_out_are_in_no_object(void **state)
{
    static const struct {
        const char *leave_out, *left;
        size_t containers; /* of the registry's pod; 0 = there is none */
    } rows[] = {
        {"",
         "namespace certificate core migration images portal registry jobservice trivy exporter "
         "redis "
         "backends ingress",
         2},
        {"registryctl",
         "namespace certificate core migration images portal registry jobservice trivy exporter "
         "redis "
         "backends ingress",
         1},
        {"core jobservice registryctl trivy exporter", "namespace portal registry redis backends",
         1},
        {"namespace core jobservice registry trivy exporter", "portal redis backends", 0},
        {"portal registry",
         "namespace certificate core migration images jobservice trivy exporter redis "
         "backends ingress",
         0},
    };
    struct ctx *ctx = *state;
    for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
        struct registry_operator *home = NULL;
        assert_int_equal(open_with(ctx, rows[row].leave_out, &home), 0);
        struct bundle_plan plan = plan_of(ctx, home, "2.15", "L", option_sets[FULLEST]);
        const json_t *containers =
            json_at(find(&plan, "registry"), "spec.template.spec.containers");
        assert_string_equal(parts_of(ctx, &plan), rows[row].left);
        assert_int_equal(json_array_size(containers), rows[row].containers);
        registry_operator_free(home);
    }
}

static void parts__that_are_unknown_are_refused(void **state)
{
    static const char *const words[] = {"cores", "core,registryctl", "core  portal", " core",
                                        "redis"};
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(words); at++) {
        struct registry_operator *home = NULL;
        if (open_with(ctx, words[at], &home) != -ERR_CONFIG)
            fail_msg("'%s' was taken", words[at]);
        err_clear(ctx);
    }
}

/* ---- sums ---- */

/*
 * Pools count per process, and jobservice has core's. While a Deployment rolls there is one pod
 * more (maxSurge 1), and one that ends may still hold its connections.
 */
static void connections__fit_under_the_limit_of_the_role(void **state)
{
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    for (size_t at = 0; at < ARRAY_SIZE(sizes); at++) {
        const json_t *size = json_object_get(home->sizes, sizes[at]);
        int64_t pool = json_int_or(size, "core.connections", 0);
        int64_t pods = json_int_or(size, "core.replicas", 0) + 2 +
                       json_int_or(size, "jobservice.replicas", 0) + 2;
        int64_t sum = pods * pool + json_int_or(size, "exporter.connections", 0) +
                      MIGRATION_CONNECTIONS + OWN_CONNECTIONS;
        assert_true(pool > 0);
        if (sum > json_int_or(size, "connections", 0))
            fail_msg("size %s may need %lld connections", sizes[at], (long long)sum);
    }
    registry_operator_free(home);
}

/* "100m", "2", "64Mi", "4Gi", in thousandths or bytes. */
static int64_t quantity(const char *text)
{
    char *unit;
    long long number = strtoll(text, &unit, 10);
    static const struct {
        const char *unit;
        long long factor;
    } units[] = {{"m", 1}, {"", 1000}, {"Mi", 1LL << 20}, {"Gi", 1LL << 30}};
    for (size_t at = 0; at < ARRAY_SIZE(units); at++)
        if (str_equal(units[at].unit, unit))
            return number * units[at].factor;
    fail_msg("no quantity: %s", text);
    return 0;
}

struct sum {
    int64_t pods, cpu, memory, volumes;
};

static void add_pods(const json_t *object, struct sum *sum)
{
    size_t index;
    json_t *container;
    int64_t replicas = json_int_or(object, "spec.replicas", 1);
    if (!json_at(object, "spec.template"))
        return;
    sum->volumes +=
        replicas * (int64_t)json_array_size(json_at(object, "spec.volumeClaimTemplates"));
    replicas += json_at(object, "spec.strategy.rollingUpdate") != NULL; /* maxSurge */
    sum->pods += replicas;
    json_array_foreach(json_at(object, "spec.template.spec.containers"), index, container) {
        sum->cpu += replicas * quantity(json_str(container, "resources.requests.cpu"));
        sum->memory += replicas * quantity(json_str(container, "resources.limits.memory"));
    }
}

static void quota__holds_the_stack_while_it_rolls(void **state)
{
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    for (size_t size = 0; size < ARRAY_SIZE(sizes); size++) {
        struct bundle_plan plan = plan_of(ctx, home, "2.15", sizes[size], option_sets[FULLEST]);
        struct sum sum = {0};
        for (int at = 0; at < plan.count; at++)
            add_pods(plan.objects[at].desired, &sum);
        const json_t *hard = json_at(find(&plan, "namespace-quota"), "spec.hard");
        if (sum.pods > json_int_or(hard, "pods", 0) ||
            sum.cpu > quantity(json_string_value(json_object_get(hard, "requests.cpu"))) ||
            sum.memory > quantity(json_string_value(json_object_get(hard, "limits.memory"))) ||
            sum.volumes > json_int_or(hard, "persistentvolumeclaims", 0))
            fail_msg("size %s: %lld pods, %lld m, %lld bytes, %lld volumes", sizes[size],
                     (long long)sum.pods, (long long)sum.cpu, (long long)sum.memory,
                     (long long)sum.volumes);
    }
    registry_operator_free(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pods__are_restricted_probed_and_bounded),
        TEST(policies__are_one_for_each_pod_and_for_nobody_else),
        TEST(secrets__stand_in_secrets_only),
        TEST(files__have_the_form_that_harbor_reads),
        TEST(kept__values_have_the_form_that_harbor_reads),
        TEST(registry__uses_redis_where_it_knows_a_user),
        TEST(versions__are_those_of_the_api),
        TEST(order__is_schema_core_rest_jobservice),
        TEST(configuration__rolls_its_readers_only),
        TEST(redis__starts_anew_for_another_set_of_passwords_only),
        TEST(migration__is_another_one_for_another_version_only),
        TEST(parts__that_are_left_out_are_in_no_object),
        TEST(parts__that_are_unknown_are_refused),
        TEST(connections__fit_under_the_limit_of_the_role),
        TEST(quota__holds_the_stack_while_it_rolls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
