/* kubeconfig files in each form that we read, and what we refuse; tokens that change. */
#include "reconcilers/kube/kubeconfig.h"

#include "reconcilers/kube/token.h"
#include "server/base/cleanup.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG(cluster, user)                                                                      \
    "apiVersion: v1\nkind: Config\ncurrent-context: here\n"                                        \
    "contexts: [{name: other, context: {cluster: x, user: y}},"                                    \
    " {name: here, context: {cluster: c, user: u}}]\n"                                             \
    "clusters: [{name: c, cluster: {" cluster "}}]\n"                                              \
    "users: [{name: u, user: {" user "}}]\n"

static char folder[] = "/tmp/flotilla-kubeconfig-XXXXXX";
static struct arena *arena;
static struct ctx ctx;

static const char *write_file(const char *name, const char *text)
{
    const char *path = arena_printf(arena, "%s/%s", folder, name);
    _cleanup_file_ FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    return path;
}

static void test_inline_data(void **state)
{
    (void)state;
    struct kubeconfig config;
    const char *path =
        write_file("inline", CONFIG("server: 'https://h:1/', certificate-authority-data: Q0E=, "
                                    "certificate-authority: /does/not/exist",
                                    "client-certificate-data: Q0VSVA==, client-key-data: S0VZ"));
    assert_int_equal(kubeconfig_read(&ctx, path, &config), 0);
    assert_string_equal(config.server, "https://h:1");
    assert_string_equal(config.ca_pem, "CA");
    assert_string_equal(config.client_cert_pem, "CERT");
    assert_string_equal(config.client_key_pem, "KEY");
    assert_null(config.token);
    assert_false(config.insecure);
}

static void test_relative_files(void **state)
{
    (void)state;
    struct kubeconfig config;
    write_file("ca.crt", "the ca");
    const char *path =
        write_file("files", CONFIG("server: 'http://h', certificate-authority: ca.crt, "
                                   "insecure-skip-tls-verify: true",
                                   "token: abc, tokenFile: tok"));
    assert_int_equal(kubeconfig_read(&ctx, path, &config), 0);
    assert_string_equal(config.ca_pem, "the ca");
    assert_string_equal(config.token, "abc");
    assert_string_equal(config.token_file, arena_printf(arena, "%s/tok", folder));
    assert_true(config.insecure);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {CONFIG("server: 'https://h'", "exec: {command: aws, apiVersion: v1}"),
         "user.exec aws: credential plugins are not supported yet"},
        {CONFIG("server: 'https://h'", "auth-provider: {name: gcp}"), "user.auth-provider"},
        {CONFIG("server: 'https://h'", "username: a, password: b"), "user.username"},
        {CONFIG("server: 'https://h'", "as: somebody"), "impersonation"},
        {CONFIG("server: 'https://h', tls-server-name: x", "token: t"), "cluster.tls-server-name"},
        {CONFIG("server: 'https://h', proxy-url: x", "token: t"), "cluster.proxy-url"},
        {CONFIG("server: 'ftp://h'", "token: t"), "not an http or https URL"},
        {CONFIG("insecure-skip-tls-verify: false", "token: t"), "not an http or https URL"},
        {CONFIG("server: 'https://h', certificate-authority: nope", "token: t"), "/nope: "},
        {CONFIG("server: 'https://h', certificate-authority-data: '!'", "token: t"),
         "certificate-authority-data is not base64"},
        {CONFIG("server: 'https://h'", "client-certificate-data: Q0VSVA=="), "needs its key"},
        {"current-context: none\ncontexts: []\n", "no context named 'none'"},
        {"contexts: []\n", "no context named ''"},
        {"current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\n",
         "no cluster named 'b'"},
        {"just text", "no context"},
        {"{", "not a YAML document"},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        struct kubeconfig config;
        const char *path = write_file("bad", rows[at].text);
        assert_int_equal(kubeconfig_read(&ctx, path, &config), -ERR_CONFIG);
        if (!strstr(ctx.err.message, rows[at].message))
            fail_msg("row %zu: '%s' lacks '%s'", at, ctx.err.message, rows[at].message);
    }
}

static void test_in_cluster(void **state)
{
    (void)state;
    struct kubeconfig config;
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(kubeconfig_in_cluster(&ctx, folder, &config), -ERR_CONFIG);
    write_file("ca.crt", "the ca");
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    assert_int_equal(kubeconfig_in_cluster(&ctx, folder, &config), 0);
    assert_string_equal(config.server, "https://[fd00::1]:443");
    assert_string_equal(config.ca_pem, "the ca");
    assert_string_equal(config.token_file, arena_printf(arena, "%s/token", folder));
    setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    assert_int_equal(kubeconfig_in_cluster(&ctx, folder, &config), 0);
    assert_string_equal(config.server, "https://10.0.0.1:443");
}

static void test_token_is_read_again(void **state)
{
    (void)state;
    static struct token token;
    static char out[HTTP_BEARER_BYTES];
    const char *path = write_file("token", "one\n");
    assert_int_equal(token_init(&ctx, &token, "unused", path), 0);
    token_write(&token, out);
    assert_string_equal(out, "one");

    write_file("token", "two\n");
    token_write(&token, out);
    assert_string_equal(out, "one"); /* not before its time */
    token.read_at_ms -= TOKEN_REREAD_MS;
    token_write(&token, out);
    assert_string_equal(out, "two");

    write_file("token", ""); /* keeps the old one rather than sending none */
    token.read_at_ms -= TOKEN_REREAD_MS;
    token_write(&token, out);
    assert_string_equal(out, "two");
    token_done(&token);

    assert_int_equal(token_init(&ctx, &token, NULL, "/does/not/exist"), -ERR_CONFIG);
    token_done(&token);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_new();
    ctx = ctx_make(arena, "test");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"inline", "files", "bad", "ca.crt", "token"};
    for (size_t at = 0; at < ARRAY_SIZE(names); at++)
        unlink(arena_printf(arena, "%s/%s", folder, names[at]));
    arena_free(arena);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inline_data),
        cmocka_unit_test(test_relative_files),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_in_cluster),
        cmocka_unit_test(test_token_is_read_again),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
