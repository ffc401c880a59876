/* See hop_places.h. One list of who has a place or waits for one, in the order in which they came.
 */
#include "reconcilers/registry/hop_places.h"

#include "server/base/str.h"
#include "server/net/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <utlist.h>

struct visitor {
    struct key who;
    bool placed, works, stopped;
    int64_t seen_ms, placed_ms;
    struct visitor *prev, *next;
};

struct hop_places {
    pthread_mutex_t lock; /* guards all below */
    int free;             /* above 0 only while nobody waits */
    bool passed_over;     /* who came first was, when a place was given last */
    struct visitor *visitors;
};

struct hop_places *hop_places_new(int count)
{
    struct hop_places *places = calloc(1, sizeof *places);
    if (!places)
        abort();
    pthread_mutex_init(&places->lock, NULL);
    places->free = count < 1 ? 1 : count;
    return places;
}

static void forget(struct hop_places *places, struct visitor *visitor)
{
    places->free += visitor->placed;
    DL_DELETE(places->visitors, visitor);
    free(visitor);
}

void hop_places_free(struct hop_places *places)
{
    if (!places)
        return;
    struct visitor *visitor, *next;
    DL_FOREACH_SAFE(places->visitors, visitor, next)
    forget(places, visitor);
    pthread_mutex_destroy(&places->lock);
    free(places);
}

static void forget_lost(struct hop_places *places, int64_t now_ms)
{
    struct visitor *visitor, *next;
    DL_FOREACH_SAFE(places->visitors, visitor, next)
    if (!visitor->works && now_ms - visitor->seen_ms > HOP_PLACE_MS)
        forget(places, visitor);
}

static struct visitor *find(const struct hop_places *places, const struct key *who)
{
    struct visitor *visitor;
    DL_FOREACH(places->visitors, visitor)
        if (str_equal(visitor->who.namespace, who->namespace) &&
            str_equal(visitor->who.name, who->name))
            return visitor;
    return NULL;
}

static struct visitor *find_or_add(struct hop_places *places, const struct key *who)
{
    struct visitor *visitor = find(places, who);
    if (visitor)
        return visitor;
    visitor = calloc(1, sizeof *visitor);
    if (!visitor)
        abort();
    visitor->who = *who;
    DL_APPEND(places->visitors, visitor);
    return visitor;
}

static struct visitor *first_that_waits(const struct hop_places *places, bool stopped)
{
    struct visitor *visitor;
    DL_FOREACH(places->visitors, visitor)
        if (!visitor->placed && (visitor->stopped || !stopped))
            return visitor;
    return NULL;
}

/* Who is stopped goes ahead of who came first, but not twice in a row. NULL = nobody waits. */
static struct visitor *next_in_line(const struct hop_places *places)
{
    struct visitor *stopped = first_that_waits(places, true);
    return stopped && !places->passed_over ? stopped : first_that_waits(places, false);
}

/* A free one to the next in line. NULL: none is free, or nobody waits. */
static const struct visitor *give_place(struct hop_places *places, int64_t now_ms)
{
    struct visitor *visitor = places->free > 0 ? next_in_line(places) : NULL;
    if (!visitor)
        return NULL;
    places->passed_over = visitor != first_that_waits(places, false);
    visitor->placed = true;
    visitor->placed_ms = now_ms;
    places->free--;
    return visitor;
}

static void show(const struct hop_places *places)
{
    int taken = 0, waiting = 0;
    const struct visitor *visitor;
    DL_FOREACH(places->visitors, visitor) {
        taken += visitor->placed;
        waiting += !visitor->placed;
    }
    metric_set(METRIC_HOP_PLACES, taken, "taken");
    metric_set(METRIC_HOP_PLACES, waiting, "waiting");
}

bool hop_places_take(struct hop_places *places, const struct key *who, bool stopped, int64_t now_ms)
{
    pthread_mutex_lock(&places->lock);
    forget_lost(places, now_ms);
    struct visitor *visitor = find_or_add(places, who);
    visitor->seen_ms = now_ms;
    visitor->stopped = stopped;
    while (give_place(places, now_ms)) /* also those that were lost */
        ;
    bool placed = visitor->placed;
    show(places);
    pthread_mutex_unlock(&places->lock);
    return placed;
}

void hop_places_work(struct hop_places *places, const struct key *who, bool works, int64_t now_ms)
{
    pthread_mutex_lock(&places->lock);
    struct visitor *visitor = find(places, who);
    if (visitor) {
        visitor->works = works;
        visitor->seen_ms = now_ms;
    }
    pthread_mutex_unlock(&places->lock);
}

static bool told(const struct visitor *visitor, struct key *ret)
{
    if (visitor)
        *ret = visitor->who;
    return visitor != NULL;
}

bool hop_places_leave(struct hop_places *places, const struct key *who, int64_t now_ms,
                      struct key *ret_next)
{
    pthread_mutex_lock(&places->lock);
    struct visitor *visitor = find(places, who);
    if (visitor)
        forget(places, visitor);
    bool found = told(give_place(places, now_ms), ret_next);
    show(places);
    pthread_mutex_unlock(&places->lock);
    return found;
}

bool hop_places_yield(struct hop_places *places, const struct key *who, int64_t patience_ms,
                      int64_t now_ms, struct key *ret_next)
{
    bool found = false;
    pthread_mutex_lock(&places->lock);
    struct visitor *visitor = find(places, who);
    if (visitor && visitor->placed && now_ms - visitor->placed_ms >= patience_ms &&
        next_in_line(places)) {
        places->free++;
        found = told(give_place(places, now_ms), ret_next);
        visitor->placed = false;
        DL_DELETE(places->visitors, visitor);
        DL_APPEND(places->visitors, visitor);
        show(places);
    }
    pthread_mutex_unlock(&places->lock);
    return found;
}
