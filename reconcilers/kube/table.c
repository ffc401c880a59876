/* Entries, and a hash of them with a list per namespace and one per label of ours. */
#include "reconcilers/kube/table.h"

#include "reconcilers/kube/parsed.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* uthash links by offsets, which the analyzer cannot follow: all it keeps looks leaked. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

struct bucket {
    UT_hash_handle hh;
    struct entry *entries;
    size_t count, bytes; /* bytes: of what they take (entry_bytes) */
    char namespace[];
};

void entry_key(char key[ENTRY_KEY_MAX_BYTES], const char *namespace, const char *name)
{
    snprintf(key, ENTRY_KEY_MAX_BYTES, "%s/%s", namespace ? namespace : "", name ? name : "");
}

/* The key of an object; API names are far shorter than ENTRY_KEY_MAX_BYTES. */
void entry_key_of(char key[ENTRY_KEY_MAX_BYTES], const json_t *object)
{
    entry_key(key, json_str(object, "metadata.namespace"), json_str(object, "metadata.name"));
}

struct entry *entry_make(const json_t *object, bool echoed)
{
    char key[ENTRY_KEY_MAX_BYTES];
    const char *uid = json_str_or(object, "metadata.uid", "");
    const char *version = json_str_or(object, "metadata.resourceVersion", "");
    entry_key_of(key, object);
    size_t key_bytes = strlen(key) + 1, uid_bytes = strlen(uid) + 1;
    size_t version_bytes = strlen(version) + 1;
    struct entry *entry = cache_memory(1, sizeof *entry + key_bytes + uid_bytes + version_bytes);
    memcpy(entry->key, key, key_bytes);
    entry->uid = memcpy(entry->key + key_bytes, uid, uid_bytes);
    entry->version = memcpy(entry->key + key_bytes + uid_bytes, version, version_bytes);
    entry->text = json_dumps(object, JSON_COMPACT);
    if (!entry->text)
        abort();
    entry->text_bytes = strlen(entry->text);
    entry->member_count = family_places(object, entry, &entry->members);
    entry->references = 1;
    entry->echoed = echoed;
    return entry;
}

struct entry *entry_hold(struct entry *entry)
{
    if (entry)
        atomic_fetch_add(&entry->references, 1);
    return entry;
}

void entry_release(struct entry *entry)
{
    if (!entry || atomic_fetch_sub(&entry->references, 1) != 1)
        return;
    parsed_forget(entry);
    free(entry->members);
    free(entry->text);
    free(entry);
}

size_t entry_bytes(const struct entry *entry)
{
    return entry->text_bytes + entry->member_count * FAMILY_LABEL_BYTES;
}

struct entry *table_find(const struct table *table, const char *key)
{
    struct entry *entry;
    HASH_FIND_STR(table->entries, key, entry);
    return entry;
}

size_t table_bytes(const struct table *table, const char *namespace)
{
    const struct bucket *bucket;
    HASH_FIND_STR(table->buckets, namespace, bucket);
    return bucket ? bucket->bytes : 0;
}

static struct bucket *take_bucket(struct table *table, const char *key)
{
    struct bucket *bucket;
    size_t length = strcspn(key, "/");
    HASH_FIND(hh, table->buckets, key, length, bucket);
    if (!bucket) {
        bucket = cache_memory(1, sizeof *bucket + length + 1);
        memcpy(bucket->namespace, key, length);
        HASH_ADD_KEYPTR(hh, table->buckets, bucket->namespace, length, bucket);
    }
    return bucket;
}

/* Takes the reference of the caller. */
void table_add(struct table *table, struct entry *entry)
{
    entry->bucket = take_bucket(table, entry->key);
    DL_APPEND(entry->bucket->entries, entry);
    entry->bucket->bytes += entry_bytes(entry);
    entry->bucket->count++;
    HASH_ADD_STR(table->entries, key, entry);
    family_join(&table->families, entry->members, entry->member_count);
}

/* Gives the table's reference to the caller. */
struct entry *table_take(struct table *table, struct entry *entry)
{
    struct bucket *bucket = entry->bucket;
    HASH_DEL(table->entries, entry);
    DL_DELETE(bucket->entries, entry);
    family_leave(&table->families, entry->members, entry->member_count);
    bucket->bytes -= entry_bytes(entry);
    bucket->count--;
    entry->bucket = NULL;
    if (!bucket->entries) {
        HASH_DEL(table->buckets, bucket);
        free(bucket);
    }
    return entry;
}

void table_remove(struct table *table, struct entry *entry)
{
    if (entry)
        entry_release(table_take(table, entry));
}

void table_clear(struct table *table)
{
    struct entry *entry, *next;
    HASH_ITER(hh, table->entries, entry, next)
        table_remove(table, entry);
}

static size_t collect_bucket(const struct bucket *bucket, const struct term *term,
                             struct entry **found)
{
    struct entry *entry;
    size_t count = 0, bytes = term ? strlen(term->text) : 0;
    DL_FOREACH(bucket->entries, entry)
        if (!term || memmem(entry->text, entry->text_bytes, term->text, bytes))
            found[count++] = entry_hold(entry);
    return count;
}

static size_t collect_family(const struct member *member, const char *namespace,
                             struct entry **found)
{
    size_t count = 0;
    for (; member; member = member->next)
        if (!namespace || str_equal(member->entry->bucket->namespace, namespace))
            found[count++] = entry_hold(member->entry);
    return count;
}

size_t table_collect(const struct table *table, const char *namespace, const struct term *term,
                     struct entry ***ret)
{
    const struct bucket *bucket = NULL;
    const struct member *members = NULL;
    bool by_family = term && family_covers(term->label);
    size_t count = 0, family = 0, room = HASH_COUNT(table->entries);
    if (namespace) {
        HASH_FIND_STR(table->buckets, namespace, bucket);
        room = bucket ? bucket->count : 0;
    }
    if (by_family)
        members = family_find(table->families, term->label, term->value, &family);
    *ret = cache_memory(1, ((by_family ? family : room) + 1) * sizeof **ret);
    if (by_family && (!namespace || family <= room)) /* others may carry the label, elsewhere */
        return collect_family(members, namespace, *ret);
    if (namespace)
        return bucket ? collect_bucket(bucket, term, *ret) : 0;
    for (bucket = table->buckets; bucket; bucket = bucket->hh.next)
        count += collect_bucket(bucket, term, *ret + count);
    return count;
}
