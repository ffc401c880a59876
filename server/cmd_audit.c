/*
 * flotillad audit: compares everything with everything and changes nothing. Two halves, each run
 * where its settings are given: the cell (pools, claims, identities, kept credentials, custom
 * resources; --kubeconfig) and the fleet (rows and every cell's custom resources;
 * --database-fleet). One JSON object per difference (finding.h) on standard output.
 * Exit status: 0 consistent, 3 differences found, 1 could not compare, 2 wrong usage.
 */
#include "reconcilers/fleet/fleet.h"
#include "reconcilers/registry/registry.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/process.h"

#include <stdio.h>

enum { EXIT_CONSISTENT = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_DIFFERENT = 3 };

static int audit_cell(struct ctx *ctx, const struct config *config, json_t *findings)
{
    const struct registry_options options = {
        .operator_namespace = config->operator_namespace,
        .verify_interval_ms = config->verify_interval_ms,
        .workers = (int)config->workers,
    };
    struct kube *kube = NULL;
    struct registry_operator *home = NULL;
    TRY(kube_open(ctx, config->kubeconfig, "flotillad-audit/" FLOTILLA_VERSION, &kube));
    int rc = registry_operator_new(ctx, kube, &options, &home);
    if (rc == 0)
        rc = registry_audit(ctx, kube, home, findings);
    registry_operator_free(home);
    kube_close(kube);
    return rc;
}

static struct fleet_options fleet_options_of(const struct config *config)
{
    return (struct fleet_options){
        .conninfo = config->database_fleet,
        .cells_dir = config->cells_dir,
        .identity = "audit",
    };
}

static int compare(struct ctx *ctx, const struct config *config)
{
    json_t *findings = arena_json(ctx->arena, json_array());
    const struct fleet_options options = fleet_options_of(config);
    int rc = 0;
    if (*config->kubeconfig)
        rc = audit_cell(ctx, config, findings);
    if (rc == 0 && *config->database_fleet)
        rc = fleet_audit(ctx, &options, findings);
    if (rc < 0)
        return process_failed(ctx, "audit");
    size_t index;
    const json_t *finding;
    json_array_foreach(findings, index, finding)
        printf("%s\n", json_text(ctx->arena, finding));
    fprintf(stderr, "audit: compared %s%s%s: %zu differences\n",
            *config->kubeconfig ? "the cell" : "",
            *config->kubeconfig && *config->database_fleet ? " and " : "",
            *config->database_fleet ? "the fleet" : "", json_array_size(findings));
    return json_array_size(findings) ? EXIT_DIFFERENT : EXIT_CONSISTENT;
}

static int resolve(struct ctx *ctx, const struct config *config)
{
    bool cluster = str_equal(config->take, "cluster");
    if (!*config->database_fleet || !*config->cells_dir) {
        fputs("audit: --resolve needs --database-fleet and --cells-dir\n", stderr);
        return EXIT_USAGE;
    }
    if (!cluster && !str_equal(config->take, "row")) {
        fprintf(stderr, "--take: '%s' is neither row nor cluster\n", config->take);
        return EXIT_USAGE;
    }
    const struct fleet_options options = fleet_options_of(config);
    return fleet_resolve(ctx, &options, config->resolve, cluster) < 0 ? process_failed(ctx, "audit")
                                                                      : EXIT_CONSISTENT;
}

int cmd_audit(const struct config *config, int argc, char **argv)
{
    (void)argv;
    if (argc > 0 || (!*config->kubeconfig && !*config->database_fleet)) {
        fputs("audit: needs --kubeconfig (a cell), --database-fleet with --cells-dir, or both\n",
              stderr);
        return EXIT_USAGE;
    }
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "audit");
    int status = *config->resolve ? resolve(&ctx, config) : compare(&ctx, config);
    arena_free(arena);
    return status;
}
