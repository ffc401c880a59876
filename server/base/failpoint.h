/*
 * Failpoints stand before and after every external call. Each call has a row in calls.def; its two
 * points are "<name>.before" and "<name>.after". Off (the default) they cost one predictable
 * branch.
 *
 * FLOTILLA_FAILPOINTS="pg.role.create.after=kill;kube.status.before=hang(6000)" arms points:
 *   kill      the process ends itself with SIGKILL
 *   hang(MS)  the thread sleeps, then goes on
 *   error     the call reports UNAVAILABLE; at ".after" it took effect all the same
 * FLOTILLA_FAILPOINT_DIR: each point reached leaves a file "hit.<name>" there; an armed point fires
 * only while it can create "fired.<name>", so it fires once even if the process is restarted.
 * Release builds contain them too: the environment of a production process is under our control.
 */
#pragma once

#include <stdbool.h>

struct ctx;

enum call {
    CALL_NONE = 0,
#define CALL(id, name, role, why) CALL_##id,
#include "server/base/calls.def"
#undef CALL
    CALL_MAX
};

struct call_row {
    const char *name; /* "pg.role.create" */
    const char *role; /* which process makes it: serve, fleet, operate */
    const char *why;
};

const struct call_row *call_row(enum call call);

extern bool failpoint_armed_;

/* Reads the environment once, before threads start. -1 with a message on stderr when malformed. */
int failpoint_init(void);
int failpoint_hit(struct ctx *ctx, enum call call, bool after);

/* 0, or -ERR_UNAVAILABLE from an `error` action. */
#define FAILPOINT_BEFORE(ctx, call)                                                                \
    (__builtin_expect(failpoint_armed_, 0) ? failpoint_hit((ctx), (call), false) : 0)
#define FAILPOINT_AFTER(ctx, call)                                                                 \
    (__builtin_expect(failpoint_armed_, 0) ? failpoint_hit((ctx), (call), true) : 0)
