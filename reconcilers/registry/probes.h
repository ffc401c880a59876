/*
 * What this process remembers of each registry's Harbor between two probes: when it was asked, how
 * often in a row it did not serve, and the session that probes share. A bounded table in memory
 * that saves work and is never the truth: what is not in it is asked at once. Thread-safe.
 */
#pragma once

#include "reconcilers/backends/harbor.h"

struct probe_table;

enum { PROBE_ENTRIES_MAX = 20000 };

/* A condition as it was found; status NULL = no news, it stays as it is. */
struct registry_probe {
    const char *status, *reason, *message;
};

/* Times are clock_boottime_ms(), 0 = never. */
struct manage_memory {
    int64_t at_ms; /* of the last look */
    int64_t generation;
    int failures;           /* in a row */
    unsigned known;         /* parts (enum manage_part), as bits, that a look came to the end of */
    bool guarded;           /* that look only kept Harbor from collecting */
    bool tight;             /* little storage was left */
    bool unfinished;        /* that look is to be gone on with soon */
    bool lacks_right;       /* the robot was not let do what it should: look at its rights */
    int64_t cursor;         /* the quota whose limit was set last */
    int64_t defaults_at_ms; /* what holds for projects to come was looked at */
    int64_t defaults_of_bytes; /* with this limit of the registry */
    uint64_t admin;            /* hash of the administrator's password, as it was kept */
    int refusals;              /* of his login with it, in a row */
    int64_t refused_at_ms;     /* the last of them */
    bool proved;               /* Harbor took it, and it was we who saw that */
};

struct probe_memory {
    int64_t at_ms; /* clock_boottime_ms() of the last probe; 0 = there was none */
    int64_t generation;
    int failures; /* in a row */
    struct harbor_cookie cookie;
    struct manage_memory manage; /* manage.c */
};

struct probe_table *probes_new(void);
void probes_free(struct probe_table *table);

/* Zeroed when nothing is remembered. */
struct probe_memory probes_get(struct probe_table *table, const char *uid);
void probes_put(struct probe_table *table, const char *uid, const struct probe_memory *memory);
