#include "server/dev/faultproxy/memory.h"

#include "server/base/ctx.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

enum { OBJECT_MAX_BYTES = 4 << 20, RECALLED_MAX = 16 };

struct entry {
    char *key; /* group/resource/namespace/name */
    char *version;
    char *current;  /* NULL: it is gone */
    char *before;   /* NULL: it was not there, or */
    bool unknown;   /* nothing is known of before */
    char *selector; /* of who heard that it is gone */
    UT_hash_handle hh;
};

struct memory {
    struct entry *entries;
};

struct memory *memory_new(void)
{
    struct memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        abort();
    return memory;
}

static char *keep(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

static void drop(struct memory *memory, struct entry *entry)
{
    HASH_DEL(memory->entries, entry);
    free(entry->key);
    free(entry->version);
    free(entry->current);
    free(entry->before);
    free(entry->selector);
    free(entry);
}

static void clear(struct memory *memory)
{
    struct entry *entry, *next;
    HASH_ITER(hh, memory->entries, entry, next)
        drop(memory, entry);
}

void memory_free(struct memory *memory)
{
    if (!memory)
        return;
    clear(memory);
    free(memory);
}

static const char *key_of(struct arena *arena, const struct target *target, const char *namespace,
                          const char *name)
{
    return arena_printf(arena, "%s/%s/%s/%s", target->group, target->resource,
                        namespace ? namespace : "", name ? name : "");
}

static const char *key_of_object(struct arena *arena, const struct target *target,
                                 const json_t *object)
{
    return key_of(arena, target, json_str(object, "metadata.namespace"),
                  json_str(object, "metadata.name"));
}

static struct entry *find(struct arena *arena, struct memory *memory, const struct target *target,
                          const json_t *object)
{
    struct entry *entry;
    const char *key = key_of_object(arena, target, object);
    HASH_FIND_STR(memory->entries, key, entry);
    return entry;
}

static struct entry *add(struct memory *memory, const char *key, bool is_new)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        abort();
    if (HASH_COUNT(memory->entries) >= MEMORY_MAX)
        clear(memory);
    entry->key = keep(key);
    entry->unknown = !is_new;
    HASH_ADD_KEYPTR(hh, memory->entries, entry->key, strlen(entry->key), entry);
    return entry;
}

/* Streams and answers overtake each other: versions of one object only rise. */
static bool is_later(const char *version, const char *than)
{
    int64_t a = 0, b = 0;
    return str_to_int(version, 0, INT64_MAX, &a) && str_to_int(than, 0, INT64_MAX, &b) && a > b;
}

void memory_note(struct arena *arena, struct memory *memory, const struct target *target,
                 const json_t *object, bool is_new)
{
    const char *version = json_str(object, "metadata.resourceVersion");
    struct entry *entry = find(arena, memory, target, object);
    if (!version || (entry && !is_later(version, entry->version)))
        return;
    if (!entry)
        entry = add(memory, key_of_object(arena, target, object), is_new);
    if (entry->version) {
        free(entry->before);
        entry->before = entry->current;
        entry->unknown = !entry->current && !is_new;
    }
    free(entry->version);
    entry->version = keep(version);
    entry->current = keep(json_text(arena, object));
}

void memory_note_end(struct arena *arena, struct memory *memory, const struct target *target,
                     const json_t *object, const char *selector)
{
    const char *version = json_str(object, "metadata.resourceVersion");
    struct entry *entry = find(arena, memory, target, object);
    if (!version || !entry || !is_later(version, entry->version))
        return;
    if (entry->current) {
        free(entry->before);
        entry->before = entry->current;
        entry->current = NULL;
        entry->unknown = false;
    }
    free(entry->version);
    entry->version = keep(version);
    free(entry->selector);
    entry->selector = keep(selector);
    HASH_DEL(memory->entries, entry); /* the last that ended is the last one */
    HASH_ADD_KEYPTR(hh, memory->entries, entry->key, strlen(entry->key), entry);
}

void memory_note_answer(struct arena *arena, struct memory *memory, const struct target *target,
                        const json_t *answer, bool is_new)
{
    const char *kind = json_str_or(answer, "kind", "");
    const json_t *items = json_at(answer, "items");
    size_t at;
    json_t *item;
    if (str_starts(kind, "PartialObjectMetadata") || str_equal(kind, "Table"))
        return;
    if (!items)
        memory_note(arena, memory, target, answer, is_new);
    json_array_foreach(items, at, item)
        memory_note(arena, memory, target, item, false);
}

/* ---- what was before ---- */

static json_t *parsed(struct ctx *ctx, const char *text)
{
    json_t *object;
    if (!text || json_parse_foreign(ctx, text, strlen(text), OBJECT_MAX_BYTES, &object) < 0)
        return NULL;
    return object;
}

json_t *memory_before(struct ctx *ctx, struct memory *memory, const struct target *target,
                      json_t *object)
{
    struct entry *entry = find(ctx->arena, memory, target, object);
    return !entry || entry->unknown ? object : parsed(ctx, entry->before);
}

json_t *memory_last(struct ctx *ctx, struct memory *memory, const struct target *target)
{
    struct entry *entry;
    const char *key = key_of(ctx->arena, target, target->namespace, target->name);
    HASH_FIND_STR(memory->entries, key, entry);
    return entry ? parsed(ctx, entry->current ? entry->current : entry->before) : NULL;
}

json_t *memory_ended(struct ctx *ctx, struct memory *memory, const struct target *target,
                     const char *selector)
{
    json_t *list = arena_json(ctx->arena, json_array()), *before;
    const char *prefix = key_of(ctx->arena, target, target->namespace, "");
    if (!target->namespace)
        prefix = arena_printf(ctx->arena, "%s/%s/", target->group, target->resource);
    struct entry *entry = memory->entries
                              ? ELMT_FROM_HH(memory->entries->hh.tbl, memory->entries->hh.tbl->tail)
                              : NULL;
    for (; entry && json_array_size(list) < RECALLED_MAX; entry = entry->hh.prev) {
        if (entry->current || !str_starts(entry->key, prefix) ||
            (selector && !str_equal(entry->selector, selector)) ||
            !(before = parsed(ctx, entry->before)))
            continue;
        json_array_append_new(list,
                              json_pack("{s:O, s:s}", "before", before, "version", entry->version));
    }
    return list;
}
