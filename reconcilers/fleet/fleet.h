/*
 * The fleet layer's process: `flotillad fleet`. Takes changes from the outbox of the fleet's
 * database to the cells (place, publish, purge) and brings their statuses back (collect).
 * Read publish.c first. Any number of these may run; all are active (docs/architecture.md).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct ctx;
struct fleet;
struct kube;

/*
 * What a cell, which is only read, would do with `object`, a Pipeline that is not there: told in
 * *ret, an object in ctx->arena. What decides is the operator's (docs/adr/0021), so whoever starts
 * the fleet hands it in. -ERR_DENIED, -ERR_NOT_FOUND: the fleet may not list what it looks at, or
 * the cell has no such kinds.
 */
typedef int (*fleet_preview)(struct ctx *ctx, struct kube *kube, const json_t *object,
                             json_t **ret);

/* Defaults and bounds stand in server/config.def. */
struct fleet_options {
    const char *conninfo;  /* of the role flotilla_fleet */
    const char *cells_dir; /* where the kubeconfig files are that the cells' rows name */
    const char *kek_file;  /* see server/adapters/kek.h; audit needs none */
    const char *identity;  /* unique per process */
    int workers;
    int poll_ms;           /* how often the outbox is asked */
    int lease_duration_ms; /* of the right to collect from a cell, and of taken work */
    int lease_renew_ms;
    bool lease_gate;       /* false: takes what others hold (fault proofs only) */
    fleet_preview preview; /* NULL: dry runs are left to other processes */
};

/* Strings are copied. Returns once the threads run; the database may still be away. -ERR_CONFIG
 * when the key file is no good. */
int fleet_start(struct ctx *ctx, const struct fleet_options *options, struct fleet **ret);
/* The database has answered and the cells' rows were read. A cell that is down does not count. */
bool fleet_ready(const struct fleet *fleet);
/* Lets running work end (at most its deadline), gives everything back. */
void fleet_stop(struct fleet *fleet);

/* ---- for people ---- */

/*
 * Compares every row with every cell's custom resources and namespaces, read live. `findings` gets
 * a finding (reconcilers/engine/finding.h) for each difference: Unclaimed, Tombstone, Unpublished,
 * CellUnknown, or the reason of a verdict (resource.h). Its detail begins with the registry's id.
 */
int fleet_audit(struct ctx *ctx, const struct fleet_options *options, json_t *findings);

/* Ends a divergence, or makes the row of an unclaimed custom resource again (take_cluster). `what`
 * is the id of a registry, or the name of a cell that was restored from a backup: then all rows win
 * of which it knows nothing. */
int fleet_resolve(struct ctx *ctx, const struct fleet_options *options, const char *what,
                  bool take_cluster);
