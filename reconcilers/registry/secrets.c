/*
 * The kept credentials: Secret registry-<identity> in the operator's namespace, made before any of
 * them is used anywhere and without ownerReference, so that neither a crash nor the end of the
 * registry's namespace loses it. The stack's copy is derived from it by the bundle.
 *
 * Made before the first claim, so a claim without it tells that it was lost. Some of what it holds
 * cannot be made anew without a loss: a person decides (SecretLost).
 */
#include "reconcilers/backends/s3.h"
#include "reconcilers/registry/scope.h"
#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum {
    PASSWORD_LENGTH = 32, /* 160 random bits, ASCII: no SASLprep, no quoting */
    ACCESS_LENGTH = 8,    /* behind a prefix that is the registry's own */
};

static char *database_name(struct ctx *ctx, const char *identity)
{
    return postgres_name(ctx, identity);
}

static char *random_password(struct ctx *ctx, const char *identity)
{
    (void)identity;
    return crypto_random_base32(ctx->arena, PASSWORD_LENGTH);
}

static char *access_key(struct ctx *ctx, const char *identity)
{
    return arena_printf(ctx->arena, "%s%s", s3_prefix(ctx, identity),
                        crypto_random_base32(ctx->arena, ACCESS_LENGTH));
}

/* What is kept. Made by one create: there is never a half. */
static const struct {
    const char *key;
    char *(*make)(struct ctx *ctx, const char *identity);
    bool later; /* a Secret that an earlier version made lacks it, and gets it before it is used */
    const char *why;
} kept[] = {
    {"username", database_name, false, "told to whoever restores by hand"},
    {"password", random_password, false, "of the database's role"},
    {KEPT_REDIS_PASSWORD, random_password, true, "of the Redis user"},
    {KEPT_S3_ACCESS, access_key, true, "name of the account at the object store"},
    {KEPT_S3_SECRET, random_password, true, "its secret"},
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

/* ---- what an earlier version made ---- */

/* The server refuses this when somebody else was first: a value that is there is never replaced. */
static int add_later(struct ctx *ctx, struct pass *pass, const char *identity, json_t **secret)
{
    json_t *missing = arena_json(ctx->arena, json_object());
    for (size_t at = 0; at < ARRAY_SIZE(kept); at++)
        if (kept[at].later && !json_object_get(json_at(*secret, "data"), kept[at].key))
            json_object_set_new(missing, kept[at].key, json_string(kept[at].make(ctx, identity)));
    if (json_object_size(missing) == 0)
        return 0;
    json_t *patch = arena_json(ctx->arena, json_pack("{s:O}", "stringData", missing));
    return pass_patch(ctx, pass, CALL_KUBE_SECRET_CREATE, *secret, NULL, patch, secret);
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

/* ---- what was lost ---- */

bool registry_accepts_loss(const struct pass *pass)
{
    return str_equal(kube_annotation(pass->root, ANNOTATION_ACCEPT_LOSS),
                     json_str_or(pass->root, "spec.identity", ""));
}

/*
 * No cache holds it. Claims are read before the Secret, both live: it is made before them, so that
 * a claim that is there while it is not proves that it was lost.
 */
static int find_live(struct ctx *ctx, struct pass *pass, const char *name, json_t **ret)
{
    const struct registry_operator *home = pass->home;
    const struct registry_scope *scope = pass->scope;
    const json_t *claims[BACKEND_TYPES];
    bool claimed = false;
    TRY(registry_claims_live(ctx, pass, scope->spec.identity, claims));
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        claimed |= claims[type] != NULL;
    if (!claimed)
        return 0;
    TRY(pass_get_live(ctx, pass, CALL_KUBE_SECRET_READ, KIND_SECRET, home->namespace, name, ret));
    if (*ret)
        return 0;
    if (!registry_accepts_loss(pass)) {
        pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* its return wakes nobody here */
        return err_set(ctx, ERR_TAKEN, "SecretLost",
                       "Secret '%s/%s' is gone; restore it, or accept new credentials with the "
                       "annotation " ANNOTATION_ACCEPT_LOSS "=%s",
                       home->namespace, name, scope->spec.identity);
    }
    pass_event(ctx, pass, "Warning", "CredentialsRemade", "Create",
               "the kept credentials were gone and are made anew, as the annotation allows");
    return 0;
}

static int create(struct ctx *ctx, struct pass *pass, const char *name, json_t **ret)
{
    const struct registry_operator *home = pass->home;
    const char *identity = ((const struct registry_scope *)pass->scope)->spec.identity;
    int rc = pass_create(ctx, pass, CALL_KUBE_SECRET_CREATE,
                         build(ctx, home->namespace, name, identity), ret);
    if (rc != -ERR_ALREADY_EXISTS)
        return rc;
    err_clear(ctx);
    return pass_get_live(ctx, pass, CALL_KUBE_SECRET_READ, KIND_SECRET, home->namespace, name, ret);
}

/* ---- the phase ---- */

int registry_secrets(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const char *identity = scope->spec.identity;
    const char *name = registry_secret_name(ctx, identity);
    json_t *secret = pass_get(ctx, pass, KIND_SECRET, home->namespace, name);
    if (!secret)
        TRY(find_live(ctx, pass, name, &secret));
    if (!secret)
        TRY(create(ctx, pass, name, &secret));
    if (!str_equal(kube_label(secret, LABEL_IDENTITY), identity))
        return err_set(ctx, ERR_TAKEN, NULL, "Secret '%s' is there and does not belong to '%s'",
                       name, identity);
    TRY(add_later(ctx, pass, identity, &secret));
    TRY(check(ctx, secret, name));
    scope->kept = secret;
    return 0;
}
