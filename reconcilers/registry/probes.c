/* See probes.h. A full table is emptied: everything is asked once more, nothing is lost. */
#include "reconcilers/registry/probes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

enum { UID_BYTES = 64 };

struct entry {
    char uid[UID_BYTES];
    struct probe_memory memory;
    UT_hash_handle hh;
};

struct probe_table {
    pthread_mutex_t lock; /* guards entries */
    struct entry *entries;
};

struct probe_table *probes_new(void)
{
    struct probe_table *table = calloc(1, sizeof *table);
    if (!table)
        abort();
    pthread_mutex_init(&table->lock, NULL);
    return table;
}

static void clear(struct probe_table *table)
{
    struct entry *entry, *next;
    HASH_ITER(hh, table->entries, entry, next) {
        HASH_DEL(table->entries, entry);
        free(entry);
    }
}

void probes_free(struct probe_table *table)
{
    if (!table)
        return;
    clear(table);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

static struct entry *find(struct probe_table *table, const char *uid)
{
    struct entry *entry = NULL;
    HASH_FIND_STR(table->entries, uid, entry);
    return entry;
}

struct probe_memory probes_get(struct probe_table *table, const char *uid)
{
    pthread_mutex_lock(&table->lock);
    const struct entry *entry = find(table, uid);
    struct probe_memory memory = entry ? entry->memory : (struct probe_memory){0};
    pthread_mutex_unlock(&table->lock);
    return memory;
}

static struct entry *add(struct probe_table *table, const char *uid)
{
    if (HASH_COUNT(table->entries) >= PROBE_ENTRIES_MAX)
        clear(table);
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        abort();
    snprintf(entry->uid, sizeof entry->uid, "%s", uid);
    HASH_ADD_STR(table->entries, uid, entry);
    return entry;
}

void probes_put(struct probe_table *table, const char *uid, const struct probe_memory *memory)
{
    pthread_mutex_lock(&table->lock);
    struct entry *entry = find(table, uid);
    if (!entry)
        entry = add(table, uid);
    entry->memory = *memory;
    pthread_mutex_unlock(&table->lock);
}
