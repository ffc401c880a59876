#include "server/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 8192 - 64, ALIGNMENT = 16 };

struct block {
    struct block *next;
    size_t used;
    size_t size;
    _Alignas(ALIGNMENT) unsigned char data[];
};

struct deferred {
    struct deferred *next;
    void (*fn)(void *);
    void *ptr;
};

struct arena {
    struct block *first;   /* kept over resets */
    struct block *current; /* newest block; blocks are chained newest first */
    struct deferred *deferred;
    size_t used;
};

static struct block *block_new(size_t bytes, struct block *next)
{
    struct block *block = malloc(sizeof *block + bytes);
    if (!block) {
        fputs("flotilla: out of memory\n", stderr);
        abort();
    }
    block->next = next;
    block->used = 0;
    block->size = bytes;
    return block;
}

struct arena *arena_new(void)
{
    struct block *block = block_new(BLOCK_BYTES, NULL);
    struct arena *arena = calloc(1, sizeof *arena);
    if (!arena)
        abort();
    arena->first = arena->current = block;
    return arena;
}

void arena_reset(struct arena *arena)
{
    while (arena->deferred) {
        struct deferred *deferred = arena->deferred;
        arena->deferred = deferred->next;
        deferred->fn(deferred->ptr);
    }
    while (arena->current != arena->first) {
        struct block *block = arena->current;
        arena->current = block->next;
        free(block);
    }
    arena->first->used = 0;
    arena->used = 0;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    arena_reset(arena);
    free(arena->first);
    free(arena);
}

static size_t round_up(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t rounded = round_up(bytes);
    struct block *block = arena->current;
    if (block->size - block->used < rounded) {
        block = block_new(rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES, arena->current);
        arena->current = block;
    }
    void *out = block->data + block->used;
    block->used += rounded;
    arena->used += rounded;
    return memset(out, 0, rounded);
}

char *arena_strndup(struct arena *arena, const char *text, size_t bytes)
{
    char *out = arena_alloc(arena, bytes + 1);
    memcpy(out, text, bytes);
    return out;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    struct block *block = arena->current;
    size_t room = block->size - block->used;
    char *out = (char *)block->data + block->used;
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(out, room, format, again);
    va_end(again);
    if (length < 0)
        abort();
    if ((size_t)length < room) { /* it is where it shall be: nothing has to be formatted twice */
        block->used += round_up((size_t)length + 1);
        arena->used += round_up((size_t)length + 1);
        return out;
    }
    out = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(out, (size_t)length + 1, format, args);
    return out;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *out = arena_vprintf(arena, format, args);
    va_end(args);
    return out;
}

void arena_defer(struct arena *arena, void (*fn)(void *), void *ptr)
{
    struct deferred *deferred = arena_alloc(arena, sizeof *deferred);
    *deferred = (struct deferred){.next = arena->deferred, .fn = fn, .ptr = ptr};
    arena->deferred = deferred;
}

static void json_drop(void *ptr)
{
    json_decref(ptr);
}

json_t *arena_json(struct arena *arena, json_t *value)
{
    if (value)
        arena_defer(arena, json_drop, value);
    return value;
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}
