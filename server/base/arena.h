/*
 * Arena: memory that dies together, one per request and per reconcile pass.
 * arena_* never returns NULL: real exhaustion aborts (state is in PostgreSQL and in Kubernetes,
 * the supervisor restarts us). Input-driven growth is bounded where input is read.
 * Not thread-safe: an arena belongs to one thread at a time.
 */
#pragma once

#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena);
/* Runs the deferred calls and gives all memory back but the first block. */
void arena_reset(struct arena *arena);

/* Zeroed memory, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t bytes) __attribute__((malloc, returns_nonnull));
char *arena_strdup(struct arena *arena, const char *text) __attribute__((returns_nonnull));
char *arena_strndup(struct arena *arena, const char *text, size_t bytes)
    __attribute__((returns_nonnull));
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));
char *arena_vprintf(struct arena *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0), returns_nonnull));

/* Calls fn(ptr) when the arena is reset or freed, last deferred first. */
void arena_defer(struct arena *arena, void (*fn)(void *), void *ptr);

/* Hands a reference to the arena, which drops it at the end; returns it. NULL passes through. */
json_t *arena_json(struct arena *arena, json_t *value);

/* Bytes handed out since the last reset. */
size_t arena_used(const struct arena *arena);
