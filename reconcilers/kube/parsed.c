#include "reconcilers/kube/parsed.h"

#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#if !JSON_HAVE_ATOMIC_BUILTINS && !JSON_HAVE_SYNC_BUILTINS
#error "trees are shared between threads: jansson has to count references atomically"
#endif

/* Of the process: caches of many clusters have one budget. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct entry *newest; /* its last one was read the longest ago */
static size_t bytes;

#ifdef __SANITIZE_ADDRESS__
/* Whoever changes what he was given changes it for all: a test must not survive that. */
static void check_unchanged(const struct entry *entry)
{
    char *text = json_dumps(entry->tree, JSON_COMPACT);
    if (!text || strcmp(text, entry->text) != 0) {
        fprintf(stderr, "a cached object was changed in place: %s\n", entry->key);
        abort();
    }
    free(text);
}
#else
static void check_unchanged(const struct entry *entry)
{
    (void)entry;
}
#endif

/* What jansson takes for a tree, from its text: an empty object is 220 bytes, and each pair about
 * 150. Who has many of them in little text must not pass for small. */
static size_t reckon(const struct entry *entry)
{
    static const uint8_t costs[UCHAR_MAX + 1] = {['{'] = 220, ['['] = 130, [','] = 70, [':'] = 80};
    size_t sum = entry->text_bytes;
    for (size_t at = 0; at < entry->text_bytes; at++)
        sum += costs[(unsigned char)entry->text[at]];
    return sum;
}

static void drop(struct entry *entry)
{
    check_unchanged(entry);
    DL_DELETE2(newest, entry, newer, older);
    bytes -= entry->tree_bytes;
    json_decref(entry->tree);
    entry->tree = NULL;
}

static void keep(struct entry *entry, json_t *tree)
{
    if (!entry->tree_bytes)
        entry->tree_bytes = reckon(entry);
    if (entry->tree_bytes > PARSED_TREE_MAX_BYTES)
        return;
    entry->tree = json_incref(tree);
    bytes += entry->tree_bytes;
    DL_PREPEND2(newest, entry, newer, older);
    while (bytes > PARSED_MAX_BYTES)
        drop(newest->newer);
}

/* The one that is there, if there is one. */
static json_t *find(struct entry *entry)
{
    if (!entry->tree)
        return NULL;
    check_unchanged(entry);
    DL_DELETE2(newest, entry, newer, older);
    DL_PREPEND2(newest, entry, newer, older);
    return json_incref(entry->tree);
}

json_t *parsed_hold(struct entry *entry)
{
    pthread_mutex_lock(&mutex);
    json_t *tree = find(entry);
    pthread_mutex_unlock(&mutex);
    if (tree)
        return tree;
    json_t *made = json_loadb(entry->text, entry->text_bytes, 0, NULL);
    pthread_mutex_lock(&mutex);
    tree = find(entry); /* another one was faster */
    if (!tree && made)
        keep(entry, made);
    pthread_mutex_unlock(&mutex);
    if (!tree)
        return made;
    json_decref(made);
    return tree;
}

/* Under the lock: who frees it comes after those who read it through here. */
void parsed_release(void *tree)
{
    pthread_mutex_lock(&mutex);
    json_decref((json_t *)tree);
    pthread_mutex_unlock(&mutex);
}

void parsed_forget(struct entry *entry)
{
    pthread_mutex_lock(&mutex);
    if (entry->tree)
        drop(entry);
    pthread_mutex_unlock(&mutex);
}

size_t parsed_bytes(void)
{
    pthread_mutex_lock(&mutex);
    size_t kept = bytes;
    pthread_mutex_unlock(&mutex);
    return kept;
}
