/*
 * explain: what the status of a Pipeline tells besides its conditions, as much of it as the fleet
 * keeps and the API shows: per stage where it runs and what it lacks, and what is waited for. The
 * members are those of the CRD's, and no other: what is told there later goes no further by itself.
 * Pure.
 */
#pragma once

#include <jansson.h>

/* Of JSON. 32 stages without pods are at most 13 KiB; with names of 20 bytes two pods of each fit,
 * and about a dozen stages are told whole. */
enum { EXPLAIN_STAGES_BYTES = 16 << 10, EXPLAIN_WAITING_BYTES = 1 << 10 };

/*
 * A new reference; NULL = it tells of none. What is too large is told with fewer pods of each stage
 * (4, 2, 1, none; podCount says how many there are), or not at all: then *ret_cut is a word for
 * that, else NULL.
 */
json_t *explain_stages(const json_t *status, const char **ret_cut);

/* A new reference; NULL = nothing is waited for, or it is larger than any can be. */
json_t *explain_waiting(const json_t *status);
