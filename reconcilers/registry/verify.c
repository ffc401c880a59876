/* See verify.h. A full table is emptied: everything is looked at once more, nothing is lost. */
#include "reconcilers/registry/verify.h"

#include "server/base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

enum { UID_BYTES = 64 };

struct entry {
    char uid[UID_BYTES];
    uint64_t wish;
    int64_t at_ms;
    UT_hash_handle hh;
};

struct verify_table {
    pthread_mutex_t lock; /* guards entries */
    struct entry *entries;
};

struct verify_table *verify_new(void)
{
    struct verify_table *table = calloc(1, sizeof *table);
    if (!table)
        abort();
    pthread_mutex_init(&table->lock, NULL);
    return table;
}

static void remove_entry(struct verify_table *table, struct entry *entry)
{
    HASH_DEL(table->entries, entry);
    free(entry);
}

static void clear(struct verify_table *table)
{
    while (table->entries)
        remove_entry(table, table->entries);
}

void verify_free(struct verify_table *table)
{
    if (!table)
        return;
    clear(table);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

static struct entry *find(struct verify_table *table, const char *uid)
{
    struct entry *entry = NULL;
    HASH_FIND_STR(table->entries, uid, entry);
    return entry;
}

int64_t verify_age_ms(struct verify_table *table, const char *uid, uint64_t wish)
{
    pthread_mutex_lock(&table->lock);
    const struct entry *entry = find(table, uid);
    int64_t age = entry && entry->wish == wish ? clock_boottime_ms() - entry->at_ms : -1;
    pthread_mutex_unlock(&table->lock);
    return age;
}

void verify_done(struct verify_table *table, const char *uid, uint64_t wish)
{
    pthread_mutex_lock(&table->lock);
    struct entry *entry = find(table, uid);
    if (!entry) {
        if (HASH_COUNT(table->entries) >= VERIFY_ENTRIES_MAX)
            clear(table);
        entry = calloc(1, sizeof *entry);
        if (!entry)
            abort();
        snprintf(entry->uid, sizeof entry->uid, "%s", uid);
        HASH_ADD_STR(table->entries, uid, entry);
    }
    entry->wish = wish;
    entry->at_ms = clock_boottime_ms();
    pthread_mutex_unlock(&table->lock);
}

void verify_forget(struct verify_table *table, const char *uid)
{
    pthread_mutex_lock(&table->lock);
    struct entry *entry = find(table, uid);
    if (entry)
        remove_entry(table, entry);
    pthread_mutex_unlock(&table->lock);
}
