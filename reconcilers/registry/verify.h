/*
 * When were a registry's externals last looked at by this process, and for which wish? A bounded
 * table in memory that saves work and is never the truth: what is not in it is looked at again.
 * Thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct verify_table;

enum { VERIFY_ENTRIES_MAX = 20000 };

struct verify_table *verify_new(void);
void verify_free(struct verify_table *table);

/* Milliseconds since `wish` (a hash of everything that was wanted) was verified; -1 = never. */
int64_t verify_age_ms(struct verify_table *table, const char *uid, uint64_t wish);
void verify_done(struct verify_table *table, const char *uid, uint64_t wish);
/* The next pass looks again. */
void verify_forget(struct verify_table *table, const char *uid);
