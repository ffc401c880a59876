#include "server/dev/devcluster/watch.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/faulty.h"
#include "server/dev/devcluster/lists.h"
#include "server/dev/devcluster/selectors.h"
#include "server/dev/devcluster/status.h"
#include "server/dev/devcluster/store.h"
#include "server/dev/devcluster/table.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LOOK_MS = 500, /* between two looks at whether the client is still there */
    BOOKMARK_MS = 60000,
    TIMEOUT_DEFAULT_S = 1800,
    FRAMES_MAX_BYTES = 64 << 20,
};

struct watch {
    struct devcluster *cluster;
    struct kind *kind;
    struct arena *arena; /* of one block of frames */
    struct arena *own;   /* of these: */
    const char *namespace, *labels, *fields, *client;
    struct table_form form;
    int fd;
    bool bookmarks, cut, whole;             /* whole: heads and texts do not do */
    uint64_t version;                       /* all up to this was sent */
    int64_t end_ms, bookmark_ms, expire_ms; /* expire_ms: 0 = never */
    struct str frames;                      /* written, not yet taken */
    size_t taken;
};

/* ---- frames ---- */

static void add_frame(struct watch *watch, const char *type, const char *object)
{
    str_printf(&watch->frames, "{\"type\":\"%s\",\"object\":", type);
    str_add(&watch->frames, object);
    str_add(&watch->frames, "}\n");
}

static void add_object(struct watch *watch, const char *type, json_t *shown)
{
    shown = table_form_object(watch->arena, watch->kind, &watch->form, shown);
    add_frame(watch, type, json_text(watch->arena, shown));
}

static void add_bookmark(struct watch *watch, bool initial_end)
{
    json_t *metadata =
        json_pack("{s:s}", "resourceVersion", store_version(watch->arena, watch->version));
    if (initial_end)
        json_object_set_new(metadata, "annotations",
                            json_pack("{s:s}", "k8s.io/initial-events-end", "true"));
    json_t *object = json_pack("{s:s, s:s, s:o}", "kind", watch->kind->name, "apiVersion",
                               watch->kind->api_version, "metadata", metadata);
    add_object(watch, "BOOKMARK", arena_json(watch->arena, object));
    watch->bookmark_ms = clock_boottime_ms() + BOOKMARK_MS;
}

/* What the selection sees of it, or NULL when it leaves it out. */
static json_t *seen(struct watch *watch, const json_t *told)
{
    const struct selector selector = {watch->labels, watch->fields};
    const char *namespace = json_str(told, "metadata.namespace");
    if (!told || (watch->namespace && !str_equal(namespace, watch->namespace)))
        return NULL;
    json_t *shown = (json_t *)(uintptr_t)told;
    if (watch->whole)
        shown = present_object(watch->arena, watch->kind, store_recall(watch->arena, told));
    return selector_matches(watch->arena, &selector, shown) ? shown : NULL;
}

static void add_expired(struct watch *watch)
{
    struct call call = {.ctx = ctx_make(watch->arena, "devcluster")};
    (void)refuse(&call, "Expired", "too old resource version: %s (%s)",
                 store_version(watch->arena, watch->version),
                 store_version(watch->arena, watch->kind->home->forgotten));
    add_frame(watch, "ERROR", json_text(watch->arena, status_failure(&call)));
    watch->end_ms = 0;
}

/* Of what left the selection the last state is told, with the version at which it left. */
static void add_left(struct watch *watch, const struct change *change)
{
    json_t *last = store_recall(watch->arena, change->before);
    json_put(last, "metadata.resourceVersion",
             json_string(store_version(watch->arena, change->version)));
    add_object(watch, "DELETED", present_object(watch->arena, watch->kind, last));
}

/* What the watcher is told of a change; false: nothing of it is his. */
static bool add_change(struct watch *watch, const struct change *change)
{
    bool deleted = str_equal(change->type, "DELETED");
    const json_t *before = seen(watch, change->before), *after = seen(watch, change->after);
    const char *type = deleted ? "DELETED" : before ? "MODIFIED" : "ADDED";
    if (deleted ? !before : !after && !before)
        return false;
    if (!deleted && !after)
        add_left(watch, change);
    else if (watch->whole)
        add_object(
            watch, type,
            present_object(watch->arena, watch->kind, store_recall(watch->arena, change->after)));
    else
        add_frame(watch, type, json_str(change->after, "text"));
    return true;
}

/* The same under the fault table. */
static void tell_change(struct watch *watch, const struct change *change)
{
    size_t length = watch->frames.length;
    if (!add_change(watch, change))
        return;
    const struct fault fault =
        faulty_event(watch->arena, watch->cluster, watch->client, watch->kind, change->after);
    if (fault.action == FAULT_CUT) {
        watch->cut = true;
        watch->end_ms = 0;
        length += (watch->frames.length - length) / 2;
    }
    if (fault.action != FAULT_NONE)
        watch->frames.length = length;
    if (fault.action == FAULT_DROP && fault.ms)
        watch->expire_ms = clock_boottime_ms() + fault.ms;
    if (fault.action == FAULT_EXPIRE)
        add_expired(watch);
}

static void add_all(struct watch *watch, struct call *call, const struct selector *selector)
{
    watch->version = watch->cluster->version;
    json_t *items = lists_items(call, selector, &watch->version), *item;
    size_t at;
    json_array_foreach(items, at, item)
        add_object(watch, "ADDED", item);
}

/* What happened since; the lock is held. */
static void follow(struct watch *watch)
{
    const struct kind *kind = watch->kind->home;
    if (watch->version < kind->forgotten) {
        add_expired(watch); /* a slow reader, or one who comes too late: the stream tells both */
        return;
    }
    const struct change *older = NULL, *from = NULL;
    while ((older = store_older(kind, older)) && older->version > watch->version)
        from = older;
    for (; from && watch->end_ms && !watch->frames.overflow; from = from->next)
        tell_change(watch, from);
    watch->version = watch->cluster->version;
}

/* ---- the stream ---- */

static const char *keep(struct watch *watch, const char *text)
{
    return text ? arena_strdup(watch->own, text) : NULL;
}

static int check_initial(struct call *call)
{
    const char *match = call_query(call, "resourceVersionMatch");
    const char *asked = call_query(call, "sendInitialEvents");
    if (asked && !str_equal(match, "NotOlderThan"))
        return refuse_options(
            call, "ListOptions", "resourceVersionMatch", "FieldValueForbidden",
            "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    if (match && !asked)
        return refuse_options(call, "ListOptions", "resourceVersionMatch", "FieldValueForbidden",
                              "Forbidden: resourceVersionMatch is forbidden for watch unless "
                              "sendInitialEvents is provided");
    return 0;
}

static struct watch *watch_new(struct call *call, const struct selector *selector)
{
    struct watch *watch = calloc(1, sizeof *watch);
    int64_t seconds;
    if (!watch)
        abort();
    const char *timeout = call_query(call, "timeoutSeconds");
    if (!timeout || !str_to_int(timeout, 0, INT32_MAX, &seconds))
        seconds = TIMEOUT_DEFAULT_S; /* as the server does */
    *watch = (struct watch){
        .cluster = call->cluster,
        .kind = call->kind,
        .arena = arena_new(),
        .own = arena_new(),
        .fd = MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                  ->connect_fd,
        .bookmarks = call_flag(call, "allowWatchBookmarks"),
        .end_ms = clock_boottime_ms() + seconds * 1000,
        .bookmark_ms = clock_boottime_ms() + BOOKMARK_MS,
    };
    watch->namespace = keep(watch, call->namespace);
    watch->labels = keep(watch, selector->labels);
    watch->fields = keep(watch, selector->fields);
    watch->client = keep(watch, call_header(call, "User-Agent"));
    str_init(&watch->frames, FRAMES_MAX_BYTES);
    return watch;
}

int watch_open(struct call *call)
{
    struct selector selector;
    struct table_form form;
    uint64_t version;
    TRY(selector_of(call, &selector));
    TRY(table_form_of(call, &form));
    TRY(check_initial(call));
    TRY(lists_version(call, &version));
    struct watch *watch = watch_new(call, &selector);
    watch->form = form;
    watch->whole = selector.fields || form.form != FORM_PLAIN || call->kind->home != call->kind;
    watch->version = version;
    bool initial = call_flag(call, "sendInitialEvents");
    if (initial || !version)
        add_all(watch, call, &selector);
    if (initial && watch->bookmarks)
        add_bookmark(watch, true);
    call->watch = watch;
    call->type = form.content_type;
    return 0;
}

static bool client_left(const struct watch *watch)
{
    char byte;
    ssize_t got = recv(watch->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

/* Waits until there is something to send; false when the stream is over. */
static bool fill(struct watch *watch)
{
    struct devcluster *cluster = watch->cluster;
    bool over = !watch->end_ms; /* it has heard why */
    pthread_mutex_lock(&cluster->lock);
    while (!watch->frames.length && !over) {
        follow(watch);
        int64_t now_ms = clock_boottime_ms();
        if (watch->expire_ms && now_ms >= watch->expire_ms)
            add_expired(watch);
        over = cluster->stopping || !watch->kind->served || now_ms >= watch->end_ms;
        if (watch->bookmarks && now_ms >= watch->bookmark_ms)
            add_bookmark(watch, false);
        if (watch->frames.length || over)
            break;
        struct timespec until = clock_until(LOOK_MS);
        over = pthread_cond_timedwait(&watch->kind->home->news, &cluster->lock, &until) != 0 &&
               client_left(watch);
    }
    pthread_mutex_unlock(&cluster->lock);
    return watch->frames.length > 0;
}

ssize_t watch_read(void *arg, uint64_t position, char *out, size_t bytes)
{
    struct watch *watch = arg;
    (void)position;
    if (watch->taken == watch->frames.length) {
        str_clear(&watch->frames);
        arena_reset(watch->arena);
        watch->taken = 0;
        if (watch->cut || !fill(watch))
            return watch->cut ? MHD_CONTENT_READER_END_WITH_ERROR
                              : MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t left = watch->frames.length - watch->taken;
    size_t count = left < bytes ? left : bytes;
    memcpy(out, watch->frames.data + watch->taken, count);
    watch->taken += count;
    return (ssize_t)count;
}

void watch_free(void *arg)
{
    struct watch *watch = arg;
    str_done(&watch->frames);
    arena_free(watch->arena);
    arena_free(watch->own);
    free(watch);
}
