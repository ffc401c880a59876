/*
 * A PlacementLedger that anybody wrote: it is refused with a reason, or obeyed, and what is decided
 * from it is believed in turn and stays as it is.
 */
#include "reconcilers/pipeline/decide.h"
#include "server/base/json.h"
#include "server/base/yaml.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/reconcilers/pipeline/workers.h"

#include <string.h>

#define PIPELINE(name, class, rate)                                                                \
    "- metadata: {name: " name ", uid: uid-" name ", creationTimestamp: " name "}\n"               \
    "  spec: {documentsPerSecond: " rate ", workers: {a: {class: " class ", next: []}}}\n"

static const char pipelines[] =
    PIPELINE("a", "blue", "20") PIPELINE("b", "green", "10") PIPELINE("c", "green", "12");

static json_t *list_of(struct ctx *ctx, const char *text)
{
    json_t *list = NULL;
    MUST(yaml_parse(ctx, text, strlen(text), &list) == 0);
    return list;
}

/* The same for all inputs. */
static const struct world *world_of_all(void)
{
    static struct world world;
    static struct ctx ctx;
    if (!ctx.arena) {
        ctx = ctx_make(arena_new(), "fuzz");
        world_read(&ctx, list_of(&ctx, classes), list_of(&ctx, pods), list_of(&ctx, pipelines),
                   NOW_S, &world);
    }
    return &world;
}

static int decide_on(struct ctx *ctx, const json_t *ledger, struct decision *ret)
{
    int rc = decide(ctx, world_of_all(), ledger, true, ret);
    MUST(rc < 0 || ret->wake_s - NOW_S <= WAKE_S_MAX);
    return rc;
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    json_t *ledger;
    struct decision first, next;
    if (json_parse_foreign(ctx, text, bytes, JSON_TEXT_MAX_BYTES, &ledger) < 0)
        return;
    int rc = decide_on(ctx, ledger, &first);
    MUST(rc == 0 || rc == -ERR_INVALID);
    if (rc < 0) {
        MUST(ctx->err.message[0]);
        return;
    }
    MUST(decide_on(ctx, first.ledger, &next) == 0);
}
