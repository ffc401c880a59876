/* Reading, writing and removing one Lease, each fenced by the version that was seen. */
#include "reconcilers/engine/shards_internal.h"

#include "server/base/json.h"
#include "server/base/str.h"

#include <stdio.h>

#define MANAGER "flotilla-lease"

int lease_call_timeout_ms(const struct shards *shards)
{
    return shards->options.deadline_ms - shards->options.renew_ms;
}

void lease_note(struct lease_record *record, const json_t *lease, int64_t now_ms)
{
    const char *version = json_str_or(lease, "metadata.resourceVersion", "");
    record->exists = true;
    if (str_equal(record->version, version))
        return;
    snprintf(record->version, sizeof record->version, "%s", version);
    snprintf(record->holder, sizeof record->holder, "%s",
             json_str_or(lease, "spec.holderIdentity", ""));
    record->duration_ms = json_int_or(lease, "spec.leaseDurationSeconds", 0) * 1000;
    record->transitions = json_int_or(lease, "spec.leaseTransitions", 0);
    record->changed_ms = now_ms;
}

static json_t *make_spec(const struct shards *shards, const struct lease_write *write,
                         const struct lease_record *record)
{
    char now[CLOCK_RFC3339_BYTES];
    clock_rfc3339(now, clock_wall_ms(), 6);
    int seconds = write->holder ? (shards->options.duration_ms + 999) / 1000 : 1;
    json_int_t transitions = record->transitions + (write->take && record->exists);
    return json_pack("{s:s?, s:i, s:s, s:I, s:s*}", "holderIdentity", write->holder,
                     "leaseDurationSeconds", seconds, "renewTime", now, "leaseTransitions",
                     transitions, "acquireTime", write->take ? now : NULL);
}

int lease_write(struct ctx *ctx, struct shards *shards, const struct lease_write *write,
                struct lease_record *record)
{
    json_t *written;
    json_t *spec = make_spec(shards, write, record);
    const struct shards_options *options = &shards->options;
    if (!record->exists) {
        json_t *lease =
            arena_json(ctx->arena, json_pack("{s:{s:s, s:s, s:{s:s}}, s:o}", "metadata", "name",
                                             write->name, "namespace", options->namespace, "labels",
                                             LABEL_LEASE, write->label, "spec", spec));
        TRY(kube_create(ctx, CALL_LEASE_CREATE, options->kube, KIND_LEASE, lease, MANAGER,
                        &written));
    } else {
        json_t *patch =
            arena_json(ctx->arena, json_pack("{s:{s:s}, s:o}", "metadata", "resourceVersion",
                                             record->version, "spec", spec));
        TRY(kube_patch(ctx, CALL_LEASE_RENEW, options->kube, KIND_LEASE, options->namespace,
                       write->name, NULL, patch, MANAGER, &written));
    }
    lease_note(record, written, clock_boottime_ms());
    return 0;
}

int lease_remove(struct ctx *ctx, struct shards *shards, const char *name, const char *version)
{
    return kube_delete(ctx, CALL_LEASE_DELETE, shards->options.kube, KIND_LEASE,
                       shards->options.namespace, name, NULL, version);
}

bool lease_raced(int rc)
{
    return rc == -ERR_CONFLICT || rc == -ERR_ALREADY_EXISTS || rc == -ERR_NOT_FOUND;
}
