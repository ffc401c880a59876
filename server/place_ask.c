/* What the fleet asks of a cell for a dry run over HTTP: as `do place --explain` of a Pipeline that
 * is not there yet, cut to what its tenant may read. */
#include "server/place.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"

/* The conditions of a class name workloads of the provider's; its numbers are what a tenant pays
 * for. */
static void cut(json_t *told)
{
    size_t at;
    json_t *class;
    json_object_del(told, "namespace");
    json_array_foreach(json_at(told, "classes"), at, class)
        json_object_del(json_at(class, "status"), "conditions");
}

int place_ask(struct ctx *ctx, struct kube *kube, const json_t *object, json_t **ret)
{
    const char *name = json_str_or(object, "metadata.name", "");
    const char *namespace = json_str_or(object, "metadata.namespace", "");
    struct preview preview;
    bool used;
    TRY(preview_begin(ctx, namespace, clock_wall_ms() / 1000, &preview));
    TRY(place_list(ctx, CALL_FLEET_PREVIEW_LIST, kube, PLACE_ASK_BYTES, &preview));
    if (preview_pipeline(&preview, name))
        return err_set(ctx, ERR_TAKEN, "NameTakenInCell",
                       "namespace %s has a Pipeline '%s' that the fleet has no row of, or it came "
                       "meanwhile",
                       namespace, name);
    TRY(preview_apply(ctx, &preview, object, &used));
    TRY(preview_make(ctx, &preview, ret));
    TRY(preview_narrow(ctx, *ret, name));
    cut(*ret);
    return 0;
}
