/* Puts pool, routes, waiters and listener together, and takes them apart in the right order. */
#include "server/handlers/serve.h"

#include "server/adapters/crypto.h"
#include "server/adapters/kek.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/embed.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"
#include "server/handlers/app.h"
#include "server/http/auth.h"
#include "server/http/waiters.h"
#include "server/net/health.h"
#include "server/store/operation.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SPARE_SESSIONS = 2,           /* the waiters' thread and the housekeeper */
    HOUSEKEEPING_FIRST_MS = 5000, /* a process that never lives ten minutes cleans up too */
    HOUSEKEEPING_PERIOD_MS = 600000,
    HOUSEKEEPING_BITES_MAX = 1000, /* a million keys: more than all clients make in ten minutes */
    OWN_TIMEOUT_MS = 5000,
};

/* What a request that we lost may hold on to, at most. */
static const char session_setup[] =
    "SET statement_timeout = '15s'; SET idle_in_transaction_session_timeout = '20s'";

struct serve {
    struct app app;
    struct kek_ring *keks;
    struct api *api;
    struct http_server *http;
    struct arena *arena; /* holds the OpenAPI document */
    pthread_t housekeeper;
    pthread_mutex_t lock; /* guards stopping */
    pthread_cond_t stop;
    bool stopping;
};

const struct route app_routes[] = {
#define ROUTE(method, path, permission, query, handler, why)                                       \
    {method, path, PERMISSION_##permission, query, handler, why},
#include "server/http/routes.def"
#undef ROUTE
    {0},
};

/* ---- what the lower rooms ask the database through us ---- */

typedef int (*app_statement)(struct ctx *ctx, struct pg *pg, void *arg);

static int with_scope_once(struct ctx *ctx, const struct app *app, const struct store_scope *scope,
                           app_statement statement, void *arg)
{
    struct pg *pg;
    TRY(pg_pool_take(ctx, app->pool, &pg));
    int rc = store_begin(ctx, pg, scope);
    if (rc == 0)
        rc = statement(ctx, pg, arg);
    if (rc == 0)
        rc = store_end(ctx, pg);
    pg_pool_give(app->pool, pg);
    return rc;
}

/* A transaction that no request stands behind. The session may have ended since it was last used:
 * then once more, with another one. */
static int with_scope(struct ctx *ctx, const struct app *app, const struct store_scope *scope,
                      app_statement statement, void *arg)
{
    int rc = with_scope_once(ctx, app, scope, statement, arg);
    return rc == -ERR_UNAVAILABLE ? with_scope_once(ctx, app, scope, statement, arg) : rc;
}

struct key_search {
    const char *prefix;
    struct principal *principal;
    bool found;
};

static int find_key_row(struct ctx *ctx, struct pg *pg, void *arg)
{
    struct key_search *search = arg;
    struct store_key row;
    TRY(store_key_find(ctx, pg, search->prefix, &row, &search->found));
    if (!search->found)
        return 0;
    struct principal *ret = search->principal;
    snprintf(ret->key, sizeof ret->key, "%s", row.id);
    snprintf(ret->tenant, sizeof ret->tenant, "%s", row.tenant ? row.tenant : "");
    snprintf(ret->secret_hash, sizeof ret->secret_hash, "%s", row.secret_hash);
    ret->provider = row.provider;
    return 0;
}

static int find_key(struct ctx *ctx, void *app, const char *prefix, struct principal *ret,
                    bool *ret_found)
{
    struct key_search search = {.prefix = prefix, .principal = ret};
    const struct store_scope scope = {.key_prefix = prefix};
    TRY(with_scope(ctx, app, &scope, find_key_row, &search));
    *ret_found = search.found;
    return 0;
}

struct ended_search {
    const char *const *ids;
    int count;
    bool *ended;
};

/* Ids are ours, [a-z0-9_] only: they need no quoting inside an array. */
static int find_ended_rows(struct ctx *ctx, struct pg *pg, void *arg)
{
    const struct ended_search *search = arg;
    _cleanup_str_ struct str list;
    str_init(&list, 64 << 10);
    for (int at = 0; at < search->count; at++)
        str_printf(&list, "%c%s", at ? ',' : '{', search->ids[at]);
    str_add(&list, "}");
    struct pg_rows rows;
    TRY(store_operation_ended(ctx, pg, str_text(&list), &rows));
    for (int row = 0; row < rows.rows; row++)
        for (int at = 0; at < search->count; at++)
            if (str_equal(search->ids[at], pg_field(&rows, row, "id")))
                search->ended[at] = true;
    return 0;
}

static int find_ended(struct ctx *ctx, void *app, const char *const ids[], int count, bool ended[])
{
    struct ended_search search = {ids, count, ended};
    const struct store_scope scope = {.provider = true};
    return count ? with_scope(ctx, app, &scope, find_ended_rows, &search) : 0;
}

/* ---- housekeeping ---- */

static int expire_rows(struct ctx *ctx, struct pg *pg, void *arg)
{
    return store_idempotency_expire(ctx, pg, arg);
}

/* One short transaction; true when there may be more. */
static bool bite(struct serve *serve)
{
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "housekeeper");
    ctx.deadline_ms = clock_boottime_ms() + OWN_TIMEOUT_MS;
    const struct store_scope scope = {.provider = true};
    bool more = false;
    if (with_scope(&ctx, &serve->app, &scope, expire_rows, &more) < 0)
        log_failure(&ctx, "removing expired idempotency keys");
    arena_free(arena);
    return more;
}

static bool is_stopping(struct serve *serve)
{
    pthread_mutex_lock(&serve->lock);
    bool stopping = serve->stopping;
    pthread_mutex_unlock(&serve->lock);
    return stopping;
}

static void keep_house(struct serve *serve)
{
    for (int bites = 0; bites < HOUSEKEEPING_BITES_MAX && !is_stopping(serve); bites++)
        if (!bite(serve))
            return;
}

static void *housekeeper_main(void *arg)
{
    struct serve *serve = arg;
    int64_t pause_ms = HOUSEKEEPING_FIRST_MS;
    pthread_mutex_lock(&serve->lock);
    while (!serve->stopping) {
        const struct timespec until = clock_until(pause_ms);
        if (pthread_cond_timedwait(&serve->stop, &serve->lock, &until) == 0)
            continue;
        pthread_mutex_unlock(&serve->lock);
        keep_house(serve);
        pause_ms = HOUSEKEEPING_PERIOD_MS;
        pthread_mutex_lock(&serve->lock);
    }
    pthread_mutex_unlock(&serve->lock);
    return NULL;
}

/* ---- health ---- */

static bool schema_is_current(void *arg)
{
    const struct app *app = arg;
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "health");
    ctx.deadline_ms = clock_boottime_ms() + OWN_TIMEOUT_MS;
    struct pg *pg = NULL;
    bool ok = pg_pool_take(&ctx, app->pool, &pg) == 0 && store_version_check(&ctx, pg) == 0;
    if (!ok)
        log_failure(&ctx, "readiness");
    pg_pool_give(app->pool, pg);
    arena_free(arena);
    return ok;
}

int health_get(struct ctx *ctx, struct api_call *call)
{
    const struct health_check checks[] = {{"database", schema_is_current, call->app}, {0}};
    return health_answer(ctx, checks, call->request, call->response) ? 0 : call_not_found(ctx);
}

int openapi_get(struct ctx *ctx, struct api_call *call)
{
    (void)ctx;
    const struct app *app = call->app;
    api_answer_json(call, 200, app->openapi);
    return 0;
}

/* ---- life ---- */

static int load_openapi(struct ctx *ctx, struct serve *serve)
{
    const struct embed_file *file = embed_find("api/openapi.yaml");
    if (!file)
        return err_set(ctx, ERR_INTERNAL, NULL, "api/openapi.yaml is not embedded");
    json_t *document;
    TRY(yaml_parse(ctx, file->data, file->bytes, &document));
    serve->app.openapi = arena_strdup(serve->arena, json_text(ctx->arena, document));
    return 0;
}

static int check_schema(struct ctx *ctx, const struct app *app)
{
    struct pg *pg;
    TRY(pg_pool_take(ctx, app->pool, &pg));
    int rc = store_version_check(ctx, pg);
    pg_pool_give(app->pool, pg);
    return rc;
}

static int listen_http(struct ctx *ctx, struct serve *serve, const struct serve_options *options)
{
    serve->api = api_new(&(struct api_options){
        .routes = app_routes,
        .app = &serve->app,
        .find_key = find_key,
        .requests_per_second = options->requests_per_second,
        .writes_per_second = options->writes_per_second,
    });
    serve->app.waiters = waiters_new(find_ended, &serve->app);
    const struct http_server_options http = {
        .address = options->address,
        .port = options->port,
        .workers = options->workers,
        .connections_per_address = options->connections_per_address,
        .handler = api_answer,
        .refuse = api_refuse,
        .arg = serve->api,
    };
    return http_server_start(ctx, &http, &serve->http);
}

int serve_start(struct ctx *ctx, const struct serve_options *options, struct serve **ret)
{
    struct serve *serve = calloc(1, sizeof *serve);
    if (!serve)
        abort();
    serve->arena = arena_new();
    serve->app.pool =
        pg_pool_new(options->conninfo, options->workers + SPARE_SESSIONS, session_setup);
    pthread_mutex_init(&serve->lock, NULL);
    clock_cond_init(&serve->stop);
    int rc = load_openapi(ctx, serve);
    if (rc == 0)
        rc = kek_ring_open(ctx, options->kek_file, &serve->keks);
    serve->app.keks = serve->keks;
    if (rc == 0)
        rc = check_schema(ctx, &serve->app);
    if (rc == 0)
        rc = listen_http(ctx, serve, options);
    if (rc == 0 && pthread_create(&serve->housekeeper, NULL, housekeeper_main, serve) != 0)
        abort();
    if (rc < 0) {
        serve->stopping = true; /* there is no housekeeper to join */
        serve_stop(serve);
        return rc;
    }
    *ret = serve;
    return 0;
}

int serve_port(const struct serve *serve)
{
    return http_server_port(serve->http);
}

void serve_stop(struct serve *serve)
{
    if (!serve)
        return;
    if (!serve->stopping) {
        pthread_mutex_lock(&serve->lock);
        serve->stopping = true;
        pthread_cond_signal(&serve->stop);
        pthread_mutex_unlock(&serve->lock);
        pthread_join(serve->housekeeper, NULL);
    }
    waiters_stop(serve->app.waiters);
    http_server_stop(serve->http);
    waiters_free(serve->app.waiters);
    api_free(serve->api);
    pg_pool_free(serve->app.pool);
    kek_ring_free(serve->keks);
    pthread_cond_destroy(&serve->stop);
    pthread_mutex_destroy(&serve->lock);
    arena_free(serve->arena);
    free(serve);
}

int bootstrap_key_create(struct ctx *ctx, const char *conninfo, const char **ret_text)
{
    struct auth_key key = auth_key_make(ctx->arena);
    const struct store_new_key row = {.id = crypto_id(ctx->arena, "key"),
                                      .prefix = key.prefix,
                                      .secret_hash = key.secret_hash,
                                      .name = "bootstrap"};
    const struct store_actor actor = {.name = "bootstrap"};
    const struct store_scope scope = {.provider = true};
    struct pg *pg;
    TRY(pg_open(ctx, conninfo, &pg));
    int rc = store_begin(ctx, pg, &scope);
    if (rc == 0)
        rc = store_api_key_insert(ctx, pg, &row, &actor);
    if (rc == 0)
        rc = store_commit(ctx, pg);
    pg_close(pg);
    *ret_text = key.text;
    return rc;
}
