/* The decision about a shard's Lease: see lease.h. */
#include "reconcilers/engine/lease.h"

#include "server/base/str.h"

#include <string.h>

int64_t lease_left_ms(const struct lease_record *record, int64_t now_ms)
{
    return record->changed_ms + record->duration_ms + 1 - now_ms;
}

bool lease_expired(const struct lease_record *record, int64_t now_ms)
{
    return lease_left_ms(record, now_ms) <= 0;
}

/* While a last pass is inside, an unwanted Lease is kept: nobody else may begin yet. */
static enum lease_action decide_own(const struct lease_view *view)
{
    if (!view->wanted && !view->busy)
        return LEASE_RELEASE;
    return view->hold->held ? LEASE_NOTHING : LEASE_TAKE;
}

enum lease_action lease_decide(const struct lease_view *view)
{
    if (str_equal(view->record->holder, view->identity) && view->record->exists)
        return decide_own(view);
    if (!view->wanted)
        return LEASE_NOTHING;
    if (!view->record->exists)
        return LEASE_CREATE;
    if (!*view->record->holder || !view->holder_lives)
        return LEASE_TAKE;
    return LEASE_NOTHING;
}

/* FNV alone leaves the last bytes of similar texts close together; the finaliser of murmur3 not. */
static uint64_t weight(const char *member, const char *resource)
{
    uint64_t hash = str_hash_more(str_hash(member), "/", 1);
    hash = str_hash_more(hash, resource, strlen(resource));
    hash ^= hash >> 33;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    hash ^= hash >> 33;
    hash *= UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 33;
}

int lease_winner(const char *const *members, int count, const char *resource)
{
    int winner = -1;
    uint64_t most = 0;
    for (int at = 0; at < count; at++) {
        uint64_t own = weight(members[at], resource);
        bool wins =
            winner < 0 || own > most || (own == most && strcmp(members[at], members[winner]) < 0);
        if (wins) {
            winner = at;
            most = own;
        }
    }
    return winner;
}
