/* Paths, the order of resource versions, the table of kinds, and text for the YAML parser. */
#include "reconcilers/kube/path.h"

#include "reconcilers/kube/client.h"
#include "server/base/cleanup.h"
#include "tests/unit/test.h"

#include <string.h>

static void test_objects(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        enum kube_kind kind;
        const char *namespace, *name, *subresource, *path;
    } rows[] = {
        {KIND_POD, "a", "b", NULL, "/api/v1/namespaces/a/pods/b"},
        {KIND_POD, NULL, NULL, NULL, "/api/v1/pods"},
        {KIND_POD, "", NULL, NULL, "/api/v1/pods"},
        {KIND_DEPLOYMENT, "a", NULL, NULL, "/apis/apps/v1/namespaces/a/deployments"},
        {KIND_NAMESPACE, NULL, "a", NULL, "/api/v1/namespaces/a"},
        {KIND_BACKEND_CLAIM, "ignored", "p.0", NULL,
         "/apis/registry.flotilla.dev/v1alpha1/backendclaims/p.0"},
        {KIND_OVH_NGINX, "n", "x", "status",
         "/apis/tutorials.ovhcloud.com/v1/namespaces/n/ovhnginxes/x/status"},
        {KIND_POD, "../x", "a/b?c#d%\xc3\xa9", NULL,
         "/api/v1/namespaces/..%2Fx/pods/a%2Fb%3Fc%23d%25%C3%A9"},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++)
        assert_string_equal(path_object(ctx, rows[at].kind, rows[at].namespace, rows[at].name,
                                        rows[at].subresource),
                            rows[at].path);
}

static void test_long_names_are_not_cut(void **state)
{
    struct ctx *ctx = *state;
    char name[2000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const char *path = path_object(ctx, KIND_POD, "a", name, NULL);
    assert_int_equal(strlen(path), strlen("/api/v1/namespaces/a/pods/") + sizeof name - 1);
}

static void test_query(void **state)
{
    struct ctx *ctx = *state;
    char *path = path_query(ctx, "/x", "labelSelector", "a in (b,c),d=e&f");
    assert_string_equal(path, "/x?labelSelector=a%20in%20%28b%2Cc%29%2Cd%3De%26f");
    assert_string_equal(path_query(ctx, path_query(ctx, "/x", "a", "1"), "b", "2"), "/x?a=1&b=2");
    assert_string_equal(path_query(ctx, "/x", "a", NULL), "/x");
}

static void test_versions(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int order;
    } rows[] = {
        {"1", "1", 0},
        {"9", "10", -1},
        {"99", "100", -1},
        {"101", "100", 1},
        {"18446744073709551616", "18446744073709551615", 1},
        {"340282366920938463463374607431768211456", "340282366920938463463374607431768211455", 1},
        {"", "1", -1},
        {NULL, "1", -1},
        {"1", NULL, 1},
        {NULL, "", 0},
        {"01", "1", -1},
        {"1x", "1", -1},
        {"-1", "1", -1},
        {"0", "1", -1},
        {"1000000000000000000000000000000000000000", "1", -1}, /* 40 digits */
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        int order = kube_version_compare(rows[at].a, rows[at].b);
        assert_int_equal((order > 0) - (order < 0), rows[at].order);
    }
}

static void test_kinds(void **state)
{
    (void)state;
    for (int kind = 0; kind < KIND_MAX; kind++) {
        const struct kube_kind_row *row = kube_kind_row((enum kube_kind)kind);
        assert_int_equal(kube_kind_of(row->api_version, row->kind), kind);
    }
    assert_string_equal(kube_kind_row(KIND_DEPLOYMENT)->api_version, "apps/v1");
    assert_string_equal(kube_kind_row(KIND_SECRET)->api_version, "v1");
    assert_int_equal(kube_kind_of("v1", "Deployment"), KIND_MAX);
    assert_int_equal(kube_kind_of(NULL, NULL), KIND_MAX);
}

static void test_text_for_yaml(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *value, *text;
    } rows[] = {
        {"plain / \xc3\xa9 \xf0\x9f\x98\x80", "\"plain / \xc3\xa9 \xf0\x9f\x98\x80\""},
        {"\x01\t", "\"\\u0001\\t\""},
        {"\x7f", "\"\\u007f\""},
        {"\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0", "\"\\u0080\\u0085\\u009f\xc2\xa0\""},
        {" \xe2\x80\xa8 \xe2\x80\xa9", "\" \\u2028 \\u2029\""},
        {"\xef\xbb\xbf", "\"\\ufeff\""},
        {"\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd", "\"\\ufffe\\uffff\xef\xbf\xbd\""},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        _cleanup_json_ json_t *value = json_string(rows[at].value);
        assert_string_equal(client_text(ctx, value), rows[at].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_objects), TEST(test_long_names_are_not_cut),
        TEST(test_query),   TEST(test_versions),
        TEST(test_kinds),   TEST(test_text_for_yaml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
