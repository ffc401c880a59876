/* flotillad serve, migrate, bootstrap-key: what has to do with the fleet's database and its API. */
#include "server/base/signals.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/handlers/serve.h"
#include "server/process.h"
#include "server/store/store.h"

#include <stdio.h>

static int run(struct ctx *ctx, const struct config *config)
{
    char address[64];
    int port;
    if (!config_split_listen(config->listen, address, &port))
        return err_set(ctx, ERR_CONFIG, NULL, "--listen: '%s' is not ADDRESS:PORT", config->listen);
    const struct serve_options options = {
        .conninfo = config->database_serve,
        .kek_file = config->kek_file,
        .address = address,
        .port = port,
        .workers = (int)config->http_workers,
        .connections_per_address = (int)config->connections_per_address,
        .requests_per_second = (int)config->requests_per_second,
        .writes_per_second = (int)config->writes_per_second,
    };
    struct serve *serve = NULL;
    TRY(serve_start(ctx, &options, &serve));
    log_info(ctx, "ready on %s:%d", address, serve_port(serve));
    signals_wait();
    log_info(ctx, "stopping");
    serve_stop(serve);
    return 0;
}

int cmd_serve(const struct config *config, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    signals_block();
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "serve");
    int status = run(&ctx, config) == 0 ? 0 : process_failed(&ctx, "serve");
    arena_free(arena);
    return status;
}

int cmd_migrate(const struct config *config, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "migrate");
    int applied = 0;
    int rc = store_migrate(&ctx, config->database_owner, &applied);
    if (rc == 0)
        printf("%d migrations applied\n", applied);
    int status = rc == 0 ? 0 : process_failed(&ctx, "migrate");
    arena_free(arena);
    return status;
}

int cmd_bootstrap_key(const struct config *config, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "bootstrap-key");
    const char *key = NULL;
    int rc = bootstrap_key_create(&ctx, config->database_owner, &key);
    if (rc == 0)
        printf("%s\n", key);
    int status = rc == 0 ? 0 : process_failed(&ctx, "bootstrap-key");
    arena_free(arena);
    return status;
}
