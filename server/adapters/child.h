/*
 * A program as a child process whose input or output is read or written in pieces: pg_dump and
 * pg_restore. Calls wait until ctx's deadline at most, and ask the gate about once a second while
 * they wait. What it complains about on stderr becomes the message of its failure. A secret never
 * stands in its arguments nor in its environment: it is a file of memory that it alone has.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ctx;
struct child;

/* Where the child finds `secret`. */
#define CHILD_SECRET_PATH "/proc/self/fd/3"

struct child_options {
    const char *program;          /* a path, or a name that is looked for in PATH */
    const char *const *arguments; /* behind the program's name; ended by NULL */
    const char *secret;           /* NULL = none */
    bool fed;                     /* child_write() feeds it; false: child_read() reads from it */
};

/* -ERR_NOT_FOUND (ProgramMissing): there is no such program, or it cannot be run. */
int child_start(struct ctx *ctx, const struct child_options *options, struct child **ret);
/* Waits for all of `bytes`; fewer only where its output ends. */
int child_read(struct ctx *ctx, struct child *child, char *into, size_t bytes, size_t *ret_bytes);
/* -ERR_REFUSED when it ended before it took all. */
int child_write(struct ctx *ctx, struct child *child, const char *bytes, size_t count);
/* Ends its input and waits for it: 0, or -ERR_REFUSED (ChildFailed) when it did not end well. */
int child_finish(struct ctx *ctx, struct child *child);
/* Kills it if it still runs, and frees. */
void child_end(struct child *child);
static inline void cleanup_child_(struct child **child)
{
    child_end(*child);
}
#define _cleanup_child_ __attribute__((cleanup(cleanup_child_)))
