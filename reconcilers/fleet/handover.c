#include "reconcilers/fleet/handover.h"

#include "server/adapters/crypto.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"
#include "server/store/sealed.h"

/* The Secret without its content; NULL when there is nothing to hand over. */
static const json_t *wanted(const struct work *work)
{
    const json_t *handover = json_object_get(work->row, "handover");
    return json_is_object(handover) ? handover : NULL;
}

static int read_password(struct ctx *ctx, const struct work *work, char **ret)
{
    struct store_sealed sealed;
    bool is_found;
    TRY(store_fleet_sealed(ctx, work->pool, work->id, &sealed, &is_found));
    if (!is_found)
        return publish_again(ctx, "its secret was shredded meanwhile");
    return envelope_open(ctx, work->keks, &sealed.label, &sealed.envelope, ret);
}

/* *ret NULL: there is none. */
static int find(struct ctx *ctx, const struct work *work, json_t **ret)
{
    const char *namespace = json_str(wanted(work), "metadata.namespace");
    const char *name = json_str(wanted(work), "metadata.name");
    TRY(kube_get(ctx, CALL_FLEET_SECRET_GET, work->cell->kube, KIND_SECRET, namespace, name, ret));
    if (*ret && !str_equal(resource_id(*ret), work->id))
        return err_set(ctx, ERR_TAKEN, "HandoverNotOurs",
                       "Secret %s/%s does not carry this registry's labels", namespace, name);
    return 0;
}

/* Only what was read: somebody else may have made another one meanwhile. */
static int remove_secret(struct ctx *ctx, const struct work *work, const json_t *secret)
{
    int rc = kube_delete(ctx, CALL_FLEET_SECRET_DELETE, work->cell->kube, KIND_SECRET,
                         json_str(secret, "metadata.namespace"), json_str(secret, "metadata.name"),
                         json_str(secret, "metadata.uid"), NULL);
    if (rc != -ERR_NOT_FOUND)
        return rc;
    err_clear(ctx);
    return 0;
}

/* Did somebody who was faster shred the row while we were on our way? Then ours has to go again. */
static int check_late(struct ctx *ctx, const struct work *work, const json_t *secret)
{
    struct store_sealed sealed;
    bool is_found;
    TRY(store_fleet_sealed(ctx, work->pool, work->id, &sealed, &is_found));
    if (is_found)
        return 0;
    TRY(remove_secret(ctx, work, secret));
    return publish_again(ctx, "its secret was shredded meanwhile");
}

/*
 * The registry is made anew and its password was shredded: the copy that the cell kept went with
 * the cell's history. Its spec still names a hand-over, so there has to be one: another password,
 * which only an empty database would take.
 */
static int seal_again(struct ctx *ctx, const struct work *work, const char *id)
{
    const struct envelope_label label = {
        .tenant = json_str(work->row, "tenant"),
        .owner = arena_printf(ctx->arena, SEALED_OF_REGISTRY, work->id),
        .purpose = SEALED_ADMIN_PASSWORD,
        .id = id,
    };
    struct envelope envelope;
    TRY(envelope_seal(ctx, work->keks, &label,
                      crypto_random_password(ctx->arena, SEALED_PASSWORD_LENGTH), &envelope));
    TRY(store_fleet_seal_again(ctx, work->pool, work->id, &envelope));
    return publish_again(ctx, "another first password was sealed");
}

int handover_offer(struct ctx *ctx, struct work *work)
{
    const char *spent = json_str(work->row, "spent");
    if (spent)
        return seal_again(ctx, work, spent);
    if (!wanted(work))
        return 0;
    char *password = NULL;
    json_t *made, *found;
    TRY(read_password(ctx, work, &password));
    json_t *secret = arena_json(ctx->arena, json_deep_copy(wanted(work)));
    json_put(secret, "stringData.password", json_string(password));
    int rc = kube_create(ctx, CALL_FLEET_SECRET_CREATE, work->cell->kube, KIND_SECRET, secret,
                         FLEET_MANAGER, &made);
    if (rc == -ERR_ALREADY_EXISTS) {
        TRY(find(ctx, work, &found));
        return found ? 0 : publish_again(ctx, "the hand-over went while we looked");
    }
    TRY(rc);
    metric_add(METRIC_HANDOVERS, 1, "offered");
    return check_late(ctx, work, made);
}

/*
 * The Secret first: were the row shredded first, nobody would know after a crash that it has to go.
 * And once more behind: who was late may have made it anew in between. (He looks at the row after
 * that, we look at the Secret after shredding: one of us sees the other.)
 */
static int forget(struct ctx *ctx, struct work *work)
{
    json_t *secret;
    bool is_changed;
    TRY(find(ctx, work, &secret));
    if (secret)
        TRY(remove_secret(ctx, work, secret));
    TRY(store_fleet_shred(ctx, work->pool, work->id, &is_changed));
    if (is_changed)
        metric_add(METRIC_HANDOVERS, 1, "kept");
    TRY(find(ctx, work, &secret));
    return secret ? remove_secret(ctx, work, secret) : 0;
}

int handover_settle(struct ctx *ctx, struct work *work)
{
    json_t *secret;
    if (!wanted(work))
        return 0;
    if (resource_keeps_password(work->live))
        return forget(ctx, work);
    TRY(find(ctx, work, &secret));
    return secret ? 0 : handover_offer(ctx, work);
}
