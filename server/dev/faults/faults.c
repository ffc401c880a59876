#include "server/dev/faults/faults.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TABLE_MAX_BYTES = 1 << 20 };
#define EVENT "event"

struct faults {
    json_t *rows;
    size_t earlier; /* rows of the tables before */
    json_t *met;    /* "CLIENT VERB RESOURCE NAMESPACE" -> how often */
};

static const struct action {
    const char *name;
    enum fault_action action;
    bool of_requests, of_events;
    bool waits; /* until an answer is another one by it */
} actions[] = {
    {"refuse", FAULT_REFUSE, true, false, false},  {"slow", FAULT_SLOW, true, false, false},
    {"cut", FAULT_CUT, true, true, false},         {"stale", FAULT_STALE, true, false, true},
    {"reorder", FAULT_REORDER, true, false, true}, {"drop", FAULT_DROP, false, true, false},
    {"expire", FAULT_EXPIRE, false, true, false},
};

static const struct {
    const char *name;
    int http;
} reasons[] = {
#define REASON(name, http, ...) {name, http},
#include "server/dev/faults/reasons.def"
#undef REASON
};

static const struct {
    const char *method, *named, *collection; /* the verb with a name, and without */
} verbs[] = {{"GET", "get", "list"},
             {"POST", "create", "create"},
             {"PUT", "update", "update"},
             {"PATCH", "patch", "patch"},
             {"DELETE", "delete", "deletecollection"}};

struct faults *faults_new(void)
{
    struct faults *faults = calloc(1, sizeof *faults);
    if (!faults)
        abort();
    faults->rows = json_array();
    faults->met = json_object();
    return faults;
}

void faults_free(struct faults *faults)
{
    if (!faults)
        return;
    json_decref(faults->rows);
    json_decref(faults->met);
    free(faults);
}

bool faults_flag(const char *value)
{
    return value && !str_equal(value, "0") && strcasecmp(value, "false") != 0;
}

const char *faults_verb(const char *method, bool named, bool watched)
{
    for (size_t at = 0; at < ARRAY_SIZE(verbs); at++)
        if (str_equal(verbs[at].method, method))
            return watched ? "watch" : named ? verbs[at].named : verbs[at].collection;
    return "";
}

/* ---- what fires ---- */

static bool fits(const json_t *row, const char *key, const char *value)
{
    const char *want = json_str(row, key);
    return !want || str_equal(want, value);
}

static bool is_in(const json_t *row, const char *namespace)
{
    const char *glob = json_str(row, "namespace");
    return !glob || fnmatch(glob, namespace ? namespace : "", 0) == 0;
}

static void count(json_t *of, const char *key)
{
    json_int_t before = json_integer_value(json_object_get(of, key));
    json_object_set_new(of, key, json_integer(before + 1));
}

static bool row_fits(const json_t *row, const struct occasion *occasion)
{
    bool of_events = str_equal(json_str(row, "verb"), EVENT);
    return of_events == str_equal(occasion->verb, EVENT) && fits(row, "client", occasion->client) &&
           fits(row, "verb", occasion->verb) && fits(row, "resource", occasion->resource) &&
           is_in(row, occasion->namespace) && fits(row, "name", occasion->name);
}

/* NULL: there is no such action for what the row fits. */
static const struct action *action_of(const json_t *row)
{
    bool of_events = str_equal(json_str(row, "verb"), EVENT);
    for (size_t at = 0; at < ARRAY_SIZE(actions); at++)
        if (str_equal(actions[at].name, json_str(row, "action")) &&
            (of_events ? actions[at].of_events : actions[at].of_requests))
            return &actions[at];
    return NULL;
}

static bool is_due(const json_t *row)
{
    json_int_t over = json_int_or(row, "seen", 0) - json_int_or(row, "nth", 1);
    return over == 0 || (over > 0 && action_of(row)->waits && !json_object_get(row, "hit"));
}

/* The first row that fires now, or has none; counts in all that fit. */
static size_t fire(struct faults *faults, const struct occasion *occasion)
{
    size_t at, fired = json_array_size(faults->rows);
    json_t *row;
    json_array_foreach(faults->rows, at, row) {
        if (!row_fits(row, occasion))
            continue;
        count(row, "seen");
        if (at < fired && is_due(row))
            fired = at;
    }
    return fired;
}

/* 0: no reason that there is. */
static int http_of(const char *reason)
{
    for (size_t at = 0; at < ARRAY_SIZE(reasons); at++)
        if (str_equal(reasons[at].name, reason))
            return reasons[at].http;
    return 0;
}

/* The same with the client's name only, as rows have it. */
static struct occasion note(struct arena *arena, struct faults *faults,
                            const struct occasion *occasion)
{
    const char *agent = occasion->client ? occasion->client : "";
    struct occasion seen = *occasion;
    seen.client = arena_strndup(arena, agent, strcspn(agent, "/ "));
    count(faults->met, arena_printf(arena, "%s %s %s %s", seen.client, seen.verb, seen.resource,
                                    seen.namespace ? seen.namespace : ""));
    return seen;
}

void faults_created(struct arena *arena, struct faults *faults, const struct occasion *occasion)
{
    struct occasion made = *occasion;
    made.verb = "created";
    (void)note(arena, faults, &made);
}

struct fault faults_meet(struct arena *arena, struct faults *faults,
                         const struct occasion *occasion)
{
    const struct occasion seen = note(arena, faults, occasion);
    size_t at = fire(faults, &seen);
    json_t *row = json_array_get(faults->rows, at);
    if (!row)
        return (struct fault){.action = FAULT_NONE};
    const struct action *action = action_of(row);
    if (!action->waits)
        json_object_set_new(row, "hit", json_true());
    const char *reason = json_str_or(row, "reason", "InternalError");
    return (struct fault){
        .action = action->action,
        .row = faults->earlier + at,
        .reason = arena_strdup(arena, reason),
        .http = http_of(reason),
        .retry_after_s = (int)json_int_or(row, "seconds", 0),
        .ms = (int)json_int_or(row, "ms", 0),
    };
}

bool faults_hit(struct faults *faults, const struct fault *fault)
{
    json_t *row = fault->row < faults->earlier
                      ? NULL
                      : json_array_get(faults->rows, fault->row - faults->earlier);
    return row && !json_object_get(row, "hit") && json_object_set_new(row, "hit", json_true()) == 0;
}

/* ---- the table ---- */

/* What a row may say; else it would fit what nobody meant, or nothing. */
static const struct {
    const char *name;
    json_type type;
} keys[] = {
    {"client", JSON_STRING},    {"verb", JSON_STRING},   {"resource", JSON_STRING},
    {"namespace", JSON_STRING}, {"name", JSON_STRING},   {"nth", JSON_INTEGER},
    {"action", JSON_STRING},    {"reason", JSON_STRING}, {"seconds", JSON_INTEGER},
    {"ms", JSON_INTEGER},
};

static bool is_key(const char *name, const json_t *value)
{
    for (size_t at = 0; at < ARRAY_SIZE(keys); at++)
        if (str_equal(keys[at].name, name))
            return json_typeof(value) == keys[at].type;
    return false;
}

/* Absent, it is all of a request. */
static bool is_verb(const char *word)
{
    for (size_t at = 0; at < ARRAY_SIZE(verbs); at++)
        if (str_equal(verbs[at].named, word) || str_equal(verbs[at].collection, word))
            return true;
    return !word || str_equal(word, "watch") || str_equal(word, EVENT);
}

static int check_row(struct ctx *ctx, size_t at, json_t *row)
{
    const char *key;
    json_t *value;
    if (!json_is_object(row))
        return err_set(ctx, ERR_INVALID, NULL, "row %zu is no object", at);
    json_object_foreach(row, key, value)
        if (!is_key(key, value))
            return err_set(ctx, ERR_INVALID, NULL, "row %zu: there is no key '%s' of that type", at,
                           key);
    if (!is_verb(json_str(row, "verb")))
        return err_set(ctx, ERR_INVALID, NULL, "row %zu has no verb that there is", at);
    if (!action_of(row))
        return err_set(ctx, ERR_INVALID, NULL, "row %zu has no action that there is", at);
    if (!http_of(json_str_or(row, "reason", "InternalError")))
        return err_set(ctx, ERR_INVALID, NULL, "row %zu has no reason that there is", at);
    return 0;
}

static int check(struct ctx *ctx, const json_t *rows)
{
    size_t at;
    json_t *row;
    if (!json_is_array(rows))
        return err_set(ctx, ERR_INVALID, NULL, "the table is a list of rows");
    json_array_foreach(rows, at, row)
        TRY(check_row(ctx, at, row));
    return 0;
}

int faults_serve(struct ctx *ctx, struct faults *faults, const char *method, const char *body,
                 size_t bytes, json_t **answer)
{
    json_t *rows = faults->rows, *met = arena_json(ctx->arena, json_deep_copy(faults->met));
    if (!str_equal(method, "GET")) {
        TRY(json_parse(ctx, body, bytes, TABLE_MAX_BYTES, &rows));
        TRY(check(ctx, rows));
        json_incref(rows);
        faults->earlier += json_array_size(faults->rows);
        json_decref(faults->rows);
        faults->rows = rows;
        json_object_clear(faults->met);
    }
    *answer = arena_json(ctx->arena,
                         json_pack("{s:o, s:O}", "rows", json_deep_copy(faults->rows), "met", met));
    return 0;
}
