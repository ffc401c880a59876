/* Owns the table that readers see, the shadow that a full list fills, and the uids that are gone
 * for good. */
#include "reconcilers/kube/store.h"

#include "reconcilers/kube/kube.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* uthash links by offsets, which the analyzer cannot follow: all it keeps looks leaked. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

enum { GONE_KEPT_MS = 600000, GONE_VERSION_BYTES = 48 };

/*
 * What we know to be gone, by uid, so that late events and late results of writes do not bring it
 * back. Only a newer version of it counts: it left the label selector and came in again. The hash
 * keeps the order of insertion: the oldest is first.
 */
struct gone {
    UT_hash_handle hh;
    int64_t until_ms;
    char version[GONE_VERSION_BYTES]; /* of the deletion; "" = not told yet, nothing is newer */
    struct entry *unannounced;        /* we dropped it, and no watch or list has said so yet */
    char uid[];
};

struct store {
    pthread_mutex_t lock;
    struct table live;
    struct gone *gone;
    struct table shadow; /* the I/O thread's */
    char *home;
};

/* ---- uids that are gone ---- */

static void gone_free(struct store *store, struct gone *gone)
{
    HASH_DEL(store->gone, gone);
    entry_release(gone->unannounced);
    free(gone);
}

static struct gone *gone_find(const struct store *store, const char *uid)
{
    struct gone *gone;
    HASH_FIND_STR(store->gone, uid, gone);
    return gone;
}

static bool is_gone(const struct store *store, const char *uid, const char *version)
{
    const struct gone *gone = gone_find(store, uid);
    return gone && (!*gone->version || kube_version_compare(version, gone->version) <= 0);
}

static struct gone *gone_take(struct store *store, const char *uid)
{
    int64_t now = clock_boottime_ms();
    while (store->gone && store->gone->until_ms < now)
        gone_free(store, store->gone);
    struct gone *gone = gone_find(store, uid);
    if (!gone) {
        size_t bytes = strlen(uid) + 1;
        gone = cache_memory(1, sizeof *gone + bytes);
        memcpy(gone->uid, uid, bytes);
        gone->until_ms = now + GONE_KEPT_MS;
        HASH_ADD_STR(store->gone, uid, gone);
    }
    return gone;
}

static void gone_clear(struct store *store)
{
    while (store->gone)
        gone_free(store, store->gone);
}

/* ---- life and reading ---- */

struct store *store_new(const char *home)
{
    struct store *store = cache_memory(1, sizeof *store);
    if (home)
        store->home = memcpy(cache_memory(1, strlen(home) + 1), home, strlen(home));
    pthread_mutex_init(&store->lock, NULL);
    return store;
}

void store_free(struct store *store)
{
    table_clear(&store->live);
    table_clear(&store->shadow);
    gone_clear(store);
    pthread_mutex_destroy(&store->lock);
    free(store->home);
    free(store);
}

struct entry *store_find(struct store *store, const char *namespace, const char *name)
{
    char key[ENTRY_KEY_MAX_BYTES];
    entry_key(key, namespace, name);
    pthread_mutex_lock(&store->lock);
    struct entry *entry = entry_hold(table_find(&store->live, key));
    pthread_mutex_unlock(&store->lock);
    return entry;
}

size_t store_collect(struct store *store, const char *namespace, const struct term *term,
                     struct entry ***ret)
{
    pthread_mutex_lock(&store->lock);
    size_t count = table_collect(&store->live, namespace, term, ret);
    pthread_mutex_unlock(&store->lock);
    return count;
}

size_t store_count(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    size_t count = HASH_COUNT(store->live.entries);
    pthread_mutex_unlock(&store->lock);
    return count;
}

bool store_heard_end(struct store *store, const char *uid)
{
    pthread_mutex_lock(&store->lock);
    const struct gone *gone = gone_find(store, uid);
    bool heard = gone && *gone->version && gone->until_ms >= clock_boottime_ms();
    pthread_mutex_unlock(&store->lock);
    return heard;
}

/* ---- events and own writes ---- */

/* Takes the reference of the caller. False: its namespace is full; it was let go. */
static bool put_in(const struct store *store, struct table *table, struct entry *entry)
{
    char namespace[ENTRY_KEY_MAX_BYTES];
    size_t length = strcspn(entry->key, "/");
    snprintf(namespace, sizeof namespace, "%.*s", (int)length, entry->key);
    if (length && !str_equal(namespace, store->home) &&
        table_bytes(table, namespace) + entry_bytes(entry) > STORE_NAMESPACE_MAX_BYTES) {
        entry_release(entry);
        return false;
    }
    table_add(table, entry);
    return true;
}

/* Puts it in unless the store has the same or a newer one, or knows that it is gone. */
static enum store_answer admit(struct store *store, const json_t *object, bool echoed)
{
    char key[ENTRY_KEY_MAX_BYTES];
    entry_key_of(key, object);
    const char *version = json_str(object, "metadata.resourceVersion");
    if (is_gone(store, json_str_or(object, "metadata.uid", ""), version))
        return STORE_OUTDATED;
    struct entry *old = table_find(&store->live, key);
    int order = old ? kube_version_compare(version, old->version) : 1;
    if (order == 0)
        old->echoed |= echoed;
    if (order <= 0)
        return order == 0 ? STORE_TAKEN : STORE_OUTDATED;
    table_remove(&store->live, old);
    return put_in(store, &store->live, entry_make(object, echoed)) ? STORE_TAKEN : STORE_FULL;
}

static void forget(struct store *store, const json_t *object)
{
    char key[ENTRY_KEY_MAX_BYTES];
    const char *uid = json_str_or(object, "metadata.uid", "");
    const char *version = json_str_or(object, "metadata.resourceVersion", "");
    entry_key_of(key, object);
    struct gone *gone = gone_take(store, uid);
    snprintf(gone->version, sizeof gone->version, "%s", version);
    entry_release(gone->unannounced);
    gone->unannounced = NULL;
    struct entry *old = table_find(&store->live, key);
    if (old && (str_equal(old->uid, uid) || kube_version_compare(version, old->version) > 0))
        table_remove(&store->live, old);
}

enum store_answer store_event(struct store *store, const json_t *object, bool deleted)
{
    enum store_answer answer = STORE_TAKEN;
    pthread_mutex_lock(&store->lock);
    if (deleted)
        forget(store, object);
    else
        answer = admit(store, object, true);
    pthread_mutex_unlock(&store->lock);
    return answer;
}

void store_put(struct store *store, const json_t *object)
{
    pthread_mutex_lock(&store->lock);
    admit(store, object, false);
    pthread_mutex_unlock(&store->lock);
}

void store_drop(struct store *store, const char *namespace, const char *name, const char *uid)
{
    char key[ENTRY_KEY_MAX_BYTES];
    entry_key(key, namespace, name);
    pthread_mutex_lock(&store->lock);
    struct entry *old = table_find(&store->live, key);
    if (old && !str_equal(old->uid, uid))
        old = NULL; /* another object has the name now */
    if (old || !gone_find(store, uid)) {
        struct gone *gone = gone_take(store, uid);
        gone->version[0] = '\0';
        entry_release(gone->unannounced);
        gone->unannounced = old ? table_take(&store->live, old) : NULL;
    }
    pthread_mutex_unlock(&store->lock);
}

/* ---- full lists ---- */

void store_shadow_clear(struct store *store)
{
    table_clear(&store->shadow);
}

bool store_shadow_add(struct store *store, const json_t *object)
{
    store_shadow_remove(store, object);
    struct entry *entry = entry_make(object, true);
    entry->changed = true;
    return put_in(store, &store->shadow, entry);
}

void store_shadow_remove(struct store *store, const json_t *object)
{
    char key[ENTRY_KEY_MAX_BYTES];
    entry_key_of(key, object);
    table_remove(&store->shadow, table_find(&store->shadow, key));
}

/* What a swap collects; large enough for everything that could change. */
struct changes {
    struct store_change *list;
    size_t count;
};

/* Takes a reference of its own. */
static void note(struct changes *changes, struct entry *entry, bool deleted)
{
    changes->list[changes->count++] = (struct store_change){entry_hold(entry), deleted};
}

/* Decides about one object that the store held: it stays as it is, or the list's word counts. */
static void settle(struct store *store, struct entry *old, const char *version, bool rollback,
                   struct changes *changes)
{
    struct entry *listed = table_find(&store->shadow, old->key);
    bool same =
        listed && str_equal(old->version, listed->version) && str_equal(old->uid, listed->uid);
    bool keep = same || (kube_version_compare(old->version, version) > 0 && !rollback);
    table_take(&store->live, old);
    if (!keep) {
        if (!listed)
            note(changes, old, true);
        entry_release(old);
        return;
    }
    table_remove(&store->shadow, listed);
    old->changed = same && !old->echoed; /* nobody was told of our own write yet */
    old->echoed |= same;
    table_add(&store->shadow, old);
}

size_t store_swap(struct store *store, const char *version, bool rollback,
                  struct store_change **ret)
{
    struct entry *entry, *next;
    struct gone *gone, *next_gone;
    pthread_mutex_lock(&store->lock);
    size_t most = HASH_COUNT(store->live.entries) + HASH_COUNT(store->shadow.entries) +
                  HASH_COUNT(store->gone) + 1;
    struct changes changes = {.list = cache_memory(1, sizeof *changes.list * most)};

    HASH_ITER(hh, store->gone, gone, next_gone) {
        if (gone->unannounced)
            note(&changes, gone->unannounced, true);
        entry_release(gone->unannounced);
        gone->unannounced = NULL;
    }
    if (rollback)
        gone_clear(store);
    HASH_ITER(hh, store->shadow.entries, entry, next)
        if (is_gone(store, entry->uid, entry->version))
            table_remove(&store->shadow, entry);
    HASH_ITER(hh, store->live.entries, entry, next)
        settle(store, entry, version, rollback, &changes);

    store->live = store->shadow;
    store->shadow = (struct table){0};
    for (entry = store->live.entries; entry; entry = entry->hh.next) {
        if (entry->changed)
            note(&changes, entry, false);
        entry->changed = false;
    }
    pthread_mutex_unlock(&store->lock);
    *ret = changes.list;
    return changes.count;
}
