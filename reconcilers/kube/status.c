/* The one table that says what a failure of the Kubernetes API means to us. */
#include "reconcilers/kube/status.h"

#include "server/adapters/curl.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { STATUS_MAX_BYTES = 1 << 20, TEXT_MAX_BYTES = 200 };

/* The first row that fits decides. NULL and 0 fit everything. */
static const struct {
    int http, to;        /* a range when `to` is set */
    const char *reason;  /* of the Status */
    const char *cause;   /* reason of one of its causes */
    const char *field;   /* field of one of its causes */
    const char *message; /* how the message starts */
    enum err_code code;
    const char *our_reason; /* NULL = the row's of errors.def */
    const char *why;
} rows[] = {
    {409, .reason = "AlreadyExists", .code = ERR_ALREADY_EXISTS, .why = "the name is taken"},
    {409, .code = ERR_CONFLICT, .why = "stale resourceVersion or uid"},
    {422, .field = "metadata.uid", .code = ERR_CONFLICT, .why = "deleted and made anew meanwhile"},
    {403, .cause = "NamespaceTerminating", .code = ERR_REFUSED,
     .our_reason = "NamespaceTerminating", .why = "nothing can be created there any more"},
    {401, .code = ERR_DENIED, .why = "our credential"},
    {403, .code = ERR_DENIED, .why = "our rights"},
    {404, .code = ERR_NOT_FOUND, .why = "object, namespace or kind"},
    {410, .code = ERR_GONE, .why = "history or continue token expired"},
    {400, .code = ERR_INVALID, .why = "malformed, or an unknown field"},
    {422, .code = ERR_INVALID, .why = "schema or CEL rule"},
    {500, .message = "failed to create typed patch object", .code = ERR_INVALID,
     .why = "how kube-apiserver 1.36 answers an apply with an unknown field"},
    {413, .code = ERR_TOO_LARGE, .why = "over the API server's limit"},
    {429, .code = ERR_RATE_LIMITED, .why = "priority and fairness"},
    {504, .code = ERR_TIMEOUT, .why = "may have been carried out"},
    {500, 599, .code = ERR_UNAVAILABLE, .why = "the server's trouble"},
    {400, 499, .code = ERR_REFUSED, .why = "any other refusal"},
    {0, 999, .code = ERR_PROTOCOL, .why = "an answer that this API does not give"},
};

static bool has_cause(const json_t *status, const char *reason, const char *field)
{
    size_t index;
    const json_t *cause;
    json_array_foreach(json_at(status, "details.causes"), index, cause)
        if ((!reason || str_equal(json_str(cause, "reason"), reason)) &&
            (!field || str_equal(json_str(cause, "field"), field)))
            return true;
    return !reason && !field;
}

static size_t find_row(int http, const json_t *status)
{
    size_t at = 0;
    for (; at < ARRAY_SIZE(rows) - 1; at++) {
        int to = rows[at].to ? rows[at].to : rows[at].http;
        if (http >= rows[at].http && http <= to &&
            (!rows[at].reason || str_equal(rows[at].reason, json_str(status, "reason"))) &&
            (!rows[at].message || str_starts(json_str(status, "message"), rows[at].message)) &&
            has_cause(status, rows[at].cause, rows[at].field))
            break;
    }
    return at;
}

int status_check(struct ctx *ctx, const struct http_response *response, const char *what)
{
    if (response->status >= 200 && response->status <= 299)
        return 0;
    json_t *status = NULL;
    const char *message =
        arena_strndup(ctx->arena, response->body, strnlen(response->body, TEXT_MAX_BYTES));
    if (json_parse(ctx, response->body, response->body_bytes, STATUS_MAX_BYTES, &status) < 0)
        err_clear(ctx); /* plain text, of a proxy perhaps: the code alone decides */
    else
        message = json_str_or(status, "message", "");
    size_t row = find_row(response->status, status);
    int rc = err_set(ctx, rows[row].code, rows[row].our_reason, "%s: %.*s (HTTP %d)", what,
                     (int)strcspn(message, "\r\n"), message, response->status);
    int64_t asked_s = json_int_or(status, "details.retryAfterSeconds", 0);
    ctx->err.retry_after_ms = response->retry_after_ms;
    if (!ctx->err.retry_after_ms && asked_s > 0 && asked_s <= 3600)
        ctx->err.retry_after_ms = (int)asked_s * 1000;
    return rc;
}
