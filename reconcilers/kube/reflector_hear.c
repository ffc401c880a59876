/* The state machine of list and watch, second half: events and pages go into the store, and those
 * who listen hear of them. */
#include "reconcilers/kube/client.h"
#include "reconcilers/kube/reflector.h"
#include "reconcilers/kube/store.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/log.h"
#include "server/net/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define MARKER "k8s.io/initial-events-end"
#define REASON_SET_BACK "HistorySetBack" /* in the log and in the metric */

static void set_version(struct reflector *reflector, const char *version)
{
    if (!str_equal(version, reflector->version))
        reflector->unreadable = 0;
    snprintf(reflector->version, sizeof reflector->version, "%s", version ? version : "");
}

static void tell(struct reflector *reflector, const json_t *object, enum kube_change change)
{
    if (reflector->options.on_event)
        reflector->options.on_event(reflector->options.on_event_arg, reflector->options.kind,
                                    object, change);
}

static void count_objects(const struct reflector *reflector)
{
    metric_set(METRIC_CACHE_OBJECTS, (double)store_count(reflector->options.store),
               kube_kind_row(reflector->options.kind)->kind);
}

/* Why there was a full list. It may find itself that the server went back: true. */
static bool tell_cause(struct reflector *reflector, const char *version)
{
    const struct kube_kind_row *kind = kube_kind_row(reflector->options.kind);
    bool rollback = reflector->set_back || kube_version_compare(version, reflector->version) < 0;
    if (rollback)
        log_warn(&reflector->ctx,
                 REASON_SET_BACK ": the server went back behind version %s of %s, as a restore "
                                 "does: only what it lists at %s counts",
                 reflector->version, kind->plural, version);
    metric_add(METRIC_CACHE_RELISTS, 1, kind->kind, rollback ? REASON_SET_BACK : reflector->cause);
    return rollback;
}

/* The shadow is whole: it becomes the store, and everybody hears what that changed. */
static void finish_sync(struct reflector *reflector, const char *version)
{
    struct store_change *changes;
    bool rollback = tell_cause(reflector, version);
    size_t count = store_swap(reflector->options.store, version, rollback, &changes);
    set_version(reflector, version);
    reflector->state = LIVE;
    reflector->set_back = false;
    reflector->unreadable = 0;
    reflector->synced_ms = clock_boottime_ms();
    str_clear(&reflector->next_page);
    count_objects(reflector);
    for (size_t at = 0; at < count; at++) {
        struct entry *entry = changes[at].entry;
        json_t *object = NULL;
        if (json_parse(&reflector->ctx, entry->text, entry->text_bytes, FRAME_MAX_BYTES, &object) ==
            0)
            tell(reflector, object, changes[at].deleted ? KUBE_DELETED : KUBE_LISTED);
        entry_release(entry);
        arena_reset(reflector->arena);
    }
    free(changes);
    if (reflector->options.on_synced)
        reflector->options.on_synced(reflector->options.connect_arg);
}

/* Ends the connection: returns false for the sink. */
static bool stop(struct reflector *reflector, enum reflector_verdict verdict)
{
    reflector->verdict = verdict;
    return false;
}

/* Counted each time; told once per connection, as somebody may write such objects all day. */
static void skip(struct reflector *reflector, const char *reason, const char *what)
{
    const char *kind = kube_kind_row(reflector->options.kind)->kind;
    metric_add(METRIC_CACHE_SKIPPED, 1, kind, reason);
    if (!reflector->skip_logged)
        log_warn(&reflector->ctx, "%s: a %s is left out of the cache: %s", reason, kind, what);
    reflector->skip_logged = reflector->partial = true;
}

static void skip_full(struct reflector *reflector, const json_t *object)
{
    skip(reflector, "NamespaceFull",
         arena_printf(reflector->arena, "namespace %s has more than %d bytes of them",
                      json_str_or(object, "metadata.namespace", ""), STORE_NAMESPACE_MAX_BYTES));
}

static bool on_object(struct reflector *reflector, json_t *object, bool deleted)
{
    const char *version = json_str(object, "metadata.resourceVersion");
    struct store *store = reflector->options.store;
    if (!json_str(object, "metadata.name") || !version)
        return stop(reflector, ENDED_UNREADABLE);
    client_strip(object);
    if (reflector->state != LIVE) {
        if (deleted)
            store_shadow_remove(store, object);
        else if (!store_shadow_add(store, object))
            skip_full(reflector, object);
        return true;
    }
    if (kube_version_compare(version, reflector->version) < 0)
        return stop(reflector, ENDED_ROLLBACK);
    enum store_answer answer = store_event(store, object, deleted);
    if (answer == STORE_FULL)
        skip_full(reflector, object);
    if (answer != STORE_OUTDATED)
        tell(reflector, object, deleted ? KUBE_DELETED : KUBE_CHANGED);
    set_version(reflector, version);
    count_objects(reflector);
    return true;
}

static bool on_present(struct reflector *reflector, json_t *object)
{
    return on_object(reflector, object, false);
}

static bool on_deleted(struct reflector *reflector, json_t *object)
{
    return on_object(reflector, object, true);
}

static bool on_bookmark(struct reflector *reflector, json_t *object)
{
    const char *marker = kube_annotation(object, MARKER);
    const char *version = json_str(object, "metadata.resourceVersion");
    if (!version)
        return stop(reflector, ENDED_UNREADABLE);
    if (reflector->state == SYNC_STREAM) {
        if (!str_equal(marker, "true")) /* the server ignores what we asked for */
            return stop(reflector, ENDED_UNSUPPORTED);
        finish_sync(reflector, arena_strdup(reflector->arena, version));
        return true;
    }
    if (kube_version_compare(version, reflector->version) < 0)
        return stop(reflector, ENDED_ROLLBACK);
    set_version(reflector, version);
    return true;
}

/* A Status, from an ERROR event or a body. 504: the server does not know the version asked yet. */
enum reflector_verdict reflector_judge(const struct reflector *reflector, int64_t code)
{
    if (code == 410 || (code == 504 && reflector->state == LIVE))
        return ENDED_EXPIRED;
    if ((code == 400 || code == 422) && reflector->state == SYNC_STREAM)
        return ENDED_UNSUPPORTED;
    return ENDED_FAILED;
}

static bool on_error(struct reflector *reflector, json_t *status)
{
    log_debug(&reflector->ctx, "watch ended by the server: %s", json_str_or(status, "message", ""));
    return stop(reflector, reflector_judge(reflector, json_int_or(status, "code", 0)));
}

static const struct {
    const char *type;
    bool (*handle)(struct reflector *reflector, json_t *object);
} event_types[] = {
    {"ADDED", on_present},     {"MODIFIED", on_present}, {"DELETED", on_deleted},
    {"BOOKMARK", on_bookmark}, {"ERROR", on_error},
};

static void on_too_large(struct reflector *reflector, size_t bytes)
{
    skip(reflector, "TooLarge",
         arena_printf(reflector->arena, "it has %zu bytes, more than %d", bytes, FRAME_MAX_BYTES));
    reflector->events++;
    reflector->outdated |= reflector->state == LIVE;
}

static bool must_resync(const struct reflector *reflector)
{
    return reflector->outdated && reflector->state == LIVE &&
           clock_boottime_ms() - reflector->synced_ms >= reflector->options.timing->resync_ms;
}

static bool on_frame(void *arg, const char *text, size_t bytes)
{
    struct reflector *reflector = arg;
    json_t *event = NULL;
    if (!text)
        on_too_large(reflector, bytes);
    if (must_resync(reflector))
        return stop(reflector, ENDED_SKIPPED);
    if (!text)
        return true;
    if (client_parse(&reflector->ctx, text, bytes, FRAME_MAX_BYTES, &event) < 0)
        return stop(reflector, ENDED_UNREADABLE);
    size_t at = 0;
    while (at < ARRAY_SIZE(event_types) &&
           !str_equal(event_types[at].type, json_str(event, "type")))
        at++;
    if (at == ARRAY_SIZE(event_types))
        return stop(reflector, ENDED_UNREADABLE);
    reflector->events++;
    reflector->logged_status = REFLECTOR_NOTHING_LOGGED;
    bool more = event_types[at].handle(reflector, json_object_get(event, "object"));
    arena_reset(reflector->arena);
    return more;
}

bool reflector_data(void *arg, const char *bytes, size_t count)
{
    struct reflector *reflector = arg;
    if (reflector->state == SYNC_LIST || reflector->state == PROBE) {
        str_add_bytes(&reflector->page, bytes, count);
        if (reflector->page.overflow)
            return stop(reflector, reflector->page_limit > 1 ? ENDED_PAGE_LARGE : ENDED_UNREADABLE);
        return true;
    }
    if (frames_feed(&reflector->frames, bytes, count, on_frame, reflector))
        return true;
    if (reflector->verdict == ENDED_CLEAN) /* the splitter's own refusal */
        reflector->verdict = ENDED_UNREADABLE;
    return false;
}

static void add_items(struct reflector *reflector, const json_t *page)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(page, "items"), index, item) {
        client_strip(item);
        client_name_kind(item, reflector->options.kind);
        if (!store_shadow_add(reflector->options.store, item))
            skip_full(reflector, item);
    }
}

/*
 * A whole page came. Of a list: into the shadow, and after the last one the store is whole. Of a
 * probe: it says where the server stands.
 */
enum reflector_verdict reflector_read_page(struct reflector *reflector)
{
    json_t *page = NULL;
    client_parse(&reflector->ctx, str_text(&reflector->page), reflector->page.length,
                 REFLECTOR_PAGE_MAX_BYTES, &page);
    str_done(&reflector->page);
    const char *version = json_str(page, "metadata.resourceVersion");
    if (!version)
        return ENDED_UNREADABLE;
    if (reflector->state == PROBE) {
        reflector->state = LIVE;
        return kube_version_compare(version, reflector->version) < 0 ? ENDED_ROLLBACK : ENDED_PAGE;
    }
    reflector->logged_status = REFLECTOR_NOTHING_LOGGED;
    add_items(reflector, page);
    str_clear(&reflector->next_page);
    str_add(&reflector->next_page, json_str_or(page, "metadata.continue", ""));
    if (!reflector->next_page.length)
        finish_sync(reflector, arena_strdup(reflector->arena, version));
    return ENDED_PAGE;
}
