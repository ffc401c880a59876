/* PostgreSQL: a database and a role, and the lock under which all backends are changed. */
#include "reconcilers/registry/rotation.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum {
    PORT = 5432,
    OWN_CONNECTIONS = 20, /* two sessions of each worker inside, of some operators; the audit's */
};

static int access_of(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                     const json_t *pool, struct postgres_pool *ret)
{
    static const char *const keys[] = {"username", "password"};
    const char *values[2];
    TRY(pool_administrator(ctx, kube, home, pool, keys, values));
    *ret = (struct postgres_pool){
        .name = pool_name(pool),
        .host = pool_host(pool),
        .port = pool_port(pool),
        .ssl_mode = pool_ssl_mode(pool),
        .user = values[0],
        .password = values[1],
        .maintenance = json_str_or(pool, "spec.maintenanceDatabase", "postgres"),
        .cell = home->cell,
        .gates = home->gates,
    };
    return 0;
}

static const char *name(struct ctx *ctx, const struct backend_work *work)
{
    return postgres_name(ctx, work->identity);
}

static int begin(struct ctx *ctx, struct backend_work *work)
{
    struct postgres_pool *access = arena_alloc(ctx->arena, sizeof *access);
    TRY(access_of(ctx, work->kube, work->home, work->at->pool, access));
    return postgres_begin(ctx, access, work->identity, &work->lock);
}

static void end(struct backend_work *work)
{
    postgres_end(work->lock);
}

static void note(struct backend_work *work, const struct postgres_state *state)
{
    work->any = state->role || state->database;
    work->data = state->database;
}

static int observe(struct ctx *ctx, struct backend_work *work)
{
    struct postgres_state *state = arena_alloc(ctx->arena, sizeof *state);
    TRY(postgres_observe(ctx, work->lock, state));
    note(work, state);
    work->session = state;
    return 0;
}

/* The password that is kept for a role, in use or the other one of a rotation. */
static const char *password_of(struct ctx *ctx, const struct backend_work *work, const char *role)
{
    static const char *const pairs[][2] = {{"username", "password"},
                                           {"username" KEPT_OTHER, "password" KEPT_OTHER}};
    for (size_t at = 0; at < ARRAY_SIZE(pairs); at++)
        if (str_equal(registry_secret_value(ctx, work->kept, pairs[at][0]), role))
            return registry_secret_value(ctx, work->kept, pairs[at][1]);
    return NULL;
}

static int converge(struct ctx *ctx, struct backend_work *work)
{
    struct postgres_state *state = work->session;
    const struct postgres_want want = {
        .identity = work->identity,
        .password = password_of(ctx, work, postgres_name(ctx, work->identity)),
        .turn = {password_of(ctx, work, postgres_turn_name(ctx, work->identity, 0)),
                 password_of(ctx, work, postgres_turn_name(ctx, work->identity, 1))},
        .other = registry_secret_value(ctx, work->kept, "username" KEPT_OTHER),
        .other_is_next = rotation_of(work->kept, CREDENTIAL_DATABASE).phase == ROTATION_ADDING,
        .connection_limit = work->connections,
        .open = work->open,
    };
    if (want.open && !want.password && !want.turn[0] && !want.turn[1])
        return err_set(ctx, ERR_REFUSED, "SecretDamaged",
                       "the kept username is none of the registry's roles");
    if (want.open)
        TRY(postgres_create(ctx, work->lock, &want, state));
    TRY(postgres_update(ctx, work->lock, &want, state));
    work->unproved = state->unproved;
    note(work, state);
    return 0;
}

static int remove_all(struct ctx *ctx, struct backend_work *work)
{
    return postgres_remove(ctx, work->lock);
}

static int changes(const struct backend_work *work)
{
    return postgres_changes(work->lock);
}

static void facts(struct ctx *ctx, const struct backend_work *work, json_t *facts)
{
    const json_t *pool = work->at->pool;
    const char *database = postgres_name(ctx, work->identity);
    fact_put(facts, "database.name", database);
    fact_put(facts, "database.user", registry_secret_value(ctx, work->kept, "username"));
    fact_put(facts, "database.password", registry_secret_value(ctx, work->kept, "password"));
    fact_put(facts, "database.sslMode", pool_ssl_mode(pool));
}

/* ---- the pool ---- */

static struct pool_warning powers(const struct postgres_health *health)
{
    if (health->superuser)
        return (struct pool_warning){
            "AdminTooPowerful", "True", "Superuser",
            "the administrator is a superuser; CREATEDB and CREATEROLE are enough"};
    if (health->reaches_all)
        return (struct pool_warning){"AdminTooPowerful", "True", "CreateRole",
                                     "CREATEROLE of PostgreSQL 15 and older reaches every role: "
                                     "guard the Secret as a superuser's"};
    return (struct pool_warning){"AdminTooPowerful", "False", "Bounded",
                                 "the administrator reaches only what it made"};
}

/* pg_hba may still keep tenants out; that we cannot see, and it should not be the only lock. */
static struct pool_warning openness(struct ctx *ctx, const struct postgres_health *health)
{
    if (!health->open_databases)
        return (struct pool_warning){"OpenToAll", "False", "NoneOpen",
                                     "no database lets every role connect"};
    return (struct pool_warning){
        "OpenToAll", "True", "PublicConnect",
        arena_printf(ctx->arena, "REVOKE CONNECT FROM PUBLIC: every role may connect to %s",
                     health->open_databases)};
}

/*
 * The database in which identities are locked is not ours to change: the provider made it, and may
 * have let others in on purpose. Nobody new comes before it is shut; where only others could shut
 * it, that would wait for ever, and the warning has to do.
 */
static const char *blocked_why(struct ctx *ctx, const struct postgres_pool *access)
{
    return arena_printf(ctx->arena,
                        "every role may connect to '%s' and take the locks that guard registries: "
                        "REVOKE CONNECT ON DATABASE \"%s\" FROM PUBLIC",
                        access->maintenance, access->maintenance);
}

static int check(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                 const json_t *pool, struct pool_health *ret)
{
    struct postgres_pool access;
    struct postgres_health health;
    TRY(access_of(ctx, kube, home, pool, &access));
    TRY(postgres_check(ctx, &access, &health));
    *ret = (struct pool_health){
        .version = health.version,
        .owner = health.owner,
        .ours = health.ours,
        .connections =
            health.connections > OWN_CONNECTIONS ? health.connections - OWN_CONNECTIONS : 1,
        .blocked = health.lends_locks ? "OpenToAll" : NULL,
        .blocked_why = blocked_why(ctx, &access),
        .warnings = {powers(&health), openness(ctx, &health)},
    };
    return 0;
}

static int list(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                const json_t *pool, json_t **ret)
{
    struct postgres_pool access;
    TRY(access_of(ctx, kube, home, pool, &access));
    return postgres_list(ctx, &access, ret);
}

const struct backend_row backend_postgres = {
    .type = BACKEND_POSTGRESQL,
    .port = PORT,
    .what = "database and role",
    .failed = "DatabaseFailed",
    .lost = "DatabaseLost",
    .name = name,
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
