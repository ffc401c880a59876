/*
 * The watch of member Leases. It only tells earlier what the next list would: a renewal counts from
 * when we knew of it, and what a list knows late makes a dead member live as much longer for us.
 * Nothing is decided by it alone: who looks dead because the watch was late or cut has another
 * version than we saw, and removing its Lease at that version is refused.
 */
#include "reconcilers/engine/shards_internal.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdio.h>
#include <string.h>

/* The last that was told of each; with the mutex held. More than can be are left to the list. */
static void keep(struct shards *shards, const struct shard_heard *heard)
{
    int at = 0;
    while (at < shards->heard_count && !str_equal(shards->heard[at].name, heard->name))
        at++;
    if (at == SHARD_MEMBERS_MAX)
        return;
    shards->heard[at] = *heard;
    if (at == shards->heard_count)
        shards->heard_count++;
}

void shards_on_lease(void *arg, enum kube_kind kind, const json_t *lease, enum kube_change change)
{
    (void)kind;
    struct shards *shards = arg;
    struct shard_heard heard = {0};
    const char *name = json_str_or(lease, "metadata.name", "");
    if (!str_starts(name, MEMBER_PREFIX))
        return;
    snprintf(heard.name, sizeof heard.name, "%s", name + strlen(MEMBER_PREFIX));
    lease_note(&heard.record, lease, clock_boottime_ms());
    pthread_mutex_lock(&shards->mutex);
    if (change == KUBE_DELETED) {
        shards->roused = true;
        pthread_cond_broadcast(&shards->wake);
    } else {
        keep(shards, &heard);
    }
    pthread_mutex_unlock(&shards->mutex);
}

void shards_take_heard(struct shards *shards)
{
    pthread_mutex_lock(&shards->mutex);
    for (int at = 0; at < shards->heard_count; at++)
        shard_members_hear(shards, &shards->heard[at]);
    shards->heard_count = 0;
    shards->look_now |= shards->roused;
    shards->roused = false;
    pthread_mutex_unlock(&shards->mutex);
}

void shards_listen(struct shards *shards)
{
    const struct shards_options *options = &shards->options;
    if (!options->io)
        return;
    const struct kube_cache_options cache = {.kind = KIND_LEASE,
                                             .namespace = options->namespace,
                                             .label_selector = LABEL_LEASE "=member",
                                             .home = options->namespace,
                                             .on_event = shards_on_lease,
                                             .arg = shards};
    shards->watch = kube_cache_new(options->kube, options->io, &cache);
}

void shards_listen_no_more(struct shards *shards)
{
    kube_cache_free(shards->watch);
    shards->watch = NULL;
}
