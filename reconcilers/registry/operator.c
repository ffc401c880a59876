/* What the three reconcilers share: made once at start, read by all workers. */
#include "reconcilers/registry/hop_places.h"
#include "reconcilers/registry/parts.h"

#include "reconcilers/backends/gate.h"
#include "server/base/clock.h"
#include "server/base/embed.h"
#include "server/base/json.h"
#include "server/base/yaml.h"

#include <stdlib.h>
#include <string.h>

#define FOLDER "reconcilers/registry/manifests"

enum { CELL_TRIES = 40, CELL_PAUSE_MS = 250 };

static int load(struct ctx *ctx, const char *path, json_t **ret)
{
    const struct embed_file *file = embed_find(path);
    json_t *tree = NULL;
    if (!file)
        return err_set(ctx, ERR_INTERNAL, NULL, "%s is not embedded", path);
    TRY(yaml_parse(ctx, file->data, file->bytes, &tree));
    *ret = json_deep_copy(tree);
    return 0;
}

/*
 * The uid of kube-system: the one name of a cluster that nobody can choose. An API server makes
 * that namespace a moment after it answers first, and a read may be served by one that lags behind.
 */
static int read_cell(struct ctx *ctx, struct kube *kube, char **ret)
{
    const char *uid = NULL;
    for (int tried = 0; !uid; tried++) {
        if (tried == CELL_TRIES)
            return err_set(ctx, ERR_CONFIG, "NoCellMark", "the namespace kube-system is not there");
        if (tried)
            clock_sleep_ms(CELL_PAUSE_MS);
        json_t *namespace = NULL;
        TRY(kube_get(ctx, CALL_KUBE_CELL_READ, kube, KIND_NAMESPACE, NULL, "kube-system",
                     &namespace));
        uid = json_str(namespace, "metadata.uid");
    }
    *ret = strdup(uid);
    return 0;
}

static int load_bundles(struct ctx *ctx, struct registry_operator *home)
{
    const char *minor;
    json_t *patch;
    json_object_foreach(json_object_get(home->versions, "patches"), minor, patch) {
        if (home->bundle_count == REGISTRY_MINORS_MAX)
            return err_set(ctx, ERR_CONFIG, NULL, FOLDER "/versions.yaml: too many versions");
        TRY(bundle_load(ctx, FOLDER, minor, &home->bundles[home->bundle_count].bundle));
        home->bundles[home->bundle_count++].minor = minor;
    }
    return 0;
}

/* Nobody should take such stacks for whole ones. */
static int check_left_out(struct ctx *ctx, const struct registry_operator *home)
{
    TRY(registry_check_parts(ctx, home->left_out));
    if (*home->left_out)
        log_warn(ctx, "no stack is whole here, --leave-out: %s", home->left_out);
    return 0;
}

static int fill(struct ctx *ctx, struct kube *kube, struct registry_operator *home)
{
    TRY(check_left_out(ctx, home));
    TRY(load(ctx, FOLDER "/sizes.yaml", &home->sizes));
    TRY(load(ctx, FOLDER "/versions.yaml", &home->versions));
    TRY(load_bundles(ctx, home));
    return kube ? read_cell(ctx, kube, &home->cell) : 0;
}

int registry_operator_new(struct ctx *ctx, struct kube *kube,
                          const struct registry_options *options, struct registry_operator **ret)
{
    struct registry_operator *home = calloc(1, sizeof *home);
    if (!home)
        abort();
    home->namespace = strdup(options->operator_namespace);
    home->verify_interval_ms = options->verify_interval_ms;
    home->left_out = strdup(options->leave_out ? options->leave_out : "");
    home->serving_probe = options->serving_probe;
    home->probe_interval_ms = options->probe_interval_ms;
    home->manage_interval_ms = options->manage_interval_ms;
    home->collect_interval_ms = options->collect_interval_ms;
    home->pull_wait_ms = options->pull_wait_ms;
    home->postgres_tools = strdup(options->postgres_tools ? options->postgres_tools : "");
    if (options->harbor_address && *options->harbor_address)
        home->harbor_address = strdup(options->harbor_address);
    home->probes = probes_new();
    home->gates = backend_gates_new(options->workers / 4);
    home->places = hop_places_new(options->workers / 4);
    home->verified = verify_new();
    int rc = fill(ctx, kube, home);
    if (rc < 0) {
        registry_operator_free(home);
        return rc;
    }
    *ret = home;
    return 0;
}

void registry_operator_free(struct registry_operator *home)
{
    if (!home)
        return;
    for (int at = 0; at < home->bundle_count; at++)
        bundle_free(home->bundles[at].bundle);
    json_decref(home->sizes);
    json_decref(home->versions);
    backend_gates_free(home->gates);
    hop_places_free(home->places);
    verify_free(home->verified);
    probes_free(home->probes);
    free(home->left_out);
    free(home->postgres_tools);
    free(home->harbor_address);
    free(home->namespace);
    free(home->cell);
    free(home);
}
