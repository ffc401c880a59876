/*
 * Workers: one pass at a time, from a key to a result, and from the result to the next look. This
 * is the only place of the operators that logs a failure: one line per failed pass.
 */
#include "reconcilers/engine/engine_internal.h"

#include "server/base/clock.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <string.h>

enum {
    PASS_DEADLINE_MS = 60000,
    SYNC_POLL_MS = 20,
    JITTER_PERCENT = 10,
    FAILURES_UNTIL_NEWS = 5,
};

/* When a failed key comes again, by the retry class of its error. */
static const struct retry {
    bool by_backoff;  /* 5 ms * 2^n, but not before at_least_ms */
    int64_t after_ms; /* else: then; 0 = only with the next event or resync */
    int64_t at_least_ms;
    const char *why;
} retries[] = {
    [RETRY_NEVER] = {.why = "only a changed input helps"},
    [RETRY_BACKOFF] = {.by_backoff = true, .at_least_ms = 250, .why = "a server needs time"},
    [RETRY_NOW] = {.by_backoff = true, .why = "our view was stale; it is current in a moment"},
    [RETRY_EVENT] = {.after_ms = 60000, .why = "an event will wake us; this is if it were lost"},
};

/* ---- phases ---- */

/* Our view was stale, and not for the fifth time: nothing that people need to know. */
static bool is_no_news(const struct pass *pass, unsigned failures_before)
{
    return pass->rc < 0 && err_row(pass->rc)->retry == RETRY_NOW &&
           failures_before < FAILURES_UNTIL_NEWS;
}

static bool runs(const struct phase *phase, const struct pass *pass, unsigned failures_before)
{
    if (!pass->root && !(phase->flags & PHASE_GONE))
        return false;
    return pass->rc == 0 || ((phase->flags & PHASE_ALWAYS) && !is_no_news(pass, failures_before));
}

/* The first failure is the pass's; what later phases add to it is less than the cause. */
static void note_failure(struct ctx *ctx, struct pass *pass, const struct phase *phase, int rc,
                         struct err *failure)
{
    if (rc == 0 || pass->rc < 0)
        return;
    *failure = ctx->err;
    pass->rc = rc;
    pass->failure = failure;
    pass->failed_phase = phase;
}

static void run_phases(struct ctx *ctx, struct pass *pass, unsigned failures_before,
                       struct err *failure)
{
    static const struct phase write_status = {.name = "write-status",
                                              .why = "the end of each pass: status, if it changed"};
    for (const struct phase *phase = pass->reconciler->phases; phase->name; phase++)
        if (runs(phase, pass, failures_before))
            note_failure(ctx, pass, phase, phase->run(ctx, pass), failure);
    if (pass->root && !running(pass)->root_is_gone && pass->rc != -ERR_LEASE_LOST &&
        !is_no_news(pass, failures_before))
        note_failure(ctx, pass, &write_status, pass_write_status(ctx, pass), failure);
}

/* ---- result ---- */

static int64_t with_jitter(int64_t ms)
{
    static atomic_uint_fast64_t state = STR_HASH_START;
    uint64_t random = atomic_fetch_add(&state, UINT64_C(0x9e3779b97f4a7c15));
    random ^= random >> 31;
    random *= UINT64_C(0xbf58476d1ce4e5b9);
    int64_t spread = ms * JITTER_PERCENT / 100;
    return spread > 0 ? ms - spread + (int64_t)((random >> 20) % (uint64_t)(spread * 2 + 1)) : ms;
}

static void log_failed(struct ctx *ctx, const struct pass *pass)
{
    const struct phase *phase = pass->failed_phase;
    ctx->err = *pass->failure;
    log_field(ctx, "phase", phase->name);
    log_failure(ctx, arena_printf(ctx->arena, "pass failed (%s)", phase->why));
}

static void look_again_after_failure(struct workqueue *queue, const char *text,
                                     const struct err *failure)
{
    const struct retry *retry = &retries[err_row(failure->code)->retry];
    if (retry->by_backoff) {
        int64_t at_least = failure->retry_after_ms > retry->at_least_ms ? failure->retry_after_ms
                                                                        : retry->at_least_ms;
        workqueue_add_backoff(queue, text, at_least);
        return;
    }
    workqueue_forget(queue, text);
    if (retry->after_ms)
        workqueue_add_after(queue, text, retry->after_ms);
}

static void settle(struct ctx *ctx, struct controller *controller, const struct pass *pass,
                   const char *text)
{
    const char *name = controller->reconciler->name;
    bool waits = pass->rc == -ERR_WAITING; /* no failure: it was said in advance */
    if (pass->rc < 0) {
        log_failed(ctx, pass);
        look_again_after_failure(controller->queue, text, pass->failure);
    } else {
        workqueue_forget(controller->queue, text);
    }
    if (pass->rc < 0 && !waits)
        metric_add(METRIC_RECONCILE_ERRORS, 1, name, pass->failure->reason);
    if (pass->rc < 0 && err_row(pass->rc)->retry == RETRY_NEVER)
        metric_add(METRIC_RECONCILE_TERMINAL, 1, name);
    metric_add(METRIC_RECONCILE_TOTAL, 1, name,
               pass->rc < 0 && !waits         ? "error"
               : pass->requeue_ms || pass->rc ? "requeue_after"
                                              : "success");
    if (pass->requeue_ms)
        workqueue_add_after(controller->queue, text, pass->requeue_ms);
    if (pass->root && controller->reconciler->resync_ms)
        workqueue_add_after(controller->queue, text,
                            with_jitter(controller->reconciler->resync_ms));
}

/* ---- one pass ---- */

static void run_pass(struct ctx *ctx, struct controller *controller, const struct key *key,
                     const char *text)
{
    const char *name = controller->reconciler->name;
    log_field(ctx, "controller", name);
    log_field(ctx, "namespace", key->namespace);
    log_field(ctx, "name", key->name);
    int64_t start_ms = clock_boottime_ms();
    metric_set(METRIC_RECONCILE_ACTIVE, atomic_fetch_add(&controller->active, 1) + 1, name);

    struct err failure = {0};
    struct running_pass running;
    pass_begin(ctx, &running, controller, key);
    run_phases(ctx, &running.pass, workqueue_failures(controller->queue, text), &failure);
    settle(ctx, controller, &running.pass, text);
    pass_end(&running);

    metric_set(METRIC_RECONCILE_ACTIVE, atomic_fetch_sub(&controller->active, 1) - 1, name);
    metric_observe(METRIC_RECONCILE_TIME, (double)(clock_boottime_ms() - start_ms) / 1000, name);
}

/* Not our shard: drop the key. Who acquires a shard looks at all its roots. */
static void run_if_ours(struct arena *arena, struct controller *controller, const char *text)
{
    struct ctx ctx = ctx_make(arena, controller->reconciler->name);
    ctx.deadline_ms = clock_boottime_ms() + PASS_DEADLINE_MS;
    struct key key;
    struct shard_visit visit;
    if (!key_read(text, &key) || !shards_enter(controller->engine->shards,
                                               controller_shard(&ctx, controller, &key), &visit)) {
        workqueue_forget(controller->queue, text);
        return;
    }
    ctx.gate = &visit.gate;
    run_pass(&ctx, controller, &key, text);
    shards_leave(&visit);
}

/* False when the engine stops. A cache without a CRD behind it may never be synced. */
static bool wait_for_caches(struct controller *controller)
{
    while (!atomic_load(&controller->engine->stopping)) {
        if (controller_synced(controller))
            return true;
        clock_sleep_ms(SYNC_POLL_MS);
    }
    return false;
}

void *runner_main(void *arg)
{
    struct controller *controller = arg;
    struct arena *arena = arena_new();
    char text[WORKQUEUE_KEY_BYTES];
    /* No decision from a cache that may lack what exists: see also the fences of each write. */
    while (wait_for_caches(controller) && workqueue_take(controller->queue, text)) {
        run_if_ours(arena, controller, text);
        workqueue_done(controller->queue, text);
        arena_reset(arena);
    }
    arena_free(arena);
    return NULL;
}
