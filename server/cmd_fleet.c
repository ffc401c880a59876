/* flotillad fleet: carries rows to the cells and their status back. */
#include "reconcilers/fleet/fleet.h"
#include "server/base/signals.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/place.h"
#include "server/process.h"

#include <stddef.h>

static bool fleet_is_ready(void *fleet)
{
    return fleet_ready(fleet);
}

static int run(struct ctx *ctx, const struct config *config)
{
    const struct fleet_options options = {
        .conninfo = config->database_fleet,
        .cells_dir = config->cells_dir,
        .kek_file = config->kek_file,
        .identity = process_identity(ctx, config),
        .workers = (int)config->workers,
        .poll_ms = (int)config->poll_interval_ms,
        .lease_duration_ms = (int)config->lease_duration_ms,
        .lease_renew_ms = (int)config->lease_renew_ms,
        .lease_gate = config->lease_gate,
        .preview = place_ask,
    };
    struct fleet *fleet = NULL;
    TRY(fleet_start(ctx, &options, &fleet));
    const struct health_check checks[] = {{"fleet", fleet_is_ready, fleet}, {NULL, NULL, NULL}};
    struct process_health *health = NULL;
    int rc = process_health_start(ctx, config, checks, &health);
    if (rc == 0)
        process_run(ctx, checks);
    process_health_stop(health);
    fleet_stop(fleet);
    return rc;
}

int cmd_fleet(const struct config *config, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    signals_block();
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "fleet");
    int status = run(&ctx, config) == 0 ? 0 : process_failed(&ctx, "fleet");
    arena_free(arena);
    return status;
}
