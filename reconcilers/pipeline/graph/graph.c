#include "reconcilers/pipeline/graph/graph.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_BYTES = 700 };

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
/* More than any class gives: sums stop here instead of overflowing. */
#define RATE_CAP (PLACE_MILLI_MAX + 1)

/* One look at one graph. Sets of stages are masks. */
struct look {
    struct ctx *ctx;
    const json_t *workers;
    const struct worker_class *classes;
    uint32_t class_count;
    struct graph *graph;
    uint32_t reached[PLACE_STAGES_MAX]; /* by at least one step */
};

_Static_assert(PLACE_STAGES_MAX <= 32, "a set of stages is a mask of 32 bits");

static uint32_t bit(uint32_t at)
{
    return UINT32_C(1) << at;
}

static void refuse(struct look *look, const char *reason, const char *stage, const char *message)
{
    look->graph->reason = reason;
    look->graph->stage = stage;
    look->graph->message = message;
}

/* "a, b, c" of the stages in the mask, bounded. */
static const char *names_of(const struct look *look, uint32_t mask)
{
    char *text = arena_strdup(look->ctx->arena, "");
    for (uint32_t at = 0; at < look->graph->count; at++)
        if (mask & bit(at))
            text = arena_printf(look->ctx->arena, "%s%s%s", text, *text ? ", " : "",
                                look->graph->stages[at].name);
    return arena_strndup(look->ctx->arena, text, str_fit(text, NAMES_BYTES));
}

static const char *class_names(const struct look *look)
{
    char *text = arena_strdup(look->ctx->arena, "");
    for (uint32_t at = 0; at < look->class_count && strlen(text) < NAMES_BYTES; at++)
        text = arena_printf(look->ctx->arena, "%s%s%s", text, *text ? ", " : "",
                            look->classes[at].name);
    return *text ? text : "none";
}

/* ---- reading ---- */

static bool name_is_good(const char *name)
{
    size_t length = strlen(name);
    return str_matches(name, LETTERS "0123456789-", 1, STAGE_NAME_BYTES) &&
           strchr(LETTERS, name[0]) && name[length - 1] != '-';
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct graph_stage *)a)->name, ((const struct graph_stage *)b)->name);
}

static void read_names(struct look *look)
{
    struct graph *graph = look->graph;
    size_t count = json_object_size(look->workers);
    const char *name;
    json_t *worker;
    if (count < 1 || count > PLACE_STAGES_MAX) {
        refuse(look, "StageCount", NULL,
               arena_printf(look->ctx->arena, "%zu stages; a pipeline has 1 to %d", count,
                            PLACE_STAGES_MAX));
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)look->workers, name, worker) {
        graph->stages[graph->count++] =
            (struct graph_stage){.name = name, .class_name = json_str_or(worker, "class", "")};
        if (!name_is_good(name))
            refuse(look, "BadStageName", name,
                   arena_printf(look->ctx->arena,
                                "stage '%.63s': a name is a DNS label of at most %d characters "
                                "that begins with a letter",
                                name, STAGE_NAME_BYTES));
    }
    qsort(graph->stages, graph->count, sizeof *graph->stages, by_name);
}

static uint32_t stage_named(const struct graph *graph, const char *name)
{
    uint32_t at = 0;
    while (at < graph->count && !str_equal(graph->stages[at].name, name))
        at++;
    return at;
}

static void read_next(struct look *look, uint32_t at)
{
    struct graph *graph = look->graph;
    const char *name = graph->stages[at].name;
    const json_t *list = json_object_get(json_object_get(look->workers, name), "next");
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item) {
        const char *other = json_string_value(item);
        uint32_t to = stage_named(graph, other ? other : "");
        if (to == graph->count) {
            refuse(look, "UnknownNext", name,
                   arena_printf(look->ctx->arena,
                                "stage '%s' names '%.63s' as next, which is no stage; there are: "
                                "%s",
                                name, other ? other : "", names_of(look, UINT32_MAX)));
            return;
        }
        graph->stages[at].next |= bit(to);
    }
}

/* ---- shape ---- */

/* Warshall: from each stage, all that come behind it. */
static void reach(struct look *look)
{
    for (uint32_t at = 0; at < look->graph->count; at++)
        look->reached[at] = look->graph->stages[at].next;
    for (uint32_t over = 0; over < look->graph->count; over++)
        for (uint32_t at = 0; at < look->graph->count; at++)
            if (look->reached[at] & bit(over))
                look->reached[at] |= look->reached[over];
}

static void check_cycle(struct look *look)
{
    const struct graph *graph = look->graph;
    for (uint32_t at = 0; at < graph->count; at++) {
        uint32_t circle = 0;
        for (uint32_t other = 0; other < graph->count; other++)
            if (look->reached[at] & bit(other) && look->reached[other] & bit(at))
                circle |= bit(other);
        if (!circle)
            continue;
        refuse(look, "Cycle", graph->stages[at].name,
               arena_printf(look->ctx->arena,
                            "stage '%s' comes behind itself (a cycle of: %s); documents go "
                            "forward only",
                            graph->stages[at].name, names_of(look, circle)));
        return;
    }
}

/* The stage without predecessor that reaches most; the graph has no cycle, so there is one. */
static uint32_t entrance_of(const struct look *look)
{
    uint32_t behind = 0, best = 0;
    int most = -1;
    for (uint32_t at = 0; at < look->graph->count; at++)
        behind |= look->graph->stages[at].next;
    for (uint32_t at = 0; at < look->graph->count; at++) {
        int reaches = __builtin_popcount(look->reached[at]);
        if (behind & bit(at) || reaches <= most)
            continue;
        most = reaches;
        best = at;
    }
    return best;
}

static void check_reached(struct look *look, uint32_t entrance)
{
    const struct graph *graph = look->graph;
    for (uint32_t at = 0; at < graph->count; at++) {
        if ((look->reached[entrance] | bit(entrance)) & bit(at))
            continue;
        refuse(look, "UnreachableStage", graph->stages[at].name,
               arena_printf(look->ctx->arena,
                            "no document reaches stage '%s': they enter at '%s', from where the "
                            "way leads to: %s",
                            graph->stages[at].name, graph->stages[entrance].name,
                            look->reached[entrance] ? names_of(look, look->reached[entrance])
                                                    : "none"));
        return;
    }
}

/* ---- classes and rates ---- */

static void read_class(struct look *look, uint32_t at)
{
    struct graph_stage *stage = &look->graph->stages[at];
    while (stage->class_at < look->class_count &&
           !str_equal(look->classes[stage->class_at].name, stage->class_name))
        stage->class_at++;
    if (stage->class_at == look->class_count)
        refuse(look, "UnknownClass", stage->name,
               arena_printf(look->ctx->arena,
                            "stage '%s' needs the class '%.63s', which is no WorkerClass of the "
                            "namespace; there are: %s",
                            stage->name, stage->class_name, class_names(look)));
}

static int64_t capped(int64_t rate)
{
    return rate < RATE_CAP ? rate : RATE_CAP;
}

/* From the entrance on. Who comes before another reaches more than that one: an order to go by. */
static void spread_rates(struct look *look, uint32_t entrance, int64_t documents)
{
    struct graph *graph = look->graph;
    graph->stages[entrance].rate = documents > RATE_CAP / MILLI ? RATE_CAP : documents * MILLI;
    for (int reaches = PLACE_STAGES_MAX; reaches > 0; reaches--)
        for (uint32_t at = 0; at < graph->count; at++)
            for (uint32_t to = 0; to < graph->count; to++)
                if (__builtin_popcount(look->reached[at]) == reaches &&
                    graph->stages[at].next & bit(to))
                    graph->stages[to].rate =
                        capped(graph->stages[to].rate + graph->stages[at].rate);
}

int64_t class_stage_most(const struct place_class *spec)
{
    uint32_t pods = spec->mode == PLACE_WHOLE          ? 1
                    : spec->split_max < spec->pods_max ? spec->split_max
                                                       : spec->pods_max;
    uint32_t zones = spec->zones_min > 1 ? spec->zones_min : 1; /* as many in each */
    return (int64_t)(pods - pods % zones) * spec->capacity;
}

static void check_rate(struct look *look, uint32_t at)
{
    const struct graph_stage *stage = &look->graph->stages[at];
    const struct worker_class *class = &look->classes[stage->class_at];
    int64_t sum = 0, most = class_stage_most(&class->spec);
    int64_t all = class->spec.pods_max * class->spec.capacity;
    for (uint32_t other = 0; other < look->graph->count; other++)
        if (look->graph->stages[other].class_at == stage->class_at)
            sum += look->graph->stages[other].rate;
    if (stage->rate <= most && sum <= all)
        return;
    refuse(look, "ExceedsMaxCapacity", stage->name,
           arena_printf(look->ctx->arena,
                        "stage '%s' needs %" PRId64 " documents/s of class '%s' (with the "
                        "pipeline's other stages %" PRId64 "); one stage gets at most %" PRId64
                        ", all together %" PRId64 " (%" PRIu32 " pods of %" PRId64 ")",
                        stage->name, stage->rate / MILLI, class->name, sum / MILLI, most / MILLI,
                        all / MILLI, class->spec.pods_max, class->spec.capacity / MILLI));
}

/* Runs `step` for each stage until one is refused. */
static void for_each(struct look *look, void (*step)(struct look *look, uint32_t at))
{
    for (uint32_t at = 0; at < look->graph->count && !look->graph->reason; at++)
        step(look, at);
}

void graph_shape(struct ctx *ctx, const json_t *spec, struct graph *ret)
{
    *ret = (struct graph){0};
    struct look look = {.ctx = ctx, .workers = json_at(spec, "workers"), .graph = ret};
    read_names(&look);
    for_each(&look, read_next);
    reach(&look);
    if (!ret->reason)
        check_cycle(&look);
    if (ret->reason)
        return;
    uint32_t entrance = entrance_of(&look);
    check_reached(&look, entrance);
    spread_rates(&look, entrance, json_int_or(spec, "documentsPerSecond", 0));
}

void graph_read(struct ctx *ctx, const json_t *spec, const struct worker_class *classes,
                uint32_t class_count, struct graph *ret)
{
    graph_shape(ctx, spec, ret);
    struct look look = {.ctx = ctx, .classes = classes, .class_count = class_count, .graph = ret};
    for_each(&look, read_class);
    for_each(&look, check_rate);
}
