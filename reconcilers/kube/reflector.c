/* The state machine of list and watch, first half: what to ask, and what each end of a connection
 * leads to. What comes in between is in reflector_hear.c. */
#include "reconcilers/kube/reflector.h"

#include "reconcilers/kube/path.h"
#include "reconcilers/kube/store.h"
#include "server/adapters/crypto.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/log.h"

#include <stdio.h>
#include <string.h>

enum {
    QUICK_MAX = 3,
    SHORT_STREAM_MS = 1000,
    CONTINUE_MAX_BYTES = 64 << 10,
    BACKOFF_STEPS_MAX = 16
};

const struct reflector_timing reflector_default_timing = {.backoff_ms = 800,
                                                          .backoff_max_ms = 30000,
                                                          .healthy_ms = 10000,
                                                          .watch_min_s = 300,
                                                          .watch_max_s = 600,
                                                          .resync_ms = 60000};

void reflector_init(struct reflector *reflector, const struct reflector_options *options)
{
    *reflector = (struct reflector){.options = *options,
                                    .arena = arena_new(),
                                    .cause = "start",
                                    .page_limit = REFLECTOR_PAGE_LIMIT,
                                    .logged_status = REFLECTOR_NOTHING_LOGGED};
    reflector->ctx = ctx_make(reflector->arena, "watch");
    log_field(&reflector->ctx, "kind", kube_kind_row(options->kind)->kind);
    frames_init(&reflector->frames);
    str_init(&reflector->page, REFLECTOR_PAGE_MAX_BYTES);
    str_init(&reflector->next_page, CONTINUE_MAX_BYTES);
}

void reflector_done(struct reflector *reflector)
{
    frames_done(&reflector->frames);
    str_done(&reflector->page);
    str_done(&reflector->next_page);
    arena_free(reflector->arena);
}

static int choose(int low, int high)
{
    unsigned random;
    crypto_random(&random, sizeof random);
    return low + (int)(random % (unsigned)(high - low + 1));
}

static char *make_path(struct reflector *reflector)
{
    struct ctx *ctx = &reflector->ctx;
    const struct reflector_options *options = &reflector->options;
    char *path = path_object(ctx, options->kind, options->namespace, NULL, NULL);
    path = path_query(ctx, path, "labelSelector", options->label_selector);
    if (reflector->state == SYNC_LIST || reflector->state == PROBE) {
        int limit = reflector->state == PROBE ? 1 : reflector->page_limit;
        path = path_query(ctx, path, "limit", arena_printf(ctx->arena, "%d", limit));
        return path_query(ctx, path, "continue",
                          reflector->next_page.length ? reflector->next_page.data : NULL);
    }
    int seconds = choose(options->timing->watch_min_s, options->timing->watch_max_s);
    path = path_query(ctx, path, "watch", "1");
    path = path_query(ctx, path, "allowWatchBookmarks", "true");
    path = path_query(ctx, path, "timeoutSeconds", arena_printf(ctx->arena, "%d", seconds));
    if (reflector->state == LIVE)
        return path_query(ctx, path, "resourceVersion", reflector->version);
    /* Without a version: at least as new as the moment of asking, also after a restore. */
    path = path_query(ctx, path, "sendInitialEvents", "true");
    return path_query(ctx, path, "resourceVersionMatch", "NotOlderThan");
}

static void ask(struct reflector *reflector, int delay_ms)
{
    frames_clear(&reflector->frames);
    str_clear(&reflector->page);
    reflector->verdict = ENDED_CLEAN;
    reflector->events = 0;
    reflector->skip_logged = false;
    reflector->started_ms = clock_boottime_ms() + delay_ms;
    if (reflector->state == SYNC_STREAM || !reflector->next_page.length)
        store_shadow_clear(reflector->options.store);
    arena_reset(reflector->arena);
    const char *path = make_path(reflector);
    /* The last thing: from here on the reflector belongs to the thread that answers. */
    reflector->options.connect(reflector->options.connect_arg, path, delay_ms);
}

void reflector_start(struct reflector *reflector)
{
    reflector->state = SYNC_STREAM;
    ask(reflector, 0);
}

static void begin_sync(struct reflector *reflector, enum reflector_state how, const char *cause)
{
    if (cause)
        reflector->cause = cause;
    reflector->state = how;
    reflector->partial = reflector->outdated = false;
    str_clear(&reflector->next_page);
}

/* The delay before the next try, and one more failure. */
static int back_off(struct reflector *reflector)
{
    const struct reflector_timing *timing = reflector->options.timing;
    int64_t delay = timing->backoff_ms;
    for (int step = 0; step < reflector->failures && delay < timing->backoff_max_ms; step++)
        delay *= 2;
    if (reflector->failures < BACKOFF_STEPS_MAX)
        reflector->failures++;
    delay = delay * choose(75, 125) / 100; /* so that not all come back at the same time */
    return (int)(delay < timing->backoff_max_ms ? delay : timing->backoff_max_ms);
}

/* No delay, unless ends that allow that follow each other too fast. A page is progress. */
static int hurry(struct reflector *reflector)
{
    if (reflector->verdict == ENDED_PAGE || reflector->verdict == ENDED_PAGE_LARGE)
        return 0;
    if (++reflector->quick > QUICK_MAX)
        return back_off(reflector);
    reflector->failures = 0;
    return 0;
}

/* Once per change of what the server says, not once per try. */
static void log_once(struct reflector *reflector, int status, const char *body, const char *what)
{
    if (status == reflector->logged_status || (status == 404 && reflector->options.optional))
        return;
    reflector->logged_status = status;
    json_t *answer = NULL;
    json_parse(&reflector->ctx, body, strlen(body), FRAME_MAX_BYTES, &answer);
    log_warn(&reflector->ctx, "cannot watch %s: %s (HTTP %d)",
             kube_kind_row(reflector->options.kind)->plural,
             json_str_or(answer, "message", what ? what : "refused"), status);
}

/*
 * What each verdict leads to: sets the state, and says whether the next connection may follow at
 * once. The store is kept: old data stays readable meanwhile.
 */
static bool react(struct reflector *reflector, int status, int64_t lived_ms)
{
    bool was_live = reflector->state == LIVE || reflector->state == PROBE;
    switch (reflector->verdict) {
    case ENDED_PAGE:
        reflector->page_limit *= 2;
        if (reflector->page_limit > REFLECTOR_PAGE_LIMIT)
            reflector->page_limit = REFLECTOR_PAGE_LIMIT;
        return true;
    case ENDED_PAGE_LARGE:
        reflector->page_limit /= 2;
        return true;
    case ENDED_CLEAN:
        if (was_live && reflector->partial)
            begin_sync(reflector, SYNC_STREAM, "skipped");
        return reflector->events || lived_ms >= SHORT_STREAM_MS;
    case ENDED_FAILED:
        if (reflector->state == LIVE &&
            (status == 0 || status >= 500)) /* or what stands before it */
            reflector->state = PROBE;
        else if (was_live && status == 200 && reflector->events == 0)
            begin_sync(reflector, SYNC_STREAM, "error"); /* not even a bookmark came */
        return false;
    case ENDED_SKIPPED:
        begin_sync(reflector, SYNC_STREAM, "skipped");
        return true;
    case ENDED_EXPIRED:
        begin_sync(reflector, SYNC_STREAM, was_live ? "expired" : NULL);
        return true;
    case ENDED_ROLLBACK:
        reflector->set_back = true;
        begin_sync(reflector, SYNC_STREAM, NULL); /* finish_sync() names the cause */
        return true;
    case ENDED_UNREADABLE:
        if (!was_live || ++reflector->unreadable >= 2)
            begin_sync(reflector, SYNC_STREAM, was_live ? "error" : NULL);
        return false;
    case ENDED_UNSUPPORTED:
        begin_sync(reflector, SYNC_LIST, NULL);
        return true;
    }
    return false;
}

void reflector_end(void *arg, int status, const char *body, const char *what)
{
    struct reflector *reflector = arg;
    int64_t lived_ms = clock_boottime_ms() - reflector->started_ms;
    bool of_pages = reflector->state == SYNC_LIST || reflector->state == PROBE;
    bool ok = status >= 200 && status <= 299;
    if (!ok)
        reflector->verdict = reflector_judge(reflector, status);
    else if (what && reflector->verdict == ENDED_CLEAN)
        reflector->verdict = ENDED_FAILED;
    else if (of_pages && reflector->verdict == ENDED_CLEAN)
        reflector->verdict = reflector_read_page(reflector);

    if (!ok && reflector->verdict == ENDED_FAILED)
        log_once(reflector, status, body, what);
    else if (reflector->verdict == ENDED_UNREADABLE)
        log_once(reflector, status, "", "what it sends cannot be read");
    if (lived_ms >= reflector->options.timing->healthy_ms)
        reflector->failures = reflector->quick = 0;
    ask(reflector, react(reflector, status, lived_ms) ? hurry(reflector) : back_off(reflector));
}
