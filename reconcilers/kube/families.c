/* A hash of families, each a list of its members. */
#include "reconcilers/kube/families.h"

#include "server/base/json.h"
#include "server/base/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

/* uthash links by offsets, which the analyzer cannot follow: all it keeps looks leaked. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

struct family {
    UT_hash_handle hh;
    uint64_t hash;
    size_t count;
    struct member *members;
};

void *cache_memory(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    if (!memory)
        abort();
    return memory;
}

/* The 0 between them keeps "a" + "bc" from being "ab" + "c". */
static uint64_t hash_of(const char *label, const char *value)
{
    uint64_t hash = str_hash_more(STR_HASH_START, label, strlen(label) + 1);
    return str_hash_more(hash, value, strlen(value));
}

bool family_covers(const char *label)
{
    return str_starts(label, FAMILY_PREFIX);
}

size_t family_places(const json_t *object, struct entry *entry, struct member **ret)
{
    json_t *labels = json_at(object, "metadata.labels"), *value;
    const char *label;
    size_t count = 0;
    *ret = NULL;
    json_object_foreach(labels, label, value)
        count += family_covers(label) && json_is_string(value);
    if (!count)
        return 0;
    struct member *member = *ret = cache_memory(count, sizeof *member);
    json_object_foreach(labels, label, value)
        if (family_covers(label) && json_is_string(value))
            *member++ =
                (struct member){.entry = entry, .hash = hash_of(label, json_string_value(value))};
    return count;
}

static struct family *take_family(struct family **all, uint64_t hash)
{
    struct family *family;
    HASH_FIND(hh, *all, &hash, sizeof hash, family);
    if (!family) {
        family = cache_memory(1, sizeof *family);
        family->hash = hash;
        HASH_ADD(hh, *all, hash, sizeof family->hash, family);
    }
    return family;
}

void family_join(struct family **all, struct member *members, size_t count)
{
    for (struct member *member = members; member < members + count; member++) {
        member->family = take_family(all, member->hash);
        member->family->count++;
        DL_APPEND(member->family->members, member);
    }
}

void family_leave(struct family **all, struct member *members, size_t count)
{
    for (struct member *member = members; member < members + count; member++) {
        struct family *family = member->family;
        member->family = NULL;
        DL_DELETE(family->members, member);
        if (--family->count)
            continue;
        assert(*all); /* at least this one is in it */
        HASH_DEL(*all, family);
        free(family);
    }
}

const struct member *family_find(struct family *all, const char *label, const char *value,
                                 size_t *ret_count)
{
    uint64_t hash = hash_of(label, value);
    struct family *family;
    HASH_FIND(hh, all, &hash, sizeof hash, family);
    *ret_count = family ? family->count : 0;
    return family ? family->members : NULL;
}
