/* Object store: a bucket and a key. With the driver `static` both are the provider's, one pair per
 * slot of the pool. */
#include "reconcilers/registry/rotation.h"

#include "reconcilers/backends/s3.h"
#include "reconcilers/engine/engine.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { PORT = 443 };

static const char *const key_pair[] = {"accessKey", "secretKey"};

struct session {
    struct s3_pool pool;
    struct s3_want want;
    struct s3 *s3;
    struct s3_state state;
};

static bool is_static(const json_t *pool)
{
    return str_equal(json_str(pool, "spec.driver"), "static");
}

static int access_of(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                     const json_t *pool, struct s3_pool *ret)
{
    const char *values[2] = {NULL, NULL}, *ca_pem;
    if (!is_static(pool))
        TRY(pool_administrator(ctx, kube, home, pool, key_pair, values));
    TRY(pool_authorities(ctx, kube, home, pool, &ca_pem));
    *ret = (struct s3_pool){
        .name = pool_name(pool),
        .host = pool_host(pool),
        .port = pool_port(pool),
        .ssl_mode = pool_ssl_mode(pool),
        .ca_pem = ca_pem,
        .region = json_str_or(pool, "spec.region", "us-east-1"),
        .driver = json_str_or(pool, "spec.driver", ""),
        .access_key = values[0],
        .secret_key = values[1],
        .cell = home->cell,
        .gates = home->gates,
    };
    return 0;
}

/* ---- what the provider gave for a slot ---- */

static const json_t *slot_of(const struct registry_backend *at)
{
    int64_t slot = json_int_or(at->claim, "spec.slot", -1);
    size_t index;
    json_t *row;
    json_array_foreach(json_at(at->pool, "spec.buckets"), index, row)
        if (json_int_or(row, "slot", -2) == slot)
            return row;
    return NULL;
}

static int give(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                struct registry_backend *at)
{
    json_t *secret = NULL;
    if (!is_static(at->pool))
        return 0;
    const json_t *slot = slot_of(at);
    if (!slot)
        return err_set(ctx, ERR_WAITING, "BucketMissing",
                       "pool '%s' is static and names no bucket for slot %lld", pool_name(at->pool),
                       (long long)json_int_or(at->claim, "spec.slot", -1));
    TRY(pool_secret(ctx, kube, home, json_str_or(slot, "credentialSecretRef.name", ""), key_pair,
                    &secret));
    at->given = secret;
    return 0;
}

static const char *bucket_of(struct ctx *ctx, const struct backend_work *work)
{
    return is_static(work->at->pool) ? json_str_or(slot_of(work->at), "bucket", "")
                                     : s3_name(ctx, work->identity);
}

static struct s3_key key_of(struct ctx *ctx, const struct backend_work *work)
{
    if (work->at->given)
        return (struct s3_key){pool_secret_text(ctx, work->at->given, key_pair[0]),
                               pool_secret_text(ctx, work->at->given, key_pair[1])};
    return (struct s3_key){registry_secret_value(ctx, work->kept, KEPT_S3_ACCESS),
                           registry_secret_value(ctx, work->kept, KEPT_S3_SECRET)};
}

/* The second pair of a rotation; without access there is none. */
static struct s3_key other_key(struct ctx *ctx, const struct backend_work *work)
{
    if (work->at->given)
        return (struct s3_key){0};
    return (struct s3_key){registry_secret_value(ctx, work->kept, KEPT_S3_ACCESS KEPT_OTHER),
                           registry_secret_value(ctx, work->kept, KEPT_S3_SECRET KEPT_OTHER)};
}

/* ---- one registry's part ---- */

struct s3 *backend_s3_session(const struct backend_work *work)
{
    return ((const struct session *)work->session)->s3;
}

static int begin(struct ctx *ctx, struct backend_work *work)
{
    struct session *session = arena_alloc(ctx->arena, sizeof *session);
    work->session = session;
    TRY(access_of(ctx, work->kube, work->home, work->at->pool, &session->pool));
    session->want = (struct s3_want){
        .identity = work->identity,
        .bucket = is_static(work->at->pool) ? bucket_of(ctx, work) : NULL,
        .keys = {key_of(ctx, work), other_key(ctx, work)},
        .second_is_next = rotation_of(work->kept, CREDENTIAL_S3).phase == ROTATION_ADDING,
        .open = work->open,
    };
    return s3_begin(ctx, &session->pool, &session->want, &session->s3);
}

static void end(struct backend_work *work)
{
    s3_end(((struct session *)work->session)->s3);
}

/* A bucket that lost its mark is not the one that was there. */
static void note(struct backend_work *work, const struct s3_state *state)
{
    work->data = state->bucket && state->marked;
    work->any = work->data || state->accounts || state->user;
    work->cannot_close = work->data && !state->lockable;
}

static int observe(struct ctx *ctx, struct backend_work *work)
{
    struct session *session = work->session;
    TRY(s3_observe(ctx, session->s3, &session->state));
    note(work, &session->state);
    return 0;
}

static int converge(struct ctx *ctx, struct backend_work *work)
{
    struct session *session = work->session;
    if (work->open)
        TRY(s3_create(ctx, session->s3, &session->state));
    TRY(s3_update(ctx, session->s3, &session->state));
    work->unproved = session->state.unproved;
    note(work, &session->state);
    return 0;
}

static int remove_all(struct ctx *ctx, struct backend_work *work)
{
    return s3_remove(ctx, backend_s3_session(work));
}

static int changes(const struct backend_work *work)
{
    return s3_changes(backend_s3_session(work));
}

/* Changes nothing that lasts, so it needs no lock: a bucket that is closed or gone refuses. */
int registry_bucket_prove(struct ctx *ctx, struct pass *pass, struct s3_proof *ret)
{
    const struct registry_scope *scope = pass->scope;
    struct backend_work work = {.row = &backend_s3,
                                .home = pass->home,
                                .kube = pass_kube(pass),
                                .identity = scope->spec.identity,
                                .at = &scope->backends[BACKEND_S3],
                                .kept = scope->kept,
                                .open = true};
    *ret = (struct s3_proof){0};
    TRY(begin(ctx, &work));
    const struct session *session = work.session;
    int rc = s3_prove_bucket(ctx, session->s3, &session->want.keys[0], ret);
    end(&work);
    return rc;
}

static void facts(struct ctx *ctx, const struct backend_work *work, json_t *facts)
{
    const json_t *pool = work->at->pool;
    const struct s3_key key = key_of(ctx, work);
    bool plain = str_equal(pool_ssl_mode(pool), "disable");
    fact_put(facts, "s3.endpoint",
             arena_printf(ctx->arena, "%s://%s", plain ? "http" : "https",
                          json_str_or(facts, "s3.address", "")));
    fact_put(facts, "s3.region", json_str_or(pool, "spec.region", "us-east-1"));
    fact_put(facts, "s3.bucket", bucket_of(ctx, work));
    fact_put(facts, "s3.accessKey", key.access);
    fact_put(facts, "s3.secretKey", key.secret);
}

/* ---- the pool ---- */

static int check(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                 const json_t *pool, struct pool_health *ret)
{
    struct s3_pool access;
    struct s3_health health;
    TRY(access_of(ctx, kube, home, pool, &access));
    TRY(s3_check(ctx, &access, &health));
    *ret = (struct pool_health){.owner = health.owner, .ours = health.ours};
    ret->warnings[0] =
        is_static(pool)
            ? (struct pool_warning){"CannotClose", "True", "KeysAreGiven",
                                    "the keys are the provider's: a closed registry's key stays "
                                    "valid, and nothing of it is listed by the audit"}
            : (struct pool_warning){"CannotClose", "False", "PolicyLocks",
                                    "a closed registry's bucket lets no key in"};
    return 0;
}

static int list(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                const json_t *pool, json_t **ret)
{
    struct s3_pool access;
    *ret = NULL;
    if (is_static(pool))
        return 0;
    TRY(access_of(ctx, kube, home, pool, &access));
    return s3_list(ctx, &access, ret);
}

const struct backend_row backend_s3 = {
    .type = BACKEND_S3,
    .port = PORT,
    .what = "bucket and key",
    .failed = "BucketFailed",
    .lost = "BucketLost",
    .fenced = true,
    .name = bucket_of,
    .give = give,
    .begin = begin,
    .end = end,
    .observe = observe,
    .converge = converge,
    .remove = remove_all,
    .changes = changes,
    .facts = facts,
    .check = check,
    .list = list,
};
