/*
 * Clock. Leases, deadlines and timers use CLOCK_BOOTTIME (suspend counts, jumps do not); wall time
 * is only for what people and other machines read. The database's own now() decides about data.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

int64_t clock_boottime_ms(void);
/* Wall clock, milliseconds since the epoch. */
int64_t clock_wall_ms(void);

enum { CLOCK_RFC3339_BYTES = 40 };

/* "2026-11-21T08:30:00Z" (decimals = 0), or with .000000 (decimals = 6), as Lease and Event want.
 */
char *clock_rfc3339(char out[CLOCK_RFC3339_BYTES], int64_t wall_ms, int decimals);
/* Parses RFC 3339 (section 5.6, T and Z in capitals) with Z or an offset, to the millisecond; a
 * leap second is the next minute's first. 0, or -1 when the text is not a time. */
int clock_parse_rfc3339(const char *text, int64_t *ret_wall_ms);

/* Sleeps; returns early on a signal. */
void clock_sleep_ms(int64_t ms);

/*
 * Timed waits on conditions: one that clock_cond_init() made, until clock_until(ms from now). They
 * count by CLOCK_MONOTONIC, the only clock that conditions know and that does not jump.
 */
void clock_cond_init(pthread_cond_t *cond);
struct timespec clock_until(int64_t ms);
