/*
 * The kept credential: Secret registry-<identity> in the operator's namespace, made before the
 * password is used anywhere and without ownerReference, so that neither a crash nor the end of the
 * registry's namespace loses it. The stack's copy is derived from it by the bundle.
 */
#include "reconcilers/registry/scope.h"

#include "server/adapters/crypto.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum { PASSWORD_LENGTH = 32 }; /* 160 random bits, ASCII: no SASLprep, no quoting */

char *registry_secret_name(struct ctx *ctx, const char *identity)
{
    return arena_printf(ctx->arena, "registry-%s", identity);
}

char *registry_secret_value(struct ctx *ctx, const json_t *secret, const char *key)
{
    size_t bytes;
    const char *text = json_string_value(json_object_get(json_at(secret, "data"), key));
    return text ? crypto_unbase64(ctx->arena, text, &bytes) : NULL;
}

static json_t *build(struct ctx *ctx, const char *namespace, const char *name, const char *identity)
{
    return arena_json(ctx->arena,
                      json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s, s:s}}, s:s, s:{s:s, s:s}}",
                                "apiVersion", "v1", "kind", "Secret", "metadata", "name", name,
                                "namespace", namespace, "labels", LABEL_MANAGED_BY, "flotilla",
                                LABEL_IDENTITY, identity, "type", "Opaque", "stringData",
                                "username", postgres_name(ctx, identity), "password",
                                crypto_random_base32(ctx->arena, PASSWORD_LENGTH)));
}

int registry_secrets(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const char *identity = scope->spec.identity;
    const char *name = registry_secret_name(ctx, identity);
    json_t *secret = pass_get(ctx, pass, KIND_SECRET, home->namespace, name);
    if (!secret) {
        int rc = pass_create(ctx, pass, CALL_KUBE_SECRET_CREATE,
                             build(ctx, home->namespace, name, identity), &secret);
        if (rc == -ERR_ALREADY_EXISTS) {
            err_clear(ctx);
            rc = kube_get(ctx, CALL_KUBE_SECRET_READ, pass_kube(pass), KIND_SECRET, home->namespace,
                          name, &secret);
        }
        TRY(rc);
    }
    if (!str_equal(kube_label(secret, LABEL_IDENTITY), identity))
        return err_set(ctx, ERR_TAKEN, NULL, "Secret '%s' is there and does not belong to '%s'",
                       name, identity);
    scope->password = registry_secret_value(ctx, secret, "password");
    if (!scope->password || !*scope->password)
        return err_set(ctx, ERR_REFUSED, "SecretDamaged", "Secret '%s' holds no password", name);
    return 0;
}
