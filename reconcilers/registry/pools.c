/* How the operator gets into a pool: endpoint from the BackendPool, credentials from its Secrets.
 */
#include "reconcilers/registry/scope.h"

#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

const char *pool_name(const json_t *pool)
{
    return json_str_or(pool, "metadata.name", "");
}

const char *pool_host(const json_t *pool)
{
    return json_str_or(pool, "spec.endpoint.host", "");
}

int pool_port(const json_t *pool)
{
    enum backend_type type = backend_type_of(json_str(pool, "spec.type"));
    int usual = type < BACKEND_TYPES ? backend_rows[type]->port : 0;
    return (int)json_int_or(pool, "spec.endpoint.port", usual);
}

const char *pool_ssl_mode(const json_t *pool)
{
    return json_str_or(pool, "spec.endpoint.sslMode", "verify-full");
}

bool pool_is_dedicated(const json_t *pool)
{
    return str_equal(json_str(pool, "spec.mode"), "dedicated");
}

const char *pool_secret_text(struct ctx *ctx, const json_t *secret, const char *key)
{
    char *value = registry_secret_value(ctx, secret, key);
    if (value)
        value[strcspn(value, "\r\n")] = '\0';
    return value;
}

static int read_secret(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                       const char *name, json_t **ret)
{
    return kube_get(ctx, CALL_KUBE_SECRET_READ, kube, KIND_SECRET, home->namespace, name, ret);
}

int pool_secret(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                const char *name, const char *const keys[2], json_t **ret)
{
    TRY(read_secret(ctx, kube, home, name, ret));
    for (int at = 0; at < 2; at++) {
        const char *value = pool_secret_text(ctx, *ret, keys[at]);
        if (!value || !*value)
            return err_set(ctx, ERR_UNAVAILABLE, "SecretMissing", "Secret '%s/%s' %s%s",
                           home->namespace, name, *ret ? "lacks the key " : "is not there",
                           *ret ? keys[at] : "");
    }
    return 0;
}

int pool_administrator(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                       const json_t *pool, const char *const keys[2], const char *ret_values[2])
{
    json_t *secret = NULL;
    int rc = pool_secret(ctx, kube, home, json_str_or(pool, "spec.adminSecretRef.name", ""), keys,
                         &secret);
    if (rc < 0)
        return err_wrap(ctx, rc, "administrator of pool '%s'", pool_name(pool));
    for (int at = 0; at < 2; at++)
        ret_values[at] = pool_secret_text(ctx, secret, keys[at]);
    return 0;
}

int pool_authorities(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                     const json_t *pool, const char **ret)
{
    const char *name = json_str(pool, "spec.endpoint.caSecretRef.name");
    json_t *secret = NULL;
    *ret = NULL;
    if (!name)
        return 0;
    TRY(read_secret(ctx, kube, home, name, &secret));
    *ret = registry_secret_value(ctx, secret, "ca.crt");
    if (!*ret)
        return err_set(ctx, ERR_UNAVAILABLE, "SecretMissing", "Secret '%s/%s' of pool '%s' %s",
                       home->namespace, name, pool_name(pool),
                       secret ? "lacks the key ca.crt" : "is not there");
    return 0;
}

void fact_put(json_t *facts, const char *path, const char *text)
{
    json_put(facts, path, json_string(text));
}
