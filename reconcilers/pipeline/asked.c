#include "reconcilers/pipeline/asked.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { IDLE_TIMES_MAX = 26 }; /* of one class: a letter each */

/* One class at work. */
struct asking {
    const struct workers *workers;
    const json_t *was; /* its entry of the ledger before; NULL = new */
    int64_t now_s;
    uint32_t asked_count;
    bool placed[WORLD_PODS_MAX]; /* something is to be there */
    bool busy[WORLD_PODS_MAX];   /* that, or something is there still */
    bool asked[WORLD_PODS_MAX];
    int64_t idle_until_s[WORLD_PODS_MAX]; /* when asked for, and not busy */
};

/* ---- what a ledger says ---- */

bool asked_for(const json_t *entry, uint32_t ordinal)
{
    const char *asked = json_str(entry, "asked");
    return !asked || (ordinal < strlen(asked) && asked[ordinal] == 'A');
}

int64_t asked_count(const json_t *entry)
{
    const char *asked = json_str(entry, "asked");
    int64_t count = 0;
    for (const char *at = asked; at && *at; at++)
        count += *at == 'A';
    return asked ? count : -1;
}

void asked_close(struct world *world, const json_t *ledger)
{
    for (uint32_t class = 0; class < world->class_count; class ++) {
        struct workers *workers = &world->classes[class];
        const json_t *entry = json_find(ledger, "classes", "name", workers->class.name);
        for (uint32_t at = 0; world_scales(workers) && at < workers->count; at++)
            if (!asked_for(entry, at))
                workers->pods[at] = (struct worker){.bound = workers->pods[at].bound};
    }
}

/* ---- who is of use ---- */

static void note_busy(struct asking *asking, int64_t ordinal, bool placed)
{
    if (ordinal < 0 || ordinal >= WORLD_PODS_MAX)
        return;
    asking->busy[ordinal] = true;
    asking->placed[ordinal] |= placed;
}

/* Something is placed there, or reserved, or leaves it, or a binding leads there still. */
static void note_all_busy(struct asking *asking, const json_t *made, const json_t *entry)
{
    size_t at, stage, index;
    json_t *pipeline, *row, *item;
    json_array_foreach(json_at(made, "pipelines"), at, pipeline)
        json_array_foreach(json_at(pipeline, "stages"), stage, row)
            if (str_equal(json_str(row, "class"), asking->workers->class.name))
                json_array_foreach(json_at(row, "shares"), index, item)
                    note_busy(asking, json_int_or(item, "pod", -1), true);
    json_array_foreach(json_at(entry, "leaving"), index, item)
        note_busy(asking, json_int_or(item, "pod", -1), false);
    for (uint32_t pod = 0; pod < asking->workers->count; pod++)
        if (asking->workers->pods[pod].bound)
            note_busy(asking, pod, false);
}

/* ---- who is asked for ---- */

/* Pods with the label of the class may be of anybody, who may not scale. */
static bool is_of_target(const struct workers *workers, uint32_t ordinal)
{
    const struct worker worker = world_worker(workers, ordinal);
    const struct scaling *scaling = &workers->scaling;
    size_t length = strlen(scaling->target);
    return worker.state != POD_ABSENT && worker.name &&
           (ordinal < workers->class.spec.pods_max || ordinal < scaling->there) &&
           strncmp(worker.name, scaling->target, length) == 0 &&
           strrchr(worker.name, '-') == worker.name + length;
}

/* Before the first time: what there is, and what the target was told to have. */
static bool was_asked(const struct asking *asking, uint32_t ordinal)
{
    if (json_str(asking->was, "asked"))
        return asked_for(asking->was, ordinal);
    return (!asking->workers->scaling.any && ordinal < asking->workers->scaling.there) ||
           is_of_target(asking->workers, ordinal);
}

static void note_idle_since(struct asking *asking)
{
    const char *letters = json_str_or(asking->was, "idle", "");
    const json_t *times = json_at(asking->was, "idleUntil");
    size_t count = strlen(letters);
    for (uint32_t pod = 0; pod < WORLD_PODS_MAX; pod++) {
        int64_t *until = &asking->idle_until_s[pod];
        *until = asking->now_s + asking->workers->scaling.calm_s;
        const json_t *was = pod < count && letters[pod] >= 'a'
                                ? json_array_get(times, (size_t)(letters[pod] - 'a'))
                                : NULL;
        if (was && json_integer_value(was) < *until)
            *until = json_integer_value(was);
    }
}

static void ask(struct asking *asking, uint32_t ordinal)
{
    asking->asked_count += !asking->asked[ordinal];
    asking->asked[ordinal] = true;
}

/* A StatefulSet has its first pods, and no others. */
static void fill_up(struct asking *asking)
{
    uint32_t end = asking->workers->scaling.any ? 0 : WORLD_PODS_MAX;
    while (end > 0 && !asking->asked[end - 1])
        end--;
    for (uint32_t pod = 0; pod < end; pod++)
        ask(asking, pod);
}

static bool is_leaving(const struct asking *asking, uint32_t ordinal)
{
    return world_worker(asking->workers, ordinal).leaving;
}

/* One that is marked to go is of no use but for what it carries: that needs room on another. */
static void ask_all(struct asking *asking)
{
    const struct workers *workers = asking->workers;
    uint32_t wanted = workers->scaling.spare;
    for (uint32_t pod = 0; pod < WORLD_PODS_MAX; pod++) {
        bool idle = was_asked(asking, pod) && asking->idle_until_s[pod] > asking->now_s;
        wanted += asking->busy[pod] + (asking->placed[pod] && is_leaving(asking, pod));
        if (asking->busy[pod] || (idle && !is_leaving(asking, pod)))
            ask(asking, pod);
    }
    fill_up(asking);
    for (uint32_t pod = 0; pod < workers->class.spec.pods_max; pod++)
        if (asking->asked_count < wanted && !is_leaving(asking, pod))
            ask(asking, pod);
}

/* The letter of a time. Where there are too many, one stays until the latest of those before. */
static char letter_of(json_t *times, int64_t until_s)
{
    size_t at = 0, latest = 0, count = json_array_size(times);
    for (; at < count && json_integer_value(json_array_get(times, at)) != until_s; at++)
        if (json_integer_value(json_array_get(times, at)) >
            json_integer_value(json_array_get(times, latest)))
            latest = at;
    if (at == IDLE_TIMES_MAX)
        at = latest;
    else if (at == count)
        json_array_append_new(times, json_integer(until_s));
    return (char)('a' + at);
}

static void write(const struct asking *asking, json_t *entry)
{
    char letters[WORLD_PODS_MAX + 1] = "", idle[WORLD_PODS_MAX + 1] = "";
    uint32_t count = 0, idle_count = 0;
    json_t *times = json_array();
    for (uint32_t pod = 0; pod < WORLD_PODS_MAX; pod++) {
        int64_t until_s = asking->idle_until_s[pod];
        letters[pod] = asking->asked[pod] ? 'A' : '-';
        idle[pod] = '-';
        if (!asking->asked[pod])
            continue;
        count = pod + 1;
        if (asking->busy[pod])
            continue;
        idle[pod] = letter_of(times, until_s > asking->now_s ? until_s : 0); /* 0: it is over */
        idle_count = pod + 1;
    }
    letters[count] = idle[idle_count] = '\0';
    json_object_set_new(entry, "asked", json_string(letters));
    if (idle_count)
        json_object_update_new(entry, json_pack("{s:s, s:O}", "idle", idle, "idleUntil", times));
    json_decref(times);
}

void asked_put(struct ctx *ctx, const struct world *world, const json_t *was, json_t *made)
{
    size_t index;
    uint32_t at;
    json_t *entry;
    json_array_foreach(json_at(made, "classes"), index, entry) {
        const char *name = json_str(entry, "name");
        const struct workers *workers = world_class(world, name, &at);
        if (!workers || !world_scales(workers))
            continue;
        struct asking *asking = arena_alloc(ctx->arena, sizeof *asking);
        *asking = (struct asking){.workers = workers,
                                  .was = json_find(was, "classes", "name", name),
                                  .now_s = world->now_s};
        note_all_busy(asking, made, entry);
        note_idle_since(asking);
        ask_all(asking);
        write(asking, entry);
    }
}
