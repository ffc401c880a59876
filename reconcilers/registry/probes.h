/*
 * What this process remembers of each registry's Harbor between two probes: when it was asked, how
 * often in a row it did not serve, and the session that probes share. A bounded table in memory
 * that saves work and is never the truth: what is not in it is asked at once. Thread-safe.
 */
#pragma once

#include "reconcilers/backends/harbor.h"

struct probe_table;

enum { PROBE_ENTRIES_MAX = 20000 };

struct probe_memory {
    int64_t at_ms; /* clock_boottime_ms() of the last probe; 0 = there was none */
    int64_t generation;
    int failures; /* in a row */
    struct harbor_cookie cookie;
};

struct probe_table *probes_new(void);
void probes_free(struct probe_table *table);

/* Zeroed when nothing is remembered. */
struct probe_memory probes_get(struct probe_table *table, const char *uid);
void probes_put(struct probe_table *table, const char *uid, const struct probe_memory *memory);
