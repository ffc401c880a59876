/*
 * The kept credentials: Secret registry-<identity> in the operator's namespace, made before any of
 * them is used anywhere and without ownerReference, so that neither a crash nor the end of the
 * registry's namespace loses it. The stack's Secrets are derived from it by the bundle. Keys and
 * hashes that are expensive to make are made here, once, and nowhere else.
 *
 * Made before the first claim, so a claim without it tells that it was lost; so does what was made.
 * Some of what it holds cannot be made anew without a loss: a person decides (SecretLost).
 */
#include "reconcilers/backends/s3.h"
#include "reconcilers/registry/rotation.h"
#include "server/adapters/crypto.h"
#include "server/adapters/keys.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum {
    PASSWORD_LENGTH = 32, /* 160 random bits or more, ASCII: no SASLprep, no quoting */
    CSRF_KEY_LENGTH = 32, /* another length, and core refuses every guarded call */
    AES_KEY_LENGTH = 16,  /* core reads the file raw: that many bytes, and no newline */
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

static char *csrf_key(struct ctx *ctx, const char *identity)
{
    (void)identity;
    return crypto_random_password(ctx->arena, CSRF_KEY_LENGTH);
}

static char *aes_key(struct ctx *ctx, const char *identity)
{
    (void)identity;
    return crypto_random_password(ctx->arena, AES_KEY_LENGTH);
}

static char *token_key(struct ctx *ctx, const char *identity)
{
    (void)identity;
    return keys_rsa_pkcs1(ctx->arena);
}

static char *long_password(struct ctx *ctx, const char *identity)
{
    (void)identity;
    return crypto_random_password(ctx->arena, PASSWORD_LENGTH);
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
    {"coreSecret", random_password, true, "core shows it to jobservice"},
    {"jobserviceSecret", random_password, true,
     "jobservice shows it to core; reads all configuration"},
    {"registryHttpSecret", random_password, true,
     "signs uploads under way; all replicas need the same"},
    {"registryPassword", random_password, true, "core and jobservice log in to the registry"},
    {"csrfKey", csrf_key, true, "guards the web pages' forms"},
    {"secretKey", aes_key, true,
     "encrypts credentials in the database: lost or changed, they are lost"},
    {"tokenKey", token_key, true,
     "signs the tokens of docker clients; PKCS#1, or each login gets 500"},
    {KEPT_ADMIN_PASSWORD, long_password, true,
     "first password of Harbor's admin; used by an empty database"},
    {KEPT_ROBOT_SECRET, long_password, true, "of the operator's own account in Harbor"},
};

/* A line of an htpasswd file. */
static char *htpasswd_line(struct ctx *ctx, const json_t *values)
{
    const char *password = json_str_or(values, "registryPassword", "");
    return arena_printf(ctx->arena, REGISTRY_USER ":%s", keys_bcrypt(ctx->arena, password));
}

/* What is kept beside, because it is expensive to make from the above. */
static const struct {
    const char *key;
    char *(*make)(struct ctx *ctx, const json_t *values);
    const char *why;
} derived[] = {
    {"registryHtpasswd", htpasswd_line, "the registry knows registryPassword by it"},
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

char *registry_kept_value(struct ctx *ctx, const char *identity, const char *key)
{
    for (size_t at = 0; at < ARRAY_SIZE(kept); at++)
        if (str_equal(kept[at].key, key))
            return kept[at].make(ctx, identity);
    return NULL;
}

json_t *registry_kept_make(struct ctx *ctx, const char *identity)
{
    json_t *values = arena_json(ctx->arena, json_object());
    for (size_t at = 0; at < ARRAY_SIZE(kept); at++)
        json_object_set_new(values, kept[at].key, json_string(kept[at].make(ctx, identity)));
    for (size_t at = 0; at < ARRAY_SIZE(derived); at++)
        json_object_set_new(values, derived[at].key, json_string(derived[at].make(ctx, values)));
    return values;
}

static json_t *build(struct ctx *ctx, const struct registry_operator *home, const char *name,
                     const struct registry_spec *spec, const char *admin)
{
    const char *identity = spec->identity;
    json_t *values = registry_kept_make(ctx, identity), *notes = rotation_fresh(ctx, spec);
    json_object_set_new(notes, ANNOTATION_HOP, json_string(hop_fresh(ctx, home, spec)));
    if (admin)
        json_object_set_new(values, "adminPassword", json_string(admin));
    return arena_json(ctx->arena,
                      json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s, s:s}, s:O}, s:s, s:o}",
                                "apiVersion", "v1", "kind", "Secret", "metadata", "name", name,
                                "namespace", home->namespace, "labels", LABEL_MANAGED_BY,
                                "flotilla", LABEL_IDENTITY, identity, "annotations", notes, "type",
                                "Opaque", "stringData", json_incref(values)));
}

/* ---- what an earlier version made ---- */

/* Once a Harbor has run, what it encrypted would be lost with another key: then it is damage. */
static bool is_irreplaceable(const json_t *data, const char *key)
{
    return str_equal(key, "secretKey") && json_object_get(data, "coreSecret");
}

/* What is missing of a kept Secret, made anew. */
static json_t *missing_of(struct ctx *ctx, const json_t *secret, const char *identity)
{
    const json_t *data = json_at(secret, "data");
    json_t *missing = arena_json(ctx->arena, json_object());
    for (size_t at = 0; at < ARRAY_SIZE(kept); at++)
        if (kept[at].later && !json_object_get(data, kept[at].key) &&
            !is_irreplaceable(data, kept[at].key))
            json_object_set_new(missing, kept[at].key, json_string(kept[at].make(ctx, identity)));
    /* what they are derived from came with the same earlier version, or is missing, too */
    for (size_t at = 0; at < ARRAY_SIZE(derived); at++)
        if (!json_object_get(data, derived[at].key))
            json_object_set_new(missing, derived[at].key,
                                json_string(derived[at].make(ctx, missing)));
    return missing;
}

/* The server refuses this when somebody else was first: a value that is there is never replaced. */
static int add_later(struct ctx *ctx, struct pass *pass, const char *identity, json_t **secret)
{
    json_t *missing = missing_of(ctx, *secret, identity);
    if (json_object_size(missing) == 0)
        return 0;
    json_t *patch = arena_json(ctx->arena, json_pack("{s:O}", "stringData", missing));
    return pass_patch(ctx, pass, CALL_KUBE_SECRET_CREATE, *secret, NULL, patch, secret);
}

static int check_value(struct ctx *ctx, const json_t *secret, const char *name, const char *key)
{
    const char *value = registry_secret_value(ctx, secret, key);
    if (value && *value)
        return 0;
    return err_set(ctx, ERR_REFUSED, "SecretDamaged", "Secret '%s' holds no %s", name, key);
}

static int check(struct ctx *ctx, const json_t *secret, const char *name)
{
    for (size_t at = 0; at < ARRAY_SIZE(kept); at++)
        TRY(check_value(ctx, secret, name, kept[at].key));
    for (size_t at = 0; at < ARRAY_SIZE(derived); at++)
        TRY(check_value(ctx, secret, name, derived[at].key));
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
        claimed |= claims[type] != NULL || registry_made(scope->identity, type);
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

/*
 * The first password of Harbor's administrator where somebody else chose it: the key `password` of
 * a Secret beside the Registry, which is free to go once status.adminPassword says "Kept".
 */
static int adopt_admin_password(struct ctx *ctx, struct pass *pass, const char **ret)
{
    const struct registry_scope *scope = pass->scope;
    const char *name = scope->spec.admin_secret;
    json_t *secret = NULL;
    if (!name)
        return 0;
    TRY(kube_get(ctx, CALL_KUBE_SECRET_ADOPT, pass_kube(pass), KIND_SECRET, scope->namespace, name,
                 &secret));
    *ret = registry_secret_value(ctx, secret, "password");
    if (*ret && **ret)
        return 0;
    *ret = NULL;
    if (registry_accepts_loss(pass)) /* of the copy that was kept: nobody has it any more */
        return 0;
    pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* its coming wakes nobody here */
    return err_set(ctx, ERR_WAITING, "AdminSecretMissing",
                   "Secret '%s' with the key password is not there", name);
}

static int create(struct ctx *ctx, struct pass *pass, const char *name, json_t **ret)
{
    const struct registry_operator *home = pass->home;
    const struct registry_scope *scope = pass->scope;
    const char *admin = NULL;
    TRY(adopt_admin_password(ctx, pass, &admin));
    json_t *secret = build(ctx, home, name, &scope->spec, admin);
    int rc = pass_create(ctx, pass, CALL_KUBE_SECRET_CREATE, secret, ret);
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
