#include "reconcilers/pipeline/placement/fit.h"

/* A choice looks at shelves through three questions, each over all shelves of a mask. */
#define EACH_SHELF(class, mask, shelf)                                                             \
    for (uint32_t left_ = (mask) & (class)->shelves, shelf;                                        \
         left_ && (shelf = (uint32_t)__builtin_ctz(left_), true); left_ &= left_ - 1)

uint32_t choose_ceiling(const struct class *class, uint32_t mask, int64_t room, uint32_t ordinal)
{
    uint32_t best = PLACE_NONE;
    EACH_SHELF(class, mask, shelf)
    {
        uint32_t at = shelf_ceiling(class->nodes, class->roots[shelf], room, ordinal);
        if (at == PLACE_NONE)
            continue;
        if (best == PLACE_NONE || class->nodes[at].room < class->nodes[best].room ||
            (class->nodes[at].room == class->nodes[best].room && at < best))
            best = at;
    }
    return best;
}

static int64_t below(const struct class *class, uint32_t mask, int64_t room)
{
    int64_t best = -1;
    EACH_SHELF(class, mask, shelf)
    {
        int64_t at = shelf_below(class->nodes, class->roots[shelf], room);
        best = at > best ? at : best;
    }
    return best;
}

static uint32_t count(const struct class *class, uint32_t mask, int64_t room)
{
    uint32_t found = 0;
    EACH_SHELF(class, mask, shelf)
    found += shelf_count(class->nodes, class->roots[shelf], room);
    return found;
}

/* Up to `most` pods, those with most room first, of equals the lowest; sums[n] = room of the first
 * n. */
static uint32_t largest(const struct class *class, uint32_t mask, uint32_t most, uint32_t *pods,
                        int64_t *sums)
{
    uint32_t found = 0;
    int64_t room = below(class, mask, INT64_MAX);
    uint32_t at = room < 0 ? PLACE_NONE : choose_ceiling(class, mask, room, 0);
    sums[0] = 0;
    while (found < most && at != PLACE_NONE) {
        pods[found] = at;
        sums[found + 1] = sums[found] + room;
        found++;
        at = choose_ceiling(class, mask, room, at + 1);
        if (at != PLACE_NONE && class->nodes[at].room == room)
            continue;
        room = below(class, mask, room);
        at = room < 0 ? PLACE_NONE : choose_ceiling(class, mask, room, 0);
    }
    return found;
}

static void take(struct choice *ret, uint32_t pod, int64_t milli)
{
    ret->pods[ret->count] = pod;
    ret->milli[ret->count++] = milli;
}

static bool choose_one(const struct class *class, uint32_t mask, int64_t milli, struct choice *ret)
{
    uint32_t at = choose_ceiling(class, mask, milli, 0);
    if (at != PLACE_NONE)
        take(ret, at, milli);
    return at != PLACE_NONE;
}

/* Best fit; to spread, the emptiest pod. */
static bool choose_whole(const struct class *class, uint32_t mask, const struct want *want,
                         struct choice *ret)
{
    int64_t milli = want->milli;
    if (class->spec.policy == PLACE_SPREAD) {
        int64_t most = below(class, mask, INT64_MAX);
        uint32_t at = most < milli ? PLACE_NONE : choose_ceiling(class, mask, most, 0);
        if (at != PLACE_NONE)
            take(ret, at, milli);
        return at != PLACE_NONE;
    }
    return choose_one(class, mask & SHELVES_OPEN, milli, ret) ||
           choose_one(class, mask & ~SHELVES_OPEN, milli, ret);
}

/* How many pods: to pack, the k that opens fewest idle ones, of these the smallest; to spread, the
 * largest. 0 = none. */
static uint32_t equal_count(const struct class *class, uint32_t mask, const struct want *want)
{
    uint32_t best = 0, best_opened = UINT32_MAX;
    for (uint32_t k = want->least > 1 ? want->least : 1; k <= want->split && k <= want->milli;
         k++) {
        int64_t part = (want->milli + k - 1) / k;
        uint32_t open = count(class, mask & SHELVES_OPEN, part);
        if (open < k && open + count(class, mask & ~SHELVES_OPEN, part) < k)
            continue;
        uint32_t opened = class->spec.policy == PLACE_SPREAD || open >= k ? 0 : k - open;
        if (opened < best_opened || class->spec.policy == PLACE_SPREAD) {
            best = k;
            best_opened = opened;
        }
        if (opened == 0 && class->spec.policy == PLACE_PACK)
            break;
    }
    return best;
}

/* From the shelves of `mask` up to `most` pods of least sufficient room. */
static void equal_take(const struct class *class, uint32_t mask, int64_t milli, uint32_t k,
                       struct choice *ret)
{
    int64_t part = (milli + k - 1) / k;
    uint32_t at = choose_ceiling(class, mask, part, 0);
    while (ret->count < k && at != PLACE_NONE) {
        take(ret, at, milli / k + (ret->count < milli % k));
        at = choose_ceiling(class, mask, class->nodes[at].room, at + 1);
    }
}

/* k pods, each with a k-th part (+ 1 milli for the first ones): exact, since every k is tried. */
static bool choose_equal(const struct class *class, uint32_t mask, const struct want *want,
                         struct choice *ret)
{
    uint32_t k = equal_count(class, mask, want);
    if (k == 0)
        return false;
    equal_take(class, mask & SHELVES_OPEN, want->milli, k, ret);
    equal_take(class, mask & ~SHELVES_OPEN, want->milli, k, ret);
    return true;
}

/*
 * Fewest idle pods opened, then fewest fragments: exact. For a number of idle ones the roomiest
 * open pods give most, so prefix sums decide. Every fragment but the last exhausts its pod.
 */
static bool choose_parts(const struct class *class, uint32_t mask, const struct want *want,
                         struct choice *ret)
{
    int64_t milli = want->milli;
    uint32_t split = want->split;
    uint32_t pods[2][PLACE_SPLIT_MAX];
    int64_t sums[2][PLACE_SPLIT_MAX + 1];
    uint32_t open = largest(class, mask & SHELVES_OPEN, split, pods[0], sums[0]), idle = 0;
    uint32_t idles =
        sums[0][open] >= milli ? 0 : largest(class, mask & ~SHELVES_OPEN, split, pods[1], sums[1]);
    sums[1][0] = 0;
    while (sums[0][open < split - idle ? open : split - idle] + sums[1][idle] < milli)
        if (++idle > idles)
            return false;
    uint32_t opens = 0;
    while (sums[0][opens] + sums[1][idle] < milli)
        opens++;
    for (uint32_t at = 0; at < opens + idle; at++) {
        uint32_t pod = at < opens ? pods[0][at] : pods[1][at - opens];
        int64_t room = class->nodes[pod].room;
        take(ret, pod, room < milli ? room : milli);
        milli -= ret->milli[ret->count - 1];
    }
    return true;
}

static bool choose_weighted(const struct class *class, uint32_t mask, const struct want *want,
                            struct choice *ret)
{
    if (class->spec.policy == PLACE_SPREAD)
        return choose_equal(class, mask, want, ret) || choose_parts(class, mask, want, ret);
    return choose_one(class, mask & SHELVES_OPEN, want->milli, ret) ||
           choose_parts(class, mask, want, ret);
}

bool choose(const struct class *class, uint32_t mask, const struct want *want, struct choice *ret)
{
    static bool (*const modes[])(const struct class *, uint32_t, const struct want *,
                                 struct choice *) = {
        [PLACE_WEIGHTED] = choose_weighted,
        [PLACE_EQUAL] = choose_equal,
        [PLACE_WHOLE] = choose_whole,
    };
    ret->count = 0;
    return want->split > 0 && modes[class->spec.mode](class, mask, want, ret);
}
