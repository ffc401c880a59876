/* flotillad operate: the operators of one cell. */
#include "reconcilers/engine/engine.h"
#include "reconcilers/nginx/nginx.h"
#include "reconcilers/pipeline/metricsapi/metricsapi.h"
#include "reconcilers/pipeline/pipeline.h"
#include "reconcilers/registry/registry.h"
#include "server/base/signals.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/process.h"

#include <stddef.h>

static bool engine_is_ready(void *engine)
{
    return engine_ready(engine);
}

/* Two clients of one cell: renewals never wait behind the work that they protect. */
struct cell {
    struct kube *kube, *lease_kube;
};

/* NULL where nobody asked for it. */
static int serve_metrics(struct ctx *ctx, const struct config *config, struct kube *kube,
                         struct engine *engine, struct metricsapi **ret)
{
    char address[64];
    int port;
    if (!*config->metrics_api_listen)
        return 0;
    if (!config_split_listen(config->metrics_api_listen, address, &port))
        return err_set(ctx, ERR_CONFIG, NULL, "--metrics-api-listen: '%s' is not ADDRESS:PORT",
                       config->metrics_api_listen);
    if (!*config->metrics_api_cert || !*config->metrics_api_key)
        return err_set(ctx, ERR_CONFIG, NULL,
                       "--metrics-api-listen needs --metrics-api-cert and --metrics-api-key");
    const struct metricsapi_options options = {.kube = kube,
                                               .engine = engine,
                                               .address = arena_strdup(ctx->arena, address),
                                               .port = port,
                                               .certificate_file = config->metrics_api_cert,
                                               .key_file = config->metrics_api_key};
    return metricsapi_start(ctx, &options, ret);
}

static int operate(struct ctx *ctx, const struct config *config, const struct cell *cell)
{
    const struct engine_options options = {
        .kube = cell->kube,
        .lease_kube = cell->lease_kube,
        .identity = process_identity(ctx, config),
        .lease_namespace = config->operator_namespace,
        .workers = (int)config->workers,
        .lease_duration_ms = (int)config->lease_duration_ms,
        .lease_renew_ms = (int)config->lease_renew_ms,
        .lease_deadline_ms = (int)config->lease_deadline_ms,
        .lease_gate = config->lease_gate,
    };
    const struct registry_options registry_options = {
        .operator_namespace = config->operator_namespace,
        .verify_interval_ms = config->verify_interval_ms,
        .leave_out = config->leave_out,
        .serving_probe = config->serving_probe,
        .probe_interval_ms = config->serving_interval_ms,
        .manage_interval_ms = config->harbor_interval_ms,
        .collect_interval_ms = config->collect_interval_ms,
        .harbor_address = config->harbor_address,
        .postgres_tools = config->postgres_tools,
        .pull_wait_ms = config->pull_wait_ms,
        .workers = (int)config->workers,
    };
    struct registry_operator *home = NULL;
    TRY(registry_operator_new(ctx, cell->kube, &registry_options, &home));
    struct engine *engine = engine_new(&options);
    for (int at = 0; at < REGISTRY_RECONCILERS; at++)
        engine_add(engine, registry_reconcilers[at], home);

    struct nginx_operator *nginx = NULL;
    struct pipeline_operator *pipelines = NULL;
    struct process_health *health = NULL;
    struct metricsapi *metrics = NULL;
    const struct health_check checks[] = {{"engine", engine_is_ready, engine}, {NULL, NULL, NULL}};
    int rc = nginx_operator_new(ctx, &nginx);
    if (rc == 0) {
        engine_add(engine, &nginx_reconciler, nginx);
        rc = pipeline_operator_new(ctx, engine, &pipelines);
    }
    if (rc == 0) {
        for (int at = 0; at < PIPELINE_RECONCILERS; at++)
            engine_add(engine, pipeline_reconcilers[at], pipelines);
        rc = process_health_start(ctx, config, checks, &health);
    }
    if (rc == 0)
        rc = engine_start(ctx, engine);
    if (rc == 0)
        rc = serve_metrics(ctx, config, cell->kube, engine, &metrics);
    if (rc == 0)
        process_run(ctx, checks);
    metricsapi_stop(metrics);
    process_health_stop(health);
    engine_stop(engine);
    pipeline_operator_free(pipelines);
    nginx_operator_free(nginx);
    registry_operator_free(home);
    return rc;
}

int cmd_operate(const struct config *config, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    signals_block();
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "operate");
    struct cell cell = {0};
    const char *file = *config->kubeconfig ? config->kubeconfig : NULL;
    int rc = kube_open(&ctx, file, "flotillad-operate/" FLOTILLA_VERSION, &cell.kube);
    if (rc == 0)
        rc = kube_open(&ctx, file, "flotillad-lease/" FLOTILLA_VERSION, &cell.lease_kube);
    if (rc == 0)
        rc = operate(&ctx, config, &cell);
    int status = rc == 0 ? 0 : process_failed(&ctx, "operate");
    kube_close(cell.lease_kube);
    kube_close(cell.kube);
    arena_free(arena);
    return status;
}
