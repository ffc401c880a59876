/* What an OvhNginx becomes, object by object. */
#include "reconcilers/nginx/nginx.h"
#include "tests/golden/golden.h"

static const char root[] = "apiVersion: tutorials.ovhcloud.com/v1\n"
                           "kind: OvhNginx\n"
                           "metadata: {name: web, namespace: shop}\n"
                           "spec: {replicaCount: 3, port: 8080}\n";

static void test_bundle_is_as_expected(void **state)
{
    golden_objects(*state, "reconcilers/nginx/manifests", root, nginx_facts,
                   "tests/golden/reconcilers/nginx/expected.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_bundle_is_as_expected)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
