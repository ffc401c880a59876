/* Whether the numbers of a ledger can be what was written there: nothing else reckons with one that
 * is out of all bounds. Somebody else may have written it. */
#include "reconcilers/pipeline/asked.h"
#include "reconcilers/pipeline/board.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>

#define COUNT_MAX (INT64_C(1) << 52) /* never reached; what is believed may grow on in the CRD */

enum { DRAIN_S_MAX = 3600 };

/* By name: it means the same wherever it stands. */
static const struct {
    const char *name;
    int64_t most;
    bool is_time; /* `most` seconds after now */
} bounds[] = {
    {.name = "decision", .most = COUNT_MAX},
    {.name = "time", .is_time = true},
    {.name = "nextAge", .most = COUNT_MAX},
    {.name = "generation", .most = COUNT_MAX},
    {.name = "capacity", .most = PLACE_MILLI_MAX},
    {.name = "compacted", .is_time = true},
    {.name = "pod", .most = WORLD_PODS_MAX - 1},
    {.name = "milli", .most = PLACE_MILLI_MAX},
    {.name = "held", .most = PLACE_MILLI_MAX},
    {.name = "rate", .most = PLACE_MILLI_MAX},
    {.name = "until", .most = DRAIN_S_MAX + UNSETTLED_S_MAX, .is_time = true},
    {.name = "idleUntil", .most = DRAIN_S_MAX, .is_time = true},
    {.name = "age", .most = COUNT_MAX},
    {.name = "priority", .most = PLACE_PRIORITY_MAX},
    {.name = "stage", .most = PLACE_STAGES_MAX - 1},
    {.name = "need", .most = COUNT_MAX},
    {.name = "free", .most = COUNT_MAX},
    {.name = "podsNeeded", .most = UINT32_MAX},
    {.name = "attempts", .most = UINT32_MAX},
    {.name = "deadline", .most = PLACE_TIMEOUT_S_MAX, .is_time = true},
    {.name = "retry", .most = PLACE_BACKOFF_S_MAX, .is_time = true},
    {.name = "since", .is_time = true},
};

static int check_number(struct ctx *ctx, const char *name, const json_t *number, int64_t now_s)
{
    int64_t value = json_integer_value(number); /* 0 for what is no integer */
    for (size_t at = 0; at < ARRAY_SIZE(bounds); at++) {
        int64_t most = bounds[at].most + (bounds[at].is_time ? now_s : 0);
        if (!str_equal(bounds[at].name, name))
            continue;
        if (!json_is_integer(number) || value < 0 || value > most)
            return err_set(ctx, ERR_INVALID, NULL,
                           "%s of %" PRId64 " is no number from 0 to %" PRId64, name, value, most);
    }
    return 0;
}

int ledger_check(struct ctx *ctx, const json_t *ledger, const char *name, int64_t now_s)
{
    size_t at;
    const char *key;
    json_t *item;
    json_array_foreach(ledger, at, item)
        TRY(ledger_check(ctx, item, name, now_s));
    json_object_foreach((json_t *)(uintptr_t)ledger, key, item)
        TRY(ledger_check(ctx, item, key, now_s));
    return json_is_number(ledger) ? check_number(ctx, name, ledger, now_s) : 0;
}

static int check_stage(struct ctx *ctx, const json_t *ledger, const json_t *stage)
{
    const char *class = json_str_or(stage, "class", "");
    const json_t *entry = json_find(ledger, "classes", "name", class);
    size_t at;
    json_t *share;
    json_array_foreach(json_at(stage, "shares"), at, share) {
        int64_t pod = json_int_or(share, "pod", 0);
        if (!asked_for(entry, (uint32_t)pod))
            return err_set(ctx, ERR_INVALID, NULL,
                           "something is placed on pod %" PRId64
                           " of class '%s', which is not asked for",
                           pod, class);
    }
    return 0;
}

int ledger_check_asked(struct ctx *ctx, const json_t *ledger)
{
    size_t at, index;
    json_t *pipeline, *stage;
    json_array_foreach(json_at(ledger, "pipelines"), at, pipeline)
        json_array_foreach(json_at(pipeline, "stages"), index, stage)
            TRY(check_stage(ctx, ledger, stage));
    return 0;
}
