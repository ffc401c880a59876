#include "reconcilers/fleet/tell.h"

#include "reconcilers/fleet/resource.h"
#include "server/adapters/crypto.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"

#include <inttypes.h>

void tell_reverted(struct ctx *ctx, const struct cell *cell, const json_t *live, int64_t revision)
{
    char now[CLOCK_RFC3339_BYTES];
    clock_rfc3339(now, clock_wall_ms(), 6);
    const char *name = arena_printf(ctx->arena, "%s.%s", json_str_or(live, "metadata.name", ""),
                                    crypto_random_base32(ctx->arena, 12));
    const char *note = arena_printf(ctx->arena,
                                    "spec belongs to the fleet's database; the edit was reverted "
                                    "to revision %" PRId64 ". Change it by the API, or "
                                    "remove the label flotilla.dev/fleet to take it over",
                                    revision);
    json_t *event = arena_json(
        ctx->arena,
        json_pack("{s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s}}",
                  "metadata", "namespace", json_str_or(live, "metadata.namespace", ""), "name",
                  name, "eventTime", now, "type", "Warning", "reason", "DriftReverted", "action",
                  "Publish", "note", note, "reportingController", "flotilla.dev/fleet",
                  "reportingInstance", ctx->actor, "regarding", "apiVersion",
                  json_str_or(live, "apiVersion", ""), "kind", json_str_or(live, "kind", ""),
                  "namespace", json_str_or(live, "metadata.namespace", ""), "name",
                  json_str_or(live, "metadata.name", ""), "uid",
                  json_str_or(live, "metadata.uid", "")));
    if (kube_create(ctx, CALL_FLEET_EVENT_CREATE, cell->kube, KIND_EVENT, event, FLEET_MANAGER,
                    NULL) < 0)
        log_failure(ctx, "create event");
    err_clear(ctx);
}
