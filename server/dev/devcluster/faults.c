#include "server/dev/devcluster/faults.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/status.h"

enum { BODY_MAX_BYTES = 1 << 20 };

static bool fits(const json_t *row, const char *key, const char *value)
{
    const char *want = json_string_value(json_object_get(row, key));
    return !want || str_equal(want, value);
}

/* The first row that fires now; counts in all that fit. */
static const json_t *fire(struct devcluster *cluster, const char *verb, const char *resource,
                          const char *name)
{
    const json_t *fired = NULL;
    bool is_event = str_equal(verb, "event");
    size_t at;
    json_t *row;
    json_array_foreach(cluster->faults, at, row) {
        bool of_events = str_equal(json_str(row, "verb"), "event");
        if (of_events != is_event || !fits(row, "verb", verb) || !fits(row, "resource", resource) ||
            !fits(row, "name", name))
            continue;
        int64_t seen = json_int_or(row, "seen", 0) + 1;
        json_object_set_new(row, "seen", json_integer(seen));
        if (!fired && seen == json_int_or(row, "nth", 1))
            fired = row;
    }
    return fired;
}

/* ---- requests ---- */

static int refuse_row(struct call *call, const json_t *row)
{
    call->retry_after_s = (int)json_int_or(row, "seconds", 0);
    return refuse(call, json_str_or(row, "reason", "InternalError"), "a fault of the table: %s",
                  json_str_or(row, "reason", "InternalError"));
}

/* Others go on meanwhile. */
static int wait(struct call *call, const json_t *row)
{
    int64_t ms = json_int_or(row, "ms", 1000);
    pthread_mutex_unlock(&call->cluster->lock);
    clock_sleep_ms(ms);
    pthread_mutex_lock(&call->cluster->lock);
    return 0;
}

static int cut(struct call *call, const json_t *row)
{
    (void)row;
    call->cut = true;
    return 0;
}

static int stale(struct call *call, const json_t *row)
{
    (void)row;
    call->stale = true;
    return 0;
}

static int reorder(struct call *call, const json_t *row)
{
    (void)row;
    call->reordered = true;
    return 0;
}

static const struct {
    const char *name;
    int (*act)(struct call *call, const json_t *row); /* NULL: of an event, by watch.c */
} actions[] = {{"refuse", refuse_row}, {"slow", wait}, {"cut", cut},    {"stale", stale},
               {"reorder", reorder},   {"drop", NULL}, {"expire", NULL}};

static const struct {
    const char *method, *named, *collection; /* the verb with a name, and without */
} verbs[] = {{"GET", "get", "list"},
             {"POST", "create", "create"},
             {"PUT", "update", "update"},
             {"PATCH", "patch", "patch"},
             {"DELETE", "delete", "deletecollection"}};

static const char *verb_of(const struct call *call)
{
    for (size_t at = 0; at < ARRAY_SIZE(verbs); at++)
        if (str_equal(verbs[at].method, call->method)) {
            bool watched = call_query(call, "watch") && !call->name;
            return watched ? "watch" : call->name ? verbs[at].named : verbs[at].collection;
        }
    return "";
}

int faults_request(struct call *call)
{
    const json_t *row = json_array_size(call->cluster->faults)
                            ? fire(call->cluster, verb_of(call), call->kind->plural, call->name)
                            : NULL;
    for (size_t at = 0; row && at < ARRAY_SIZE(actions); at++)
        if (actions[at].act && str_equal(actions[at].name, json_str(row, "action")))
            return actions[at].act(call, row);
    return 0;
}

const char *faults_event(struct devcluster *cluster, const struct kind *kind, const json_t *object)
{
    if (!json_array_size(cluster->faults))
        return NULL;
    return json_str(fire(cluster, "event", kind->plural, json_str(object, "metadata.name")),
                    "action");
}

json_t *faults_stale(const struct kind *kind, json_t *object)
{
    for (size_t at = kind->home->changed; at-- > 0;)
        if (kind->home->changes[at].after == object)
            return kind->home->changes[at].before;
    return object;
}

/* ---- the table ---- */

static bool is_action(const char *name)
{
    for (size_t at = 0; at < ARRAY_SIZE(actions); at++)
        if (str_equal(actions[at].name, name))
            return true;
    return false;
}

int faults_table(struct call *call)
{
    json_t *rows = NULL, *row;
    size_t at;
    if (str_equal(call->method, "GET")) {
        call->answer =
            arena_json(call->ctx.arena, json_pack("{s:O}", "rows", call->cluster->faults));
        return 0;
    }
    if (json_parse(&call->ctx, call->body, call->body_bytes, BODY_MAX_BYTES, &rows) < 0 ||
        !json_is_array(rows))
        return refuse(call, "BadRequest", "the table is a list of rows");
    json_array_foreach(rows, at, row)
        if (!is_action(json_str(row, "action")))
            return refuse(call, "BadRequest", "row %zu has no action that there is", at);
    json_decref(call->cluster->faults);
    call->cluster->faults = json_incref(rows);
    call->answer = arena_json(call->ctx.arena, json_pack("{s:O}", "rows", rows));
    return 0;
}
