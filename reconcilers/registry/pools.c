/* How the operator gets into a pool: endpoint from the BackendPool, credential from its Secret. */
#include "reconcilers/registry/scope.h"

#include "server/adapters/crypto.h"
#include "server/base/json.h"

#include <string.h>

/* A Secret made from a file ends in a newline that no password has. */
static const char *credential(struct ctx *ctx, const json_t *secret, const char *key)
{
    char *value = registry_secret_value(ctx, secret, key);
    if (value)
        value[strcspn(value, "\r\n")] = '\0';
    return value;
}

int registry_pool_access(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                         const json_t *pool, struct postgres_pool *ret)
{
    const char *name = json_str_or(pool, "spec.adminSecretRef.name", "");
    json_t *secret = NULL;
    TRY(kube_get(ctx, CALL_KUBE_SECRET_READ, kube, KIND_SECRET, home->namespace, name, &secret));
    const char *user = credential(ctx, secret, "username");
    const char *password = credential(ctx, secret, "password");
    if (!user || !password)
        return err_set(ctx, ERR_UNAVAILABLE, "SecretMissing", "Secret '%s/%s' of pool '%s' %s",
                       home->namespace, name, json_str_or(pool, "metadata.name", ""),
                       secret ? "lacks username or password" : "is not there");
    *ret = (struct postgres_pool){
        .name = json_str_or(pool, "metadata.name", ""),
        .host = json_str_or(pool, "spec.endpoint.host", ""),
        .port = (int)json_int_or(pool, "spec.endpoint.port", POSTGRESQL_PORT),
        .ssl_mode = json_str_or(pool, "spec.endpoint.sslMode", "verify-full"),
        .user = user,
        .password = password,
        .maintenance = json_str_or(pool, "spec.maintenanceDatabase", "postgres"),
        .cell = home->cell,
        .gates = home->gates,
    };
    return 0;
}

/* Enough workers are inside the pool: come again soon, that is no failure. */
int registry_pool_begin(struct ctx *ctx, struct pass *pass, const json_t *pool,
                        const char *identity, struct postgres **ret)
{
    struct postgres_pool *access = arena_alloc(ctx->arena, sizeof *access);
    TRY(registry_pool_access(ctx, pass_kube(pass), pass->home, pool, access));
    int rc = postgres_begin(ctx, access, identity, ret);
    if (rc != -ERR_OVERLOADED)
        return rc;
    unsigned char jitter;
    crypto_random(&jitter, sizeof jitter);
    pass_requeue(pass, BUSY_MS + jitter % BUSY_MS);
    return err_set(ctx, ERR_WAITING, "PoolBusy", "enough workers are inside pool '%s'",
                   access->name);
}
