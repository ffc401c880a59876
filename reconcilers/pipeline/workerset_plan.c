#include "reconcilers/pipeline/workerset_plan.h"

#include "server/base/json.h"

/* It is there, and nobody of ours wants it gone. One that a person deletes comes again. */
static bool is_held(const struct set_pod *pod)
{
    return pod->object && !pod->leaving;
}

/* ---- who stays ---- */

static void stay(struct set_plan *plan, uint32_t number, int64_t *left)
{
    if (*left <= 0 || plan->stays[number])
        return;
    plan->stays[number] = true;
    (*left)--;
}

static void choose_kept(const json_t *spec, struct set_plan *plan, int64_t *left)
{
    bool kept[WORLD_PODS_MAX] = {0};
    size_t at;
    json_t *item;
    json_array_foreach(json_at(spec, "keep"), at, item) {
        json_int_t number = json_integer_value(item);
        if (number >= 0 && number < WORLD_PODS_MAX)
            kept[number] = true;
    }
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++)
        if (kept[number])
            stay(plan, number, left);
}

/* Those that are kept, those that carry something, those that are there, then new ones; of each the
 * low numbers first. */
static void choose(const json_t *spec, struct set_plan *plan)
{
    int64_t left = plan->wanted;
    choose_kept(spec, plan, &left);
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++)
        if (is_held(&plan->pods[number]) && plan->pods[number].bound)
            stay(plan, number, &left);
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++)
        if (is_held(&plan->pods[number]))
            stay(plan, number, &left);
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++)
        if (!plan->pods[number].object)
            stay(plan, number, &left);
}

/* ---- what becomes of them ---- */

static enum set_step step_of(const struct set_plan *plan, uint32_t number)
{
    const struct set_pod *pod = &plan->pods[number];
    if (!pod->object)
        return plan->stays[number] ? SET_MAKE : SET_NOTHING;
    if (pod->going)
        return SET_NOTHING;
    if (pod->failed && pod->rests && !pod->leaving && plan->stays[number])
        return SET_NOTHING; /* what fails at once is made anew again and again, but not at once */
    if (pod->failed || (pod->leaving && pod->released))
        return SET_REMOVE;
    if (pod->leaving)
        return SET_NOTHING;
    if (!plan->stays[number])
        return SET_MARK_SURPLUS;
    /* it serves nobody: to make it anew costs nothing */
    return pod->current || pod->ready ? SET_NOTHING : SET_MARK_TEMPLATE;
}

/* Of those of an older template that serve: who carries nothing first, then the high numbers. */
static int64_t oldest(const struct set_plan *plan)
{
    int64_t found = -1;
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++) {
        const struct set_pod *pod = &plan->pods[number];
        if (!plan->stays[number] || !is_held(pod) || pod->going || !pod->ready || pod->current ||
            plan->steps[number] != SET_NOTHING)
            continue;
        if (found < 0 || !pod->bound || plan->pods[found].bound)
            found = number;
    }
    return found;
}

/* No more at a time than may be missing. */
static void roll(const json_t *spec, struct set_plan *plan)
{
    int64_t missing = 0, allowed = json_int_or(spec, "maxUnavailable", 1);
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++) {
        const struct set_pod *pod = &plan->pods[number];
        missing += pod->object && pod->leaving;
        missing += plan->stays[number] && (!is_held(pod) || !pod->ready || pod->going);
    }
    for (int64_t number; missing < allowed && (number = oldest(plan)) >= 0; missing++)
        plan->steps[number] = SET_MARK_TEMPLATE;
}

static void count(struct set_plan *plan)
{
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++) {
        const struct set_pod *pod = &plan->pods[number];
        if (!pod->object || pod->going)
            continue;
        plan->there++;
        plan->ready += pod->ready;
        plan->updated += pod->current;
        plan->leaving += pod->leaving;
        plan->failed += pod->failed;
    }
}

void set_plan_make(const json_t *spec, struct set_plan *plan)
{
    int64_t wanted = json_int_or(spec, "replicas", 0);
    plan->wanted = wanted < WORLD_PODS_MAX ? wanted : WORLD_PODS_MAX;
    choose(spec, plan);
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++)
        plan->steps[number] = step_of(plan, number);
    roll(spec, plan);
    count(plan);
}
