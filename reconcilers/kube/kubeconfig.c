/* Reads kubeconfig files (client-go's format, one file, its current context) and the service
 * account of a pod. Everything is read once but tokens, which token.c renews. */
#include "reconcilers/kube/kubeconfig.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"

#include <errno.h>
#include <string.h>

enum { FILE_MAX_BYTES = 1 << 20 };

/* Fields that would change whom we speak to or as whom: ignoring one would be wrong. */
static const struct {
    const char *section, *field, *why;
} unsupported[] = {
    {"user", "exec", "credential plugins are not supported yet"},
    {"user", "auth-provider", "auth providers were removed from Kubernetes"},
    {"user", "username", "kube-apiserver has no password authentication"},
    {"user", "as", "impersonation is not supported"},
    {"user", "as-uid", "impersonation is not supported"},
    {"user", "as-groups", "impersonation is not supported"},
    {"cluster", "tls-server-name", "put the name of the certificate into server"},
    {"cluster", "proxy-url", "proxies are not supported"},
};

static int read_file(struct ctx *ctx, const char *path, char **ret, size_t *ret_bytes)
{
    _cleanup_file_ FILE *file = fopen(path, "re");
    if (!file)
        return err_set(ctx, ERR_CONFIG, NULL, "%s: %s", path, strerror(errno));
    char *text = arena_alloc(ctx->arena, FILE_MAX_BYTES + 1);
    size_t bytes = fread(text, 1, FILE_MAX_BYTES + 1, file);
    if (ferror(file))
        return err_set(ctx, ERR_CONFIG, NULL, "%s: cannot be read", path);
    if (bytes > FILE_MAX_BYTES)
        return err_set(ctx, ERR_CONFIG, NULL, "%s: larger than %d bytes", path, FILE_MAX_BYTES);
    text[bytes] = '\0';
    *ret = text;
    *ret_bytes = bytes;
    return 0;
}

/* Relative to the folder of the kubeconfig. */
static const char *resolve(struct ctx *ctx, const char *kubeconfig_path, const char *path)
{
    const char *slash = strrchr(kubeconfig_path, '/');
    if (!path || *path == '/' || !slash)
        return path;
    return arena_printf(ctx->arena, "%.*s/%s", (int)(slash - kubeconfig_path), kubeconfig_path,
                        path);
}

/* `<field>-data` in base64, else the file that `<field>` names; NULL when neither is there. */
static int read_pem(struct ctx *ctx, const char *kubeconfig_path, const json_t *section,
                    const char *field, const char **ret)
{
    const char *data = json_str(section, arena_printf(ctx->arena, "%s-data", field));
    const char *path = resolve(ctx, kubeconfig_path, json_str(section, field));
    char *pem = NULL;
    size_t bytes = 0;
    if (data) {
        pem = crypto_unbase64(ctx->arena, data, &bytes);
        if (!pem)
            return err_set(ctx, ERR_CONFIG, NULL, "%s: %s-data is not base64", kubeconfig_path,
                           field);
    } else if (path) {
        TRY(read_file(ctx, path, &pem, &bytes));
    }
    *ret = pem;
    return 0;
}

static int check_supported(struct ctx *ctx, const char *path, const char *section,
                           const json_t *value)
{
    for (size_t at = 0; at < ARRAY_SIZE(unsupported); at++) {
        if (!str_equal(unsupported[at].section, section) ||
            !json_object_get(value, unsupported[at].field))
            continue;
        const char *command = json_str(value, "exec.command");
        return err_set(ctx, ERR_CONFIG, "UnsupportedKubeconfig", "%s: %s.%s%s%s: %s", path, section,
                       unsupported[at].field, command ? " " : "", command ? command : "",
                       unsupported[at].why);
    }
    return 0;
}

/* The body of the entry `name` in the list "<section>s". */
static int find_section(struct ctx *ctx, const char *path, const json_t *config,
                        const char *section, const char *name, json_t **ret)
{
    const char *list = arena_printf(ctx->arena, "%ss", section);
    *ret = json_object_get(name ? json_find(config, list, "name", name) : NULL, section);
    if (!json_is_object(*ret))
        return err_set(ctx, ERR_CONFIG, NULL, "%s: there is no %s named '%s'", path, section,
                       name ? name : "");
    return check_supported(ctx, path, section, *ret);
}

/* Without slashes at the end: paths start with one. */
static const char *trim_server(struct ctx *ctx, const char *server)
{
    size_t length = strlen(server);
    while (length && server[length - 1] == '/')
        length--;
    return arena_strndup(ctx->arena, server, length);
}

static int check_server(struct ctx *ctx, const char *path, const char *server)
{
    if (str_starts(server, "https://") || str_starts(server, "http://"))
        return 0;
    return err_set(ctx, ERR_CONFIG, NULL, "%s: server '%s' is not an http or https URL", path,
                   server ? server : "");
}

int kubeconfig_read(struct ctx *ctx, const char *path, struct kubeconfig *ret)
{
    char *text = NULL;
    size_t bytes = 0;
    json_t *config = NULL, *context = NULL, *cluster = NULL, *user = NULL;
    *ret = (struct kubeconfig){0};
    TRY(read_file(ctx, path, &text, &bytes));
    int rc = yaml_parse(ctx, text, bytes, &config);
    if (rc < 0)
        return err_set(ctx, ERR_CONFIG, NULL, "%s: not a YAML document of the size allowed", path);
    TRY(find_section(ctx, path, config, "context", json_str(config, "current-context"), &context));
    TRY(find_section(ctx, path, config, "cluster", json_str(context, "cluster"), &cluster));
    TRY(find_section(ctx, path, config, "user", json_str(context, "user"), &user));

    TRY(check_server(ctx, path, json_str(cluster, "server")));
    ret->server = trim_server(ctx, json_str(cluster, "server"));
    ret->insecure = json_bool_or(cluster, "insecure-skip-tls-verify", false);
    TRY(read_pem(ctx, path, cluster, "certificate-authority", &ret->ca_pem));
    TRY(read_pem(ctx, path, user, "client-certificate", &ret->client_cert_pem));
    TRY(read_pem(ctx, path, user, "client-key", &ret->client_key_pem));
    if (!ret->client_cert_pem != !ret->client_key_pem)
        return err_set(ctx, ERR_CONFIG, NULL,
                       "%s: a client certificate needs its key, and the other way round", path);
    ret->token = json_str(user, "token");
    ret->token_file = resolve(ctx, path, json_str(user, "tokenFile"));
    return 0;
}

int kubeconfig_in_cluster(struct ctx *ctx, const char *folder, struct kubeconfig *ret)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    char *ca = NULL;
    size_t bytes = 0;
    *ret = (struct kubeconfig){0};
    if (!host || !port || !*host || !*port)
        return err_set(ctx, ERR_CONFIG, NULL,
                       "no kubeconfig was given, and this is no pod: KUBERNETES_SERVICE_HOST and "
                       "KUBERNETES_SERVICE_PORT are not set");
    bool is_v6 = strchr(host, ':');
    ret->server = arena_printf(ctx->arena, is_v6 ? "https://[%s]:%s" : "https://%s:%s", host, port);
    TRY(read_file(ctx, arena_printf(ctx->arena, "%s/ca.crt", folder), &ca, &bytes));
    ret->ca_pem = ca;
    ret->token_file = arena_printf(ctx->arena, "%s/token", folder);
    return 0;
}
