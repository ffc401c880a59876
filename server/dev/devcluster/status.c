#include "server/dev/devcluster/status.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

static const struct row {
    const char *reason;
    int http;
    enum err_code code;
    enum { BARE, EMPTY, NAMED } details; /* what is told besides the message */
} rows[] = {
#define REASON(...) {__VA_ARGS__},
#include "server/dev/faults/reasons.def"
#undef REASON
};

static const struct row *row_of(const char *reason)
{
    size_t at = 0;
    while (at < ARRAY_SIZE(rows) - 1 && !str_equal(rows[at].reason, reason))
        at++;
    return &rows[at];
}

int refuse(struct call *call, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *message = arena_vprintf(call->ctx.arena, format, args);
    va_end(args);
    return err_set(&call->ctx, row_of(reason)->code, reason, "%s", message);
}

const char *status_resource(struct call *call)
{
    const struct kind *kind = call->kind;
    return *kind->group ? arena_printf(call->ctx.arena, "%s.%s", kind->plural, kind->group)
                        : kind->plural;
}

int refuse_absent(struct call *call)
{
    return refuse(call, "NotFound", "%s \"%s\" not found", status_resource(call), call->name);
}

int refuse_stale(struct call *call)
{
    return refuse(
        call, "Conflict",
        "Operation cannot be fulfilled on %s \"%s\": the object has been modified; please "
        "apply your changes to the latest version and try again",
        status_resource(call), call->name);
}

int refuse_invalid(struct call *call, const char *problem)
{
    const struct kind *kind = call->kind;
    const char *dot = *kind->group ? "." : "";
    return refuse(call, "Invalid", "%s%s%s \"%s\" is invalid: %s", kind->name, dot, kind->group,
                  call->name ? call->name : "", problem);
}

int refuse_options(struct call *call, const char *options, const char *field, const char *cause,
                   const char *problem)
{
    call->details =
        arena_json(call->ctx.arena, json_pack("{s:s, s:s, s:[{s:s, s:s, s:s}]}", "group",
                                              "meta.k8s.io", "kind", options, "causes", "reason",
                                              cause, "message", problem, "field", field));
    return refuse(call, "Invalid", "%s.meta.k8s.io \"\" is invalid: %s: %s", options, field,
                  problem);
}

int refuse_unserved(struct call *call, const char *what)
{
    return refuse(call, "NotImplemented", "devcluster does not serve %s (%s %s)", what,
                  call->method, call->path);
}

void status_cause(struct call *call, const char *reason, const char *field, const char *message)
{
    if (!call->causes)
        call->causes = arena_json(call->ctx.arena, json_array());
    json_array_append_new(call->causes, json_pack("{s:s, s:s, s:s*}", "reason", reason, "message",
                                                  message, "field", field));
}

/* Invalid speaks of the Kind, everything else of the resource. */
static json_t *details(struct call *call, const struct row *row)
{
    const struct kind *kind = call->kind;
    if (call->details || row->details == BARE)
        return json_incref(call->details);
    json_t *details = json_pack("{s:O*}", "causes", call->causes);
    if (call->retry_after_s)
        json_put(details, "retryAfterSeconds", json_integer(call->retry_after_s));
    if (row->details == EMPTY || !kind)
        return details;
    bool by_kind = str_equal(row->reason, "Invalid");
    json_put(details, "kind", json_string(by_kind ? kind->name : kind->plural));
    if (call->name)
        json_put(details, "name", json_string(call->name));
    if (*kind->group)
        json_put(details, "group", json_string(kind->group));
    return details;
}

json_t *status_failure(struct call *call)
{
    const struct err *err = &call->ctx.err;
    const struct row *row = row_of(err->reason);
    bool reasonless = str_equal(row->reason, STATUS_REASONLESS);
    call->status = row->http;
    return arena_json(call->ctx.arena,
                      json_pack("{s:s, s:s, s:{}, s:s, s:s, s:s*, s:o*, s:i}", "kind", "Status",
                                "apiVersion", "v1", "metadata", "status", "Failure", "message",
                                err->message, "reason", reasonless ? NULL : row->reason, "details",
                                details(call, row), "code", row->http));
}

json_t *status_success(struct call *call, const char *uid)
{
    json_t *answer = json_pack("{s:s, s:s, s:{}, s:s, s:{s:s*, s:s, s:s*}}", "kind", "Status",
                               "apiVersion", "v1", "metadata", "status", "Success", "details",
                               "name", call->name, "kind", call->kind->plural, "uid", uid);
    if (*call->kind->group)
        json_put(answer, "details.group", json_string(call->kind->group));
    return arena_json(call->ctx.arena, answer);
}
