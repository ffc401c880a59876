/*
 * The fleet's half of `flotillad audit`: rows against custom resources, read live, with the same
 * verdicts as publish.c; and the ways in which a person ends a divergence.
 */
#include "reconcilers/engine/engine.h"
#include "reconcilers/engine/finding.h"
#include "reconcilers/fleet/fleet.h"
#include "reconcilers/fleet/resource.h"
#include "server/adapters/pg.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/store/fleet.h"

#include <inttypes.h>
#include <string.h>

/* What is compared: all rows by id, and custom resources by id and by cell. */
struct audit {
    struct pg_pool *pool;
    const char *cells_dir;
    json_t *rows;    /* id -> row */
    json_t *cells;   /* name -> true, those that were read */
    json_t *objects; /* array of {cell, object} */
    json_t *fences;  /* array of {cell, list}: namespaces */
    json_t *found;   /* id -> object, in the cell that its row names */
    json_t *findings;
};

static void audit_init(struct ctx *ctx, struct audit *audit, struct pg_pool *pool,
                       const char *cells_dir)
{
    *audit = (struct audit){
        .pool = pool,
        .cells_dir = cells_dir,
        .rows = arena_json(ctx->arena, json_object()),
        .cells = arena_json(ctx->arena, json_object()),
        .found = arena_json(ctx->arena, json_object()),
        .objects = arena_json(ctx->arena, json_array()),
        .fences = arena_json(ctx->arena, json_array()),
    };
}

static void pool_free(void *pool)
{
    pg_pool_free(pool);
}

static void kube_free(void *kube)
{
    kube_close(kube);
}

static struct pg_pool *open_pool(struct ctx *ctx, const struct fleet_options *options)
{
    struct pg_pool *pool = pg_pool_new(options->conninfo, 1, NULL);
    arena_defer(ctx->arena, pool_free, pool);
    return pool;
}

static int open_kube(struct ctx *ctx, const char *cells_dir, const json_t *cell, struct kube **ret)
{
    const char *path = arena_printf(ctx->arena, "%s/%s", cells_dir, json_str(cell, "kubeconfig"));
    TRY(kube_open(ctx, path, "flotillad-audit/" FLOTILLA_VERSION, ret));
    arena_defer(ctx->arena, kube_free, *ret);
    return 0;
}

/* ---- read ---- */

static int read_rows(struct ctx *ctx, struct audit *audit)
{
    const char *after = "";
    json_t *rows;
    do {
        TRY(store_fleet_rows(ctx, audit->pool, NULL, after, &rows));
        size_t index;
        json_t *row;
        json_array_foreach(rows, index, row) {
            after = json_str_or(row, "id", "");
            json_object_set(audit->rows, after, row);
        }
    } while (json_array_size(rows) > 0);
    return 0;
}

static void add_objects(struct audit *audit, const char *cell, const json_t *objects)
{
    json_object_set_new(audit->cells, cell, json_true());
    size_t index;
    json_t *object;
    json_array_foreach(objects, index, object) {
        if (!resource_id(object))
            continue;
        json_array_append_new(audit->objects,
                              json_pack("{s:s, s:O}", "cell", cell, "object", object));
        const json_t *row = json_object_get(audit->rows, resource_id(object));
        if (str_equal(json_str(row, "cell"), cell) &&
            str_equal(json_str(row, "namespace"), json_str(object, "metadata.namespace")) &&
            str_equal(json_str(row, "name"), json_str(object, "metadata.name")))
            json_object_set(audit->found, resource_id(object), object);
    }
}

static int read_kind(struct ctx *ctx, struct audit *audit, const char *cell, struct kube *kube,
                     const struct published_kind *kind)
{
    json_t *objects;
    int rc = kube_list(ctx, CALL_FLEET_RESOURCE_LIST, kube, kind->kube, NULL, LABEL_FLEET "=true",
                       &objects);
    if (rc == -ERR_NOT_FOUND && kind->is_optional)
        return err_clear(ctx), 0;
    TRY(rc);
    add_objects(audit, cell, objects);
    return 0;
}

static int read_cells(struct ctx *ctx, struct audit *audit)
{
    json_t *cells;
    TRY(store_fleet_cells(ctx, audit->pool, NULL, &cells));
    size_t index;
    json_t *cell;
    json_array_foreach(cells, index, cell) {
        struct kube *kube;
        json_t *objects;
        TRY(open_kube(ctx, audit->cells_dir, cell, &kube));
        for (size_t at = 0; at < PUBLISHED_KINDS; at++)
            TRY(read_kind(ctx, audit, json_str(cell, "name"), kube, &published_kinds[at]));
        TRY(kube_list(ctx, CALL_FLEET_NAMESPACE_LIST, kube, KIND_NAMESPACE, NULL,
                      LABEL_FLEET "=true", &objects));
        json_t *fences = json_pack("{s:s, s:O}", "cell", json_str(cell, "name"), "list", objects);
        json_array_append_new(audit->fences, fences);
    }
    return 0;
}

/* ---- compare ---- */

/* `place`: a row, or as much of one as is known: id, cell, namespace, name. */
static void report(struct ctx *ctx, struct audit *audit, const char *finding, const char *kind,
                   const json_t *place, const char *detail)
{
    const char *namespace = json_str(place, "namespace"), *name = json_str_or(place, "name", "");
    const struct finding row = {
        .finding = finding,
        .kind = kind,
        .object = namespace ? arena_printf(ctx->arena, "%s/%s", namespace, name) : name,
        .cell = json_str_or(place, "cell", ""),
        .detail = arena_printf(ctx->arena, "%s: %s", json_str_or(place, "id", "no id"), detail),
    };
    finding_add(audit->findings, &row);
}

static void judge_row(struct ctx *ctx, struct audit *audit, const json_t *row)
{
    const char *title = published_kind(json_str_or(row, "id", ""))->title;
    const json_t *live = json_object_get(audit->found, json_str(row, "id"));
    if (json_bool_or(row, "tombstone", false)) {
        if (live)
            report(ctx, audit, "Tombstone", title, row,
                   "the row is a tombstone, its resource is there");
        return;
    }
    if (!json_str(row, "cell")) {
        report(ctx, audit, "Unpublished", title, row, "the row has no cell yet");
        return;
    }
    if (!json_object_get(audit->cells, json_str(row, "cell"))) {
        report(ctx, audit, "CellUnknown", title, row, "the row's cell could not be read");
        return;
    }
    enum verdict verdict = resource_judge(row, live);
    bool is_diverged = json_bool_or(row, "diverged", false);
    if (verdict == VERDICT_CURRENT && !is_diverged)
        return;
    const char *message = arena_printf(
        ctx->arena, "row generation %" PRId64 ", live revision %" PRId64 ": %s",
        json_int_or(row, "generation", 0), resource_revision(live), verdict_row(verdict)->doc);
    report(ctx, audit, is_diverged ? "Diverged" : verdict_row(verdict)->reason, title, row,
           message);
}

/* Custom resources that no row stands for, or that are not where their row says. */
static void judge_objects(struct ctx *ctx, struct audit *audit)
{
    size_t index;
    json_t *entry;
    json_array_foreach(audit->objects, index, entry) {
        const json_t *object = json_object_get(entry, "object");
        const char *id = resource_id(object);
        if (json_object_get(audit->found, id) == object)
            continue;
        json_t *place =
            arena_json(ctx->arena, json_pack("{s:s, s:s, s:s, s:s}", "id", id, "cell",
                                             json_str_or(entry, "cell", ""), "namespace",
                                             json_str_or(object, "metadata.namespace", ""), "name",
                                             json_str_or(object, "metadata.name", "")));
        bool has_row = json_object_get(audit->rows, id) != NULL;
        report(ctx, audit, "Unclaimed", published_kind(id)->title, place,
               has_row ? "the row of this id is in another place" : "no row has this id");
    }
}

/* That of a tenant's pipelines and their workers: it stays when the last pipeline goes. */
static bool is_of_tenant(const json_t *fence)
{
    return !resource_id(fence) && kube_label(fence, LABEL_TENANT);
}

/* A namespace of ours without a living row: empty, or the audit tells of what is in it, too. */
static void judge_fences(struct ctx *ctx, struct audit *audit, const json_t *cell)
{
    size_t index;
    json_t *fence;
    json_array_foreach(json_object_get(cell, "list"), index, fence) {
        const char *id = resource_id(fence), *name = json_str_or(fence, "metadata.name", "");
        const json_t *row = id ? json_object_get(audit->rows, id) : NULL;
        bool is_tombstone = json_bool_or(row, "tombstone", false);
        if (json_at(fence, "metadata.deletionTimestamp") || is_of_tenant(fence) ||
            (row && !is_tombstone && str_equal(json_str(row, "cell"), json_str(cell, "cell"))))
            continue;
        json_t *place =
            arena_json(ctx->arena, json_pack("{s:s*, s:s, s:s}", "id", id, "cell",
                                             json_str_or(cell, "cell", ""), "name", name));
        report(ctx, audit, is_tombstone ? "Tombstone" : "Unclaimed", "Namespace", place,
               "no living row of this cell has this namespace");
    }
}

int fleet_audit(struct ctx *ctx, const struct fleet_options *options, json_t *findings)
{
    struct audit audit;
    audit_init(ctx, &audit, open_pool(ctx, options), options->cells_dir);
    audit.findings = findings;
    /* Not one instant: what a fleet at work changes between the reads is a finding that a second
     * run does not have. */
    size_t position;
    json_t *cell;
    TRY(read_rows(ctx, &audit));
    TRY(read_cells(ctx, &audit));
    const char *id;
    json_t *row;
    json_object_foreach(audit.rows, id, row) {
        judge_row(ctx, &audit, row);
    }
    judge_objects(ctx, &audit);
    json_array_foreach(audit.fences, position, cell) {
        judge_fences(ctx, &audit, cell);
    }
    return 0;
}

/* ---- resolve ---- */

/* The one live custom resource with this id, wherever it is; NULL = none. */
static int find_live(struct ctx *ctx, struct pg_pool *pool, const char *cells_dir, const char *id,
                     const char **ret_cell, json_t **ret)
{
    struct audit audit;
    audit_init(ctx, &audit, pool, cells_dir);
    TRY(read_cells(ctx, &audit));
    size_t index;
    json_t *entry;
    *ret = NULL;
    json_array_foreach(audit.objects, index, entry) {
        json_t *object = json_object_get(entry, "object");
        if (!str_equal(resource_id(object), id))
            continue;
        if (*ret)
            return err_set(ctx, ERR_TAKEN, "TwoResources",
                           "two custom resources carry id %s: remove the wrong one's label", id);
        *ret = object;
        *ret_cell = json_str(entry, "cell");
    }
    return 0;
}

/* NULL where there is no cell of this name. */
static int open_cell(struct ctx *ctx, struct pg_pool *pool, const char *cells_dir, const char *name,
                     struct kube **ret)
{
    json_t *cells, *cell;
    size_t index;
    *ret = NULL;
    TRY(store_fleet_cells(ctx, pool, NULL, &cells));
    json_array_foreach(cells, index, cell) {
        if (str_equal(json_str(cell, "name"), name))
            TRY(open_kube(ctx, cells_dir, cell, ret));
    }
    return 0;
}

/* Of a row, in its cell; NULL = the cell knows none. */
static int find_identity(struct ctx *ctx, struct kube *kube, const json_t *row, json_t **ret)
{
    *ret = NULL;
    return kube ? kube_get(ctx, CALL_FLEET_IDENTITY_GET, kube, KIND_REGISTRY_IDENTITY, NULL,
                           json_str(row, "identity"), ret)
                : 0;
}

/*
 * Where the identity is gone the data was purged, and the namespace is about to go or gone. Neither
 * name is ever used again, so the row cannot win: under the old id there would be an empty registry
 * that looks like the old one. A new registry is a new row.
 */
static int refuse_revival(struct ctx *ctx, struct pg_pool *pool, const char *cells_dir,
                          const char *id)
{
    json_t *row, *identity;
    struct kube *kube;
    TRY(store_fleet_row(ctx, pool, id, &row));
    if (!published_kind(id)->keeps_data || !json_bool_or(row, "diverged", false) ||
        json_int_or(row, "published", 0) == 0)
        return 0;
    TRY(open_cell(ctx, pool, cells_dir, json_str(row, "cell"), &kube));
    TRY(find_identity(ctx, kube, row, &identity));
    if (identity)
        return 0;
    return err_set(ctx, ERR_PRECONDITION, "RegistryPurged",
                   "registry %s was purged in its cell: take cluster, and create a new one; or the "
                   "cell was restored from a backup: resolve the cell",
                   id);
}

/*
 * Unless the cell came back from a backup: then what it knows nothing of was made since, and a
 * person says so for all of it. The rows win; the operator adopts what carries their identities.
 */
static int resolve_cell(struct ctx *ctx, const struct fleet_options *options, struct pg_pool *pool,
                        const char *cell)
{
    struct audit audit;
    audit_init(ctx, &audit, pool, options->cells_dir);
    TRY(read_rows(ctx, &audit));
    TRY(read_cells(ctx, &audit));
    struct kube *kube;
    TRY(open_cell(ctx, pool, options->cells_dir, cell, &kube));
    size_t resolved = 0;
    const char *id;
    json_t *row, *identity;
    json_object_foreach(audit.rows, id, row) {
        bool is_changed;
        if (!str_equal(json_str(row, "cell"), cell) || !published_kind(id)->keeps_data ||
            !json_bool_or(row, "diverged", false) || json_object_get(audit.found, id))
            continue;
        TRY(find_identity(ctx, kube, row, &identity));
        if (identity)
            continue;
        TRY(store_fleet_resolve(ctx, pool, id, cell, NULL, false, &is_changed));
        resolved += is_changed;
    }
    if (resolved > 0)
        return 0;
    return err_set(ctx, ERR_PRECONDITION, "NotDiverged",
                   "no registry is Diverged because cell %s knows nothing of it", cell);
}

int fleet_resolve(struct ctx *ctx, const struct fleet_options *options, const char *what,
                  bool take_cluster)
{
    struct pg_pool *pool = open_pool(ctx, options);
    const char *cell = NULL;
    json_t *live;
    bool is_changed;
    if (!strchr(what, '_') && !take_cluster) /* ids have one, names of cells have none */
        return resolve_cell(ctx, options, pool, what);
    TRY(find_live(ctx, pool, options->cells_dir, what, &cell, &live));
    if (!live && !take_cluster)
        TRY(refuse_revival(ctx, pool, options->cells_dir, what));
    TRY(store_fleet_resolve(ctx, pool, what, cell, live, take_cluster, &is_changed));
    if (!is_changed)
        return err_set(ctx, ERR_PRECONDITION, "NotDiverged",
                       "%s is neither Diverged nor Unclaimed, or is a tombstone", what);
    return 0;
}
