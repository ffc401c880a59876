#include "reconcilers/fleet/cells.h"

#include "reconcilers/engine/engine.h"
#include "reconcilers/fleet/resource.h"
#include "server/adapters/curl.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { KEY_BYTES = 320, ID_BYTES = 64, DIRT_MAX = 50000 };

struct dirty {
    char key[KEY_BYTES]; /* namespace/name */
    char id[ID_BYTES];
    UT_hash_handle hh;
};

struct cell_dirt {
    pthread_mutex_t lock; /* guards the set */
    struct dirty *set;
};

struct cells {
    char directory[512];
    pthread_mutex_t lock; /* guards the arrays' growth */
    size_t count;
    struct cell *cell[CELLS_MAX];
    struct http_io *io[CELLS_MAX / CELLS_PER_IO + 1];
};

struct cells *cells_new(const char *directory)
{
    struct cells *cells = calloc(1, sizeof *cells);
    if (!cells)
        abort();
    pthread_mutex_init(&cells->lock, NULL);
    snprintf(cells->directory, sizeof cells->directory, "%s", directory);
    return cells;
}

static void cell_free(struct cell *cell)
{
    for (size_t at = 0; at < PUBLISHED_KINDS; at++)
        kube_cache_free(cell->cache[at]);
    kube_close(cell->kube);
    struct dirty *dirty, *next;
    HASH_ITER(hh, cell->dirt->set, dirty, next) {
        HASH_DEL(cell->dirt->set, dirty);
        free(dirty);
    }
    pthread_mutex_destroy(&cell->dirt->lock);
    free(cell->dirt);
    free(cell);
}

void cells_free(struct cells *cells)
{
    if (!cells)
        return;
    for (size_t index = 0; index < cells->count; index++)
        cell_free(cells->cell[index]);
    for (size_t index = 0; index < sizeof cells->io / sizeof cells->io[0]; index++)
        if (cells->io[index])
            http_io_free(cells->io[index]);
    pthread_mutex_destroy(&cells->lock);
    free(cells);
}

/* On the I/O thread: only remembers where something happened. */
static void on_event(void *arg, enum kube_kind kind, const json_t *object, enum kube_change change)
{
    (void)kind;
    (void)change; /* the collector sees in the cache whether it is there */
    const struct cell_key key = {
        json_str(object, "metadata.namespace"),
        json_str(object, "metadata.name"),
        resource_id(object),
    };
    if (key.namespace && key.name && key.id)
        cell_mark(arg, &key);
}

static struct http_io *io_of(struct cells *cells, size_t index)
{
    struct http_io **io = &cells->io[index / CELLS_PER_IO];
    if (!*io)
        *io = http_io_new();
    return *io;
}

static int cell_open(struct ctx *ctx, struct cells *cells, const char *name, const char *kubeconfig)
{
    const char *path = arena_printf(ctx->arena, "%s/%s", cells->directory, kubeconfig);
    struct kube *kube;
    TRY(kube_open(ctx, path, "flotillad-fleet/" FLOTILLA_VERSION, &kube));
    struct cell *cell = calloc(1, sizeof *cell);
    struct cell_dirt *dirt = calloc(1, sizeof *dirt);
    if (!cell || !dirt)
        abort();
    pthread_mutex_init(&dirt->lock, NULL);
    snprintf(cell->name, sizeof cell->name, "%s", name);
    cell->kube = kube;
    cell->dirt = dirt;
    for (size_t at = 0; at < PUBLISHED_KINDS; at++) {
        const struct kube_cache_options options = {
            .kind = published_kinds[at].kube,
            .label_selector = LABEL_FLEET "=true",
            .optional = published_kinds[at].is_optional,
            .on_event = on_event,
            .arg = cell,
        };
        cell->cache[at] = kube_cache_new(kube, io_of(cells, cells->count), &options);
    }
    pthread_mutex_lock(&cells->lock);
    cells->cell[cells->count++] = cell;
    pthread_mutex_unlock(&cells->lock);
    log_info(ctx, "cell %s is open", name);
    return 0;
}

/* Only the one thread that refreshes adds cells. */
void cells_refresh(struct ctx *ctx, struct cells *cells, const json_t *rows)
{
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) {
        const char *name = json_str_or(row, "name", "");
        if (cells_find(cells, name) || cells->count == CELLS_MAX)
            continue;
        int rc = cell_open(ctx, cells, name, json_str_or(row, "kubeconfig", ""));
        if (rc < 0)
            log_failure(ctx, arena_printf(ctx->arena, "open cell %s", name));
        err_clear(ctx);
    }
}

size_t cells_count(struct cells *cells)
{
    pthread_mutex_lock(&cells->lock);
    size_t count = cells->count;
    pthread_mutex_unlock(&cells->lock);
    return count;
}

struct cell *cells_at(struct cells *cells, size_t index)
{
    pthread_mutex_lock(&cells->lock);
    struct cell *cell = index < cells->count ? cells->cell[index] : NULL;
    pthread_mutex_unlock(&cells->lock);
    return cell;
}

struct cell *cells_find(struct cells *cells, const char *name)
{
    struct cell *found = NULL;
    pthread_mutex_lock(&cells->lock);
    for (size_t index = 0; index < cells->count && !found; index++)
        if (str_equal(cells->cell[index]->name, name))
            found = cells->cell[index];
    pthread_mutex_unlock(&cells->lock);
    return found;
}

struct kube_cache *cell_cache(const struct cell *cell, const char *id)
{
    return cell->cache[published_kind(id) - published_kinds];
}

bool cell_blind(const struct cell *cell, const char *id)
{
    return published_kind(id)->is_optional && kube_cache_refused(cell_cache(cell, id));
}

bool cell_synced(const struct cell *cell)
{
    bool synced = true;
    for (size_t at = 0; at < PUBLISHED_KINDS; at++)
        synced &= kube_cache_synced(cell->cache[at]) ||
                  (published_kinds[at].is_optional && kube_cache_refused(cell->cache[at]));
    return synced;
}

void cell_mark(struct cell *cell, const struct cell_key *key)
{
    struct cell_dirt *dirt = cell->dirt;
    char text[KEY_BYTES];
    snprintf(text, sizeof text, "%s/%s", key->namespace, key->name);
    pthread_mutex_lock(&dirt->lock);
    struct dirty *dirty;
    HASH_FIND_STR(dirt->set, text, dirty);
    if (!dirty && HASH_COUNT(dirt->set) >= DIRT_MAX) {
        cell->rescan = true; /* too much to remember: look at all instead */
    } else if (!dirty) {
        dirty = calloc(1, sizeof *dirty);
        if (!dirty)
            abort();
        memcpy(dirty->key, text, sizeof dirty->key);
        HASH_ADD_STR(dirt->set, key, dirty);
    }
    if (dirty)
        snprintf(dirty->id, sizeof dirty->id, "%s", key->id);
    pthread_mutex_unlock(&dirt->lock);
}

size_t cell_drain(struct ctx *ctx, struct cell *cell, size_t max, struct cell_key **ret)
{
    struct cell_dirt *dirt = cell->dirt;
    struct cell_key *keys = arena_alloc(ctx->arena, max * sizeof *keys);
    size_t count = 0;
    pthread_mutex_lock(&dirt->lock);
    struct dirty *dirty, *next;
    HASH_ITER(hh, dirt->set, dirty, next) {
        if (count == max)
            break;
        HASH_DEL(dirt->set, dirty);
        char *namespace = arena_strdup(ctx->arena, dirty->key);
        char *slash = strchr(namespace, '/');
        *slash = '\0';
        keys[count].namespace = namespace;
        keys[count].name = slash + 1;
        keys[count].id = arena_strdup(ctx->arena, dirty->id);
        count++;
        free(dirty);
    }
    pthread_mutex_unlock(&dirt->lock);
    *ret = keys;
    return count;
}
