/*
 * What keeps one dead backend from holding all workers: per pool a bounded number of workers at a
 * time, and a breaker that opens for a while after connects failed in a row, then lets one probe
 * through. Kept in memory only: it protects this process and decides nothing else. Thread-safe.
 */
#pragma once

#include <stdbool.h>

struct ctx;
struct backend_gates;

enum { BACKEND_POOLS_MAX = 256, BREAKER_FAILURES = 3, BREAKER_OPEN_MS = 5000, GATE_WAIT_MS = 100 };

/* At most `per_pool` workers (at least 1) inside one pool. */
struct backend_gates *backend_gates_new(int per_pool);
void backend_gates_free(struct backend_gates *gates);

/*
 * Waits up to GATE_WAIT_MS for its turn: enough where the pool answers, and too little to hold a
 * worker where it does not. -ERR_OVERLOADED (PoolBusy) when it did not come, -ERR_UNAVAILABLE
 * (BreakerOpen, with err.retry_after_ms) while the breaker is open. After 0 the caller must leave.
 */
int backend_gate_enter(struct ctx *ctx, struct backend_gates *gates, const char *pool);
/* connected = false: the server could not be reached. */
void backend_gate_leave(struct backend_gates *gates, const char *pool, bool connected);

/*
 * A worker inside that moves a lot of data gives its place to others and takes it again before it
 * leaves, be it beyond the number: the caller bounds how many do so.
 */
void backend_gate_lend(struct backend_gates *gates, const char *pool);
void backend_gate_return(struct backend_gates *gates, const char *pool);

/*
 * Of two credentials of a rotation one is enough for the registry to serve: the failure `rc` of the
 * other is logged and told in *ret_why (of ctx->arena), and 0 is returned. Not so that the lease
 * was lost, which is returned.
 */
int backend_hold_back(struct ctx *ctx, int rc, const char **ret_why);
