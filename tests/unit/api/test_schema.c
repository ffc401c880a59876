/* Bodies: what is wrong is named at its place; only what has a row gets in. */
#include "../test.h"

#include "api/registry_request.h"
#include "api/schema.h"
#include "server/base/json.h"

#include <string.h>

static json_t *parse(struct ctx *ctx, const char *text)
{
    json_t *json = NULL;
    assert_int_equal(json_parse(ctx, text, strlen(text), 4096, &json), 0);
    return json;
}

static bool has(const struct field_errors *errors, const char *pointer, const char *code)
{
    for (int at = 0; at < errors->count; at++)
        if (strcmp(errors->row[at].pointer, pointer) == 0 &&
            strcmp(errors->row[at].code, code) == 0)
            return true;
    return false;
}

static void test_names(void **state)
{
    (void)state;
    assert_true(schema_is_dns_label("a"));
    assert_true(schema_is_dns_label("a-1"));
    assert_false(schema_is_dns_label(""));
    assert_false(schema_is_dns_label("-a"));
    assert_false(schema_is_dns_label("a-"));
    assert_false(schema_is_dns_label("A"));
    assert_false(schema_is_dns_label("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")); /* 41 */
    assert_true(schema_is_dns_name("a.b"));
    assert_false(schema_is_dns_name("a"));
    assert_false(schema_is_dns_name("a..b"));
    assert_false(schema_is_dns_name(".a.b"));
    assert_false(schema_is_dns_name("a.b."));
    assert_false(schema_is_dns_name("a_b.c"));
    assert_true(schema_is_file_name("cell-1.kubeconfig"));
    assert_false(schema_is_file_name("../x"));
    assert_false(schema_is_file_name(".hidden"));
    assert_true(schema_is_title("a b"));
    assert_false(schema_is_title(" a"));
    assert_false(schema_is_title("a\n"));
}

static void test_whole_body(void **state)
{
    struct ctx *ctx = *state;
    struct registry_request request;
    struct field_errors errors = {0};
    json_t *body = parse(ctx, "{\"name\":\"a\",\"spec\":{\"plan\":\"s\",\"host\":\"a.b\"}}");
    assert_int_equal(registry_request_create(ctx, AUDIENCE_TENANT, body, &request, &errors), 0);
    assert_string_equal(request.version, "2.15.2");
    assert_string_equal(registry_request_spec(ctx, &request),
                        "{\"components\":{\"exporter\":false,\"trivy\":false},"
                        "\"host\":\"a.b\",\"plan\":\"s\",\"version\":\"2.15.2\"}");
}

/* Said, kept by a patch that does not say it, and read back from the row. */
static void test_components(void **state)
{
    struct ctx *ctx = *state;
    struct registry_request request, again, patched;
    struct field_errors errors = {0};
    json_t *body = parse(ctx, "{\"name\":\"a\",\"spec\":{\"plan\":\"s\",\"host\":\"a.b\","
                              "\"components\":{\"trivy\":true}}}");
    assert_int_equal(registry_request_create(ctx, AUDIENCE_TENANT, body, &request, &errors), 0);
    assert_int_equal(registry_request_of(ctx, registry_request_spec(ctx, &request), "a", &again),
                     0);
    assert_true(again.trivy);
    assert_false(again.exporter);
    body = parse(ctx, "{\"spec\":{\"components\":{\"exporter\":true}}}");
    assert_int_equal(
        registry_request_patch(ctx, AUDIENCE_TENANT, body, &again, NULL, &patched, &errors), 0);
    assert_true(patched.trivy && patched.exporter);
    /* a row of a time at which there were no components */
    assert_int_equal(registry_request_of(ctx, "{\"plan\":\"s\"}", "a", &again), 0);
    assert_false(again.trivy || again.exporter);
    body = parse(ctx, "{\"spec\":{\"components\":{\"exporter\":\"yes\",\"clair\":true}}}");
    assert_int_equal(
        registry_request_patch(ctx, AUDIENCE_TENANT, body, &again, NULL, &patched, &errors),
        -ERR_INVALID);
    assert_true(has(&errors, "/spec/components/exporter", "WrongType"));
    assert_true(has(&errors, "/spec/components/clair", "UnknownField"));
}

static void test_members_of_no_object_are_not_missed(void **state)
{
    struct ctx *ctx = *state;
    struct registry_request request;
    struct field_errors errors = {0};
    json_t *body = parse(ctx, "{\"name\":\"a\",\"spec\":\"s\"}");
    assert_int_equal(registry_request_create(ctx, AUDIENCE_TENANT, body, &request, &errors),
                     -ERR_INVALID);
    assert_int_equal(errors.count, 1);
    assert_true(has(&errors, "/spec", "WrongType"));
}

/* One answer names everything that is wrong. */
static void test_all_errors_at_once(void **state)
{
    struct ctx *ctx = *state;
    struct registry_request request;
    struct field_errors errors = {0};
    json_t *body =
        parse(ctx, "{\"name\":5,\"spec\":{\"plan\":\"\",\"x/y\":1,\"lifecycle\":\"closed\"},"
                   "\"spec.plan\":\"s\",\"id\":null}");
    assert_int_equal(registry_request_create(ctx, AUDIENCE_TENANT, body, &request, &errors),
                     -ERR_INVALID);
    assert_string_equal(ctx->err.reason, "InvalidFields");
    assert_true(has(&errors, "/name", "WrongType"));
    assert_true(has(&errors, "/spec/plan", "TooShort"));
    assert_true(has(&errors, "/spec/x~1y", "UnknownField"));
    assert_true(has(&errors, "/spec/lifecycle", "ReadOnly"));
    assert_true(has(&errors, "/spec.plan", "UnknownField"));
    assert_true(has(&errors, "/id", "ReadOnly"));
    assert_true(has(&errors, "/spec/host", "Required"));
    assert_int_equal(errors.count, 7);
}

/* Hostile bodies fill the list and no more. */
static void test_errors_are_bounded(void **state)
{
    struct ctx *ctx = *state;
    struct registry_request request;
    struct field_errors errors = {0};
    json_t *body = arena_json(ctx->arena, json_object());
    for (int at = 0; at < 1000; at++)
        json_object_set_new(body, arena_printf(ctx->arena, "k%d", at), json_null());
    assert_int_equal(registry_request_create(ctx, AUDIENCE_TENANT, body, &request, &errors),
                     -ERR_INVALID);
    assert_int_equal(errors.count, FIELD_ERRORS_MAX);
}

static void test_audiences(void **state)
{
    struct ctx *ctx = *state;
    static const struct field fields[] = {
        {"mine", FIELD_INTEGER, AUDIENCE_TENANT, false, 0, 1, 5, NULL, "mine"},
        {"theirs", FIELD_INTEGER, AUDIENCE_PROVIDER, false, 0, 1, 5, NULL, "theirs"},
        {0},
    };
    int64_t value = 0;
    struct field_errors errors = {0};
    json_t *body = parse(ctx, "{\"theirs\":3}");
    assert_int_equal(schema_bind(ctx, fields, BIND_WHOLE, AUDIENCE_TENANT, body, &value, &errors),
                     -ERR_INVALID);
    assert_true(has(&errors, "/theirs", "NotAllowed"));
    assert_int_equal(value, 0);
    errors.count = 0;
    assert_int_equal(schema_bind(ctx, fields, BIND_WHOLE, AUDIENCE_PROVIDER, body, &value, &errors),
                     0);
    assert_int_equal(value, 3);
    assert_int_equal(schema_bind(ctx, fields, BIND_WHOLE, AUDIENCE_TENANT,
                                 parse(ctx, "{\"mine\":6}"), &value, &errors),
                     -ERR_INVALID);
    assert_true(has(&errors, "/mine", "OutOfRange"));
}

static void test_patch_keeps_what_it_does_not_name(void **state)
{
    struct ctx *ctx = *state;
    const struct registry_request current = {
        .name = "a", .plan = "s", .version = "2.14.4", .host = "a.b"};
    struct registry_request wanted;
    struct field_errors errors = {0};
    assert_int_equal(registry_request_patch(ctx, AUDIENCE_TENANT, parse(ctx, "{}"), &current, NULL,
                                            &wanted, &errors),
                     0);
    assert_string_equal(wanted.plan, "s");
    assert_int_equal(registry_request_patch(ctx, AUDIENCE_TENANT,
                                            parse(ctx, "{\"name\":\"a\",\"spec\":{\"plan\":\"l\","
                                                       "\"version\":\"2.15.2\"}}"),
                                            &current, NULL, &wanted, &errors),
                     0);
    assert_string_equal(wanted.plan, "l");
    assert_string_equal(wanted.host, "a.b");
}

static void test_patch_refuses(void **state)
{
    struct ctx *ctx = *state;
    const struct registry_request current = {
        .name = "a", .plan = "s", .version = "2.14.4", .host = "a.b"};
    static const struct {
        const char *body, *pointer, *code;
    } rows[] = {
        {"{\"name\":\"b\"}", "/name", "Immutable"},
        {"{\"spec\":{\"host\":\"c.d\"}}", "/spec/host", "Immutable"},
        {"{\"spec\":{\"version\":\"2.13.5\"}}", "/spec/version", "VersionDowngrade"},
        {"{\"spec\":{\"version\":\"9.9.9\"}}", "/spec/version", "UnsupportedVersion"},
        {"{\"spec\":{\"plan\":null}}", "/spec/plan", "Required"},
        {"{\"spec\":null}", "/spec", "WrongType"},
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct registry_request wanted;
        struct field_errors errors = {0};
        assert_int_equal(registry_request_patch(ctx, AUDIENCE_TENANT, parse(ctx, rows[row].body),
                                                &current, NULL, &wanted, &errors),
                         -ERR_INVALID);
        assert_true(has(&errors, rows[row].pointer, rows[row].code));
    }
}

/* What runs counts, not what was wanted: a hop that was rolled back is withdrawn. */
static void test_version_goes_on_from_what_runs(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *spec, *runs, *to;
        int rc;
        const char *code;
    } rows[] = {
        {"2.15.2", "2.14.4", "2.14.4", 0, NULL},
        {"2.15.2", "2.14.1", "2.14.1", 0, NULL}, /* not on offer any more, but it runs */
        {"2.15.2", "2.14.4", "2.13.5", -ERR_INVALID, "VersionDowngrade"},
        {"2.15.2", NULL, "2.14.4", -ERR_INVALID, "VersionDowngrade"},
        {"2.14.4", "2.12.4", "2.15.2", -ERR_INVALID, "VersionTooFar"},
        {"2.14.4", "2.15.2", "2.15.2", 0, NULL}, /* a hop that was withdrawn too late */
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        const struct registry_request current = {
            .name = "a", .plan = "s", .version = rows[row].spec, .host = "a.b"};
        struct registry_request wanted;
        struct field_errors errors = {0};
        json_t *body =
            parse(ctx, arena_printf(ctx->arena, "{\"spec\":{\"version\":\"%s\"}}", rows[row].to));
        int rc = registry_request_patch(ctx, AUDIENCE_TENANT, body, &current, rows[row].runs,
                                        &wanted, &errors);
        assert_int_equal(rc, rows[row].rc);
        assert_true(!rows[row].code || has(&errors, "/spec/version", rows[row].code));
    }
}

/* Field, fault, and what is allowed. */
static void test_hop_too_far_is_told_with_what_is_allowed(void **state)
{
    struct ctx *ctx = *state;
    const struct registry_request current = {
        .name = "a", .plan = "s", .version = "2.12.4", .host = "a.b"};
    struct registry_request wanted;
    struct field_errors errors = {0};
    const json_t *body = parse(ctx, "{\"spec\":{\"version\":\"2.15.2\"}}");
    assert_int_equal(
        registry_request_patch(ctx, AUDIENCE_TENANT, body, &current, NULL, &wanted, &errors),
        -ERR_INVALID);
    assert_true(has(&errors, "/spec/version", "VersionTooFar"));
    assert_string_equal(ctx->err.message, "/spec/version: a hop leads over one minor version at "
                                          "most; from 2.12.4 one of 2.13.5, 2.14.4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names),
        TEST(test_whole_body),
        TEST(test_components),
        TEST(test_members_of_no_object_are_not_missed),
        TEST(test_all_errors_at_once),
        TEST(test_errors_are_bounded),
        TEST(test_audiences),
        TEST(test_patch_keeps_what_it_does_not_name),
        TEST(test_patch_refuses),
        TEST(test_version_goes_on_from_what_runs),
        TEST(test_hop_too_far_is_told_with_what_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
