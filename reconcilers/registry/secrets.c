/*
 * The kept credential: Secret registry-<identity> in the operator's namespace, made before the
 * password is used anywhere and without ownerReference, so that neither a crash nor the end of the
 * registry's namespace loses it. The stack's copy is derived from it by the bundle.
 */
#include "reconcilers/registry/scope.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum { PASSWORD_LENGTH = 32 }; /* 160 random bits, ASCII: no SASLprep, no quoting */

static char *database_name(struct ctx *ctx, const char *identity)
{
    return postgres_name(ctx, identity);
}

static char *random_password(struct ctx *ctx, const char *identity)
{
    (void)identity;
    return crypto_random_base32(ctx->arena, PASSWORD_LENGTH);
}

/* What is kept. Made once, all of it by one create: there is never a half. */
static const struct {
    const char *key;
    char *(*make)(struct ctx *ctx, const char *identity);
    const char *why;
} kept[] = {
    {"username", database_name, "told to whoever restores by hand"},
    {"password", random_password, "of the database's role"},
};

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

const char *registry_kept(struct ctx *ctx, const struct registry_scope *scope, const char *key)
{
    return registry_secret_value(ctx, scope->kept, key);
}

static json_t *build(struct ctx *ctx, const char *namespace, const char *name, const char *identity)
{
    json_t *values = json_object();
    for (size_t at = 0; at < ARRAY_SIZE(kept); at++)
        json_object_set_new(values, kept[at].key, json_string(kept[at].make(ctx, identity)));
    return arena_json(ctx->arena,
                      json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s, s:s}}, s:s, s:o}", "apiVersion",
                                "v1", "kind", "Secret", "metadata", "name", name, "namespace",
                                namespace, "labels", LABEL_MANAGED_BY, "flotilla", LABEL_IDENTITY,
                                identity, "type", "Opaque", "stringData", values));
}

static int check(struct ctx *ctx, const json_t *secret, const char *name)
{
    for (size_t at = 0; at < ARRAY_SIZE(kept); at++) {
        const char *value = registry_secret_value(ctx, secret, kept[at].key);
        if (!value || !*value)
            return err_set(ctx, ERR_REFUSED, "SecretDamaged", "Secret '%s' holds no %s", name,
                           kept[at].key);
    }
    return 0;
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
    TRY(check(ctx, secret, name));
    scope->kept = secret;
    return 0;
}
