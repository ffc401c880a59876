#include "server/process.h"

#include "server/adapters/crypto.h"
#include "server/base/clock.h"
#include "server/base/signals.h"
#include "server/base/str.h"
#include "server/config.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOST_BYTES = 40, HEALTH_WORKERS = 1, READY_POLL_MS = 20 };

struct process_health {
    struct http_server *server;
    const struct health_check *checks;
};

char *process_identity(struct ctx *ctx, const struct config *config)
{
    if (*config->identity)
        return arena_strdup(ctx->arena, config->identity);
    char host[HOST_BYTES] = "";
    gethostname(host, sizeof host - 1);
    for (char *p = host; *p; p++)
        *p = isalnum((unsigned char)*p) ? (char)tolower((unsigned char)*p) : '-';
    return arena_printf(ctx->arena, "%s-%d-%s", *host ? host : "host", (int)getpid(),
                        crypto_random_base32(ctx->arena, 6));
}

static void answer(struct ctx *ctx, void *arg, const struct request *request,
                   struct response *response)
{
    const struct process_health *health = arg;
    if (!health_answer(ctx, health->checks, request, response))
        response_text(ctx, response, 404, "text/plain", "not found\n");
}

int process_health_start(struct ctx *ctx, const struct config *config,
                         const struct health_check *checks, struct process_health **ret)
{
    char address[64];
    int port;
    if (!config_split_listen(config->health_listen, address, &port))
        return err_set(ctx, ERR_CONFIG, NULL, "--health-listen: '%s' is not ADDRESS:PORT",
                       config->health_listen);
    struct process_health *health = calloc(1, sizeof *health);
    if (!health)
        abort();
    health->checks = checks;
    const struct http_server_options options = {.address = address,
                                                .port = port,
                                                .workers = HEALTH_WORKERS,
                                                .connections_per_address = HTTP_ADDRESS_CONNECTIONS,
                                                .handler = answer,
                                                .arg = health};
    int rc = http_server_start(ctx, &options, &health->server);
    if (rc < 0) {
        free(health);
        return rc;
    }
    log_info(ctx, "health and metrics on %s:%d", address, http_server_port(health->server));
    *ret = health;
    return 0;
}

void process_health_stop(struct process_health *health)
{
    if (!health)
        return;
    http_server_stop(health->server);
    free(health);
}

static bool all_hold(const struct health_check *checks)
{
    for (const struct health_check *check = checks; check->name; check++)
        if (!check->ok(check->arg))
            return false;
    return true;
}

void process_run(struct ctx *ctx, const struct health_check *checks)
{
    while (!all_hold(checks))
        if (signals_wait_ms(READY_POLL_MS))
            return;
    log_info(ctx, "ready");
    signals_wait();
    log_info(ctx, "stopping");
}

int process_failed(struct ctx *ctx, const char *role)
{
    log_failure(ctx, role);
    return ctx->err.code == ERR_CONFIG ? 2 : 1;
}
