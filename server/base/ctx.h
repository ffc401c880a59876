/*
 * ctx: what one request or one reconcile pass carries with it. First parameter of everything above
 * base. It lives on the stack of the loop that owns the request or pass; nobody keeps a pointer.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/err.h"
#include "server/base/log.h"

#include <stdint.h>

/*
 * A gate stands before every external write. The adapters ask it right before they send, so that
 * a process that lost its lease in the middle of a pass sends nothing more.
 */
struct gate {
    /* 0, or -ERR_LEASE_LOST with details in ctx->err. */
    int (*check)(struct ctx *ctx, const struct gate *gate);
    const void *owner;
};

struct ctx {
    struct arena *arena;
    struct err err;
    int64_t deadline_ms;     /* clock_boottime_ms(); 0 = none. Adapters never wait beyond it */
    const struct gate *gate; /* NULL = always open (serve, command line) */
    const char *actor;       /* who acts: "tenant:tn_x", "operate", "fleet" */
    struct log_fields log;   /* added to each line logged with this ctx */
};

/* A ctx over `arena` with nothing else set. */
struct ctx ctx_make(struct arena *arena, const char *actor);

/* Milliseconds until the deadline, at most `cap_ms`; 0 when it has passed. */
int ctx_left_ms(const struct ctx *ctx, int cap_ms);

/* Asks the gate. */
int ctx_may_write(struct ctx *ctx);
