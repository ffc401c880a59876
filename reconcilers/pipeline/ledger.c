/* A board from the spec of a PlacementLedger and back. */
#include "reconcilers/pipeline/board.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>
#include <string.h>

/* One letter for each pod; what is planned follows from the shares on it. */
static const char letters[] = {[POD_ABSENT] = '-',
                               [POD_PLANNED] = '-',
                               [POD_STARTING] = 'S',
                               [POD_READY] = 'R',
                               [POD_DRAINING] = 'D'};

static const char *const phase_words[] = {
    [PLACE_UNKNOWN] = "",          [PLACE_PLACED] = "Placed", [PLACE_SCALING] = "Scaling",
    [PLACE_DEGRADED] = "Degraded", [PLACE_BROKEN] = "Broken", [PLACE_WAITING] = "Waiting",
    [PLACE_REJECTED] = "Rejected",
};

static enum pod_state state_of(char letter)
{
    enum pod_state state = POD_ABSENT;
    while (state < POD_DRAINING && letters[state] != letter)
        state++;
    return state;
}

static enum place_phase phase_of(const char *word)
{
    enum place_phase phase = PLACE_REJECTED;
    while (phase > PLACE_UNKNOWN && !str_equal(phase_words[phase], word))
        phase--;
    return phase;
}

static enum place_reason reason_of(const char *word)
{
    enum place_reason reason = PLACE_TOO_LARGE_FOR_QUOTA;
    while (reason > PLACE_FITS && !str_equal(place_reason_word(reason), word))
        reason--;
    return reason;
}

bool ledger_serves(const char *pods, uint32_t ordinal)
{
    return memchr(pods, '\0', (size_t)ordinal + 1) == NULL &&
           (pods[ordinal] == letters[POD_READY] || pods[ordinal] == letters[POD_DRAINING]);
}

/* ---- reading ---- */

int board_class_set(struct board *board, uint32_t class_id)
{
    const struct board_class *class = &board->classes[class_id];
    TRY(placement_class_set(board->ctx, board->placement, class_id, &class->workers->class.spec));
    return tenants_limit(board, class_id);
}

/* As it was when the ledger was written: with what its pods could carry then, and room for all that
 * the ledger speaks of, even if there may not be so many any more. */
static int restore_class(struct board *board, uint32_t class_id)
{
    const struct board_class *class = &board->classes[class_id];
    struct place_class spec = {
        .pods_max = 1, .split_max = PLACE_SPLIT_MAX, .zones_min = 1, .timeout_s = 1};
    if (class->workers)
        spec = class->workers->class.spec;
    uint32_t allowed = spec.pods_max;
    spec.capacity = json_int_or(class->kept, "capacity", 0);
    spec.pods_max = class->kept_count > allowed ? class->kept_count : allowed;
    TRY(placement_class_set(board->ctx, board->placement, class_id, &spec));
    spec.pods_max = allowed;
    TRY(placement_class_set(board->ctx, board->placement, class_id, &spec));
    return tenants_limit(board, class_id);
}

static int64_t leaving_of(const struct board_class *class, uint32_t ordinal)
{
    size_t at;
    json_t *item;
    json_array_foreach(json_at(class->kept, "leaving"), at, item)
        if (json_int_or(item, "pod", -1) == ordinal)
            return json_int_or(item, "milli", 0);
    return 0;
}

static int restore_pods(struct board *board, uint32_t class_id)
{
    struct board_class *class = &board->classes[class_id];
    for (uint32_t at = 0; class->kept_pods[at]; at++) {
        const struct place_pod pod = {.class_id = class_id,
                                      .ordinal = at,
                                      .state = state_of(class->kept_pods[at]),
                                      .zone = zone_kept(class, at),
                                      .capacity = json_int_or(class->kept, "capacity", 0)};
        if (pod.state != POD_ABSENT)
            TRY(placement_pod_restore(board->ctx, board->placement, &pod, leaving_of(class, at)));
    }
    return 0;
}

static uint32_t class_named(const struct board *board, const char *name)
{
    uint32_t at = 0;
    while (at < board->class_count && !str_equal(board->classes[at].name, name))
        at++;
    return at;
}

static int read_class(struct board *board, const json_t *kept)
{
    const char *name = json_str_or(kept, "name", "");
    if (class_named(board, name) < board->class_count)
        return err_set(board->ctx, ERR_INVALID, NULL, "class '%s' is there twice", name);
    uint32_t at = 0, class_id = board->class_count++;
    struct board_class *class = &board->classes[class_id];
    *class = (struct board_class){.name = name,
                                  .kept = kept,
                                  .kept_pods = json_str_or(kept, "pods", ""),
                                  .compacted_s = json_int_or(kept, "compacted", 0)};
    class->kept_count = (uint32_t)strlen(class->kept_pods);
    class->workers = world_class(board->world, class->name, &at);
    TRY(zones_read(board, class));
    if (!class->workers)
        return 0;
    board->class_of_world[at] = class_id;
    const struct worker_class *now = &class->workers->class;
    if (json_int_or(kept, "generation", -1) == now->generation &&
        json_int_or(kept, "capacity", 0) != now->spec.capacity)
        return err_set(board->ctx, ERR_INVALID, NULL, "class '%s' never had that capacity", name);
    return 0;
}

/* A class may have become smaller than what is reserved in it. */
static void count_planned(struct board *board, const json_t *pipeline)
{
    size_t at, index;
    json_t *row, *share;
    json_array_foreach(json_at(pipeline, "stages"), at, row) {
        uint32_t class_id = class_named(board, json_str(row, "class"));
        json_array_foreach(json_at(row, "shares"), index, share) {
            int64_t ordinal = json_int_or(share, "pod", 0);
            if (class_id < board->class_count && ordinal < WORLD_PODS_MAX &&
                ordinal >= board->classes[class_id].kept_count)
                board->classes[class_id].kept_count = (uint32_t)ordinal + 1;
        }
    }
}

static struct place_view read_view(const json_t *kept)
{
    return (struct place_view){
        .phase = phase_of(json_str(kept, "phase")),
        .reason = reason_of(json_str(kept, "reason")),
        .stage = (uint32_t)json_int_or(kept, "stage", PLACE_NONE),
        .need = json_int_or(kept, "need", 0),
        .free = json_int_or(kept, "free", 0),
        .pods_needed = (uint32_t)json_int_or(kept, "podsNeeded", 0),
        .deadline_s = json_int_or(kept, "deadline", 0),
        .retry_s = json_int_or(kept, "retry", 0),
        .waiting_since_s = json_int_or(kept, "since", 0),
        .attempts = (uint32_t)json_int_or(kept, "attempts", 0),
        .ran = json_bool_or(kept, "ran", false),
        .due = json_bool_or(kept, "due", false),
    };
}

/* The shares of all stages behind each other; how many. */
static uint32_t read_shares(struct board *board, const json_t *kept, struct place_kept_share **ret)
{
    size_t stage, at, count = 0;
    json_t *row, *share;
    json_array_foreach(json_at(kept, "stages"), stage, row)
        count += json_array_size(json_at(row, "shares"));
    struct place_kept_share *shares = arena_alloc(board->ctx->arena, (count + 1) * sizeof *shares);
    uint32_t filled = 0;
    json_array_foreach(json_at(kept, "stages"), stage, row)
        json_array_foreach(json_at(row, "shares"), at, share)
            shares[filled++] = (struct place_kept_share){
                .stage = (uint32_t)stage,
                .share = {.ordinal = (uint32_t)json_int_or(share, "pod", PLACE_NONE),
                          .milli = json_int_or(share, "milli", 0),
                          .held = json_int_or(share, "held", 0)}};
    *ret = shares;
    return filled;
}

static int restore_pipeline(struct board *board, uint32_t id, const json_t *kept)
{
    const struct board_pipeline *pipeline = &board->pipelines[id];
    struct place_stage stages[PLACE_STAGES_MAX];
    struct place_kept_share *shares;
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        stages[at] = (struct place_stage){pipeline->stages[at].class_id, pipeline->stages[at].rate};
    const struct place_pipeline spec = {.id = id,
                                        .tenant = tenant_number(board, pipeline->tenant),
                                        .priority = pipeline->priority,
                                        .age = pipeline->age,
                                        .stage_count = pipeline->stage_count,
                                        .stages = stages};
    struct place_kept facts = {.view = read_view(kept)};
    facts.share_count = read_shares(board, kept, &shares);
    facts.shares = shares;
    return placement_restore(board->ctx, board->placement, &spec, &facts);
}

static int read_pipeline(struct board *board, const json_t *kept)
{
    uint32_t id = board->pipeline_count++;
    struct board_pipeline *pipeline = &board->pipelines[id];
    *pipeline = (struct board_pipeline){.name = json_str_or(kept, "name", ""),
                                        .uid = json_str_or(kept, "uid", ""),
                                        .tenant = json_str_or(kept, "tenant", ""),
                                        .age = (uint64_t)json_int_or(kept, "age", 0),
                                        .priority = (int32_t)json_int_or(kept, "priority", 0)};
    if (pipeline->age >= board->next_age)
        return err_set(board->ctx, ERR_INVALID, NULL, "pipeline '%s' is of an age to come",
                       pipeline->name);
    size_t at;
    json_t *row;
    json_array_foreach(json_at(kept, "stages"), at, row) {
        if (at == PLACE_STAGES_MAX)
            break;
        pipeline->stages[pipeline->stage_count++] =
            (struct board_stage){.name = json_str_or(row, "name", ""),
                                 .class_id = class_named(board, json_str(row, "class")),
                                 .rate = json_int_or(row, "rate", 0)};
    }
    return restore_pipeline(board, id, kept);
}

int ledger_read(struct board *board, const json_t *ledger)
{
    const json_t *classes = json_at(ledger, "classes"), *pipelines = json_at(ledger, "pipelines");
    size_t at;
    json_t *kept;
    TRY(ledger_check(board->ctx, ledger, NULL, board->world->now_s));
    TRY(ledger_check_asked(board->ctx, ledger));
    tenants_read(board, pipelines);
    board->next_age = (uint64_t)json_int_or(ledger, "nextAge", 1);
    board->classes =
        arena_alloc(board->ctx->arena, (json_array_size(classes) + board->world->class_count + 1) *
                                           sizeof *board->classes);
    board->pipelines = arena_alloc(board->ctx->arena,
                                   (json_array_size(pipelines) + board->world->pipeline_count + 1) *
                                       sizeof *board->pipelines);
    json_array_foreach(classes, at, kept)
        TRY(read_class(board, kept));
    json_array_foreach(pipelines, at, kept)
        count_planned(board, kept);
    for (uint32_t class_id = 0; class_id < board->class_count; class_id++) {
        TRY(restore_class(board, class_id));
        TRY(restore_pods(board, class_id));
    }
    json_array_foreach(pipelines, at, kept)
        TRY(read_pipeline(board, kept));
    return 0;
}

/* ---- writing ---- */

static void put_number(json_t *object, const char *name, int64_t value)
{
    if (value)
        json_object_set_new(object, name, json_integer(value));
}

static int64_t drained_at(const struct board *board, uint32_t class_id)
{
    const struct workers *workers = board->classes[class_id].workers;
    return board->world->now_s + (workers ? workers->class.drain_s : 0);
}

int64_t ledger_until(const struct board *board, uint32_t class_id, const json_t *leaving)
{
    int64_t until = json_int_or(leaving, "until", 0), drained = drained_at(board, class_id);
    return board->settled && drained < until ? drained : until;
}

/* What is leaving each pod, and until when at most; more than before begins its time anew. */
static json_t *write_leaving(const struct board *board, uint32_t class_id, uint32_t pods)
{
    const struct board_class *class = &board->classes[class_id];
    json_t *list = json_array();
    for (uint32_t at = 0; at < pods; at++) {
        int64_t used, leaving, until = drained_at(board, class_id) + UNSETTLED_S_MAX;
        placement_pod_look(board->placement, class_id, at, &used, &leaving);
        size_t index;
        json_t *was;
        json_array_foreach(json_at(class->kept, "leaving"), index, was)
            if (json_int_or(was, "pod", -1) == at && json_int_or(was, "milli", 0) >= leaving &&
                ledger_until(board, class_id, was) > board->world->now_s)
                until = ledger_until(board, class_id, was);
        if (leaving > 0)
            json_array_append_new(list, json_pack("{s:I, s:I, s:I}", "pod", (json_int_t)at, "milli",
                                                  (json_int_t)leaving, "until", (json_int_t)until));
    }
    return list;
}

static json_t *write_class(const struct board *board, uint32_t class_id)
{
    const struct board_class *class = &board->classes[class_id];
    char pods[WORLD_PODS_MAX + 1] = "";
    uint32_t count = 0;
    int64_t used, leaving;
    for (uint32_t at = 0; at < WORLD_PODS_MAX; at++) {
        struct place_pod pod = placement_pod_look(board->placement, class_id, at, &used, &leaving);
        pods[at] = letters[pod.state];
        if (pods[at] != '-')
            count = at + 1;
    }
    pods[count] = '\0';
    json_t *made = json_pack("{s:s, s:s, s:I, s:I}", "name", class->name, "pods", pods,
                             "generation", (json_int_t) class->workers->class.generation,
                             "capacity", (json_int_t) class->workers->class.spec.capacity);
    put_number(made, "compacted", class->compacted_s);
    zones_write(board, class_id, count, made);
    json_t *list = write_leaving(board, class_id, count);
    if (json_array_size(list))
        json_object_set(made, "leaving", list);
    json_decref(list);
    return made;
}

static json_t *write_shares(const struct board *board, uint32_t id, uint32_t stage)
{
    struct place_share shares[PLACE_SPLIT_MAX];
    uint32_t count = placement_shares(board->placement, id, stage, shares);
    json_t *list = json_array();
    for (uint32_t at = 0; at < count; at++) {
        json_t *share = json_pack("{s:I, s:I}", "pod", (json_int_t)shares[at].ordinal, "milli",
                                  (json_int_t)shares[at].milli);
        put_number(share, "held", shares[at].held);
        json_array_append_new(list, share);
    }
    return list;
}

static void put_flag(json_t *object, const char *name, bool holds)
{
    if (holds)
        json_object_set_new(object, name, json_true());
}

static void write_view(json_t *made, const struct place_view *view)
{
    put_flag(made, "ran", view->ran);
    if (view->phase == PLACE_PLACED)
        return;
    json_object_update_new(made, json_pack("{s:s, s:I}", "reason", place_reason_word(view->reason),
                                           "stage", (json_int_t)view->stage));
    put_number(made, "need", view->need);
    put_number(made, "free", view->free);
    put_number(made, "podsNeeded", view->pods_needed);
    put_number(made, "deadline", view->deadline_s);
    put_number(made, "retry", view->retry_s);
    put_number(made, "since", view->waiting_since_s);
    put_number(made, "attempts", view->attempts);
    put_flag(made, "due", view->due);
}

static json_t *write_pipeline(const struct board *board, uint32_t id)
{
    const struct board_pipeline *pipeline = &board->pipelines[id];
    const struct place_view view = placement_look(board->placement, id);
    json_t *stages = json_array();
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        json_array_append_new(stages,
                              json_pack("{s:s, s:s, s:I, s:o}", "name", pipeline->stages[at].name,
                                        "class", board->classes[pipeline->stages[at].class_id].name,
                                        "rate", (json_int_t)pipeline->stages[at].rate, "shares",
                                        write_shares(board, id, at)));
    json_t *made =
        json_pack("{s:s, s:s, s:I, s:o, s:s, s:s*}", "name", pipeline->name, "uid", pipeline->uid,
                  "age", (json_int_t)pipeline->age, "stages", stages, "phase",
                  phase_words[view.phase], "tenant", *pipeline->tenant ? pipeline->tenant : NULL);
    put_number(made, "priority", pipeline->priority);
    write_view(made, &view);
    return made;
}

json_t *ledger_write(struct board *board)
{
    json_t *classes = json_array(), *pipelines = json_array();
    for (uint32_t at = 0; at < board->class_count; at++)
        if (board->classes[at].workers)
            json_array_append_new(classes, write_class(board, at));
    for (uint32_t id = 0; id < board->pipeline_count; id++)
        if (!board->pipelines[id].taken_out)
            json_array_append_new(pipelines, write_pipeline(board, id));
    return arena_json(board->ctx->arena,
                      json_pack("{s:I, s:o, s:o}", "nextAge", (json_int_t)board->next_age,
                                "classes", classes, "pipelines", pipelines));
}
