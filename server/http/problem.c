/* RFC 9457. What the server itself lacks is said in general words only: the details are in the log.
 */
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/http/api.h"
#include "server/net/metrics.h"

/* Words of the server's inside that are meant for the client all the same. */
static bool is_for_client(const struct err *err)
{
    return err_row(err->code)->http < 500 || err->code == ERR_OVERLOADED ||
           str_equal(err->reason, "OutcomeUnknown");
}

/* A message may quote the client, and be cut in the middle of a character. */
static const char *valid_text(struct ctx *ctx, const char *text)
{
    _cleanup_json_ json_t *probe = json_string(text);
    if (probe)
        return text;
    char *copy = arena_strdup(ctx->arena, text);
    for (char *at = copy; *at; at++)
        *at = (char)(*at & 0x80 ? '?' : *at);
    return copy;
}

static json_t *errors_json(struct ctx *ctx, const struct field_errors *errors)
{
    json_t *list = json_array();
    for (int at = 0; at < errors->count; at++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "pointer",
                                              valid_text(ctx, errors->row[at].pointer), "code",
                                              errors->row[at].code, "detail",
                                              valid_text(ctx, errors->row[at].detail)));
    return list;
}

void problem_write(struct ctx *ctx, const struct request *request, int status,
                   const struct field_errors *errors, struct response *response)
{
    const struct err *err = &ctx->err;
    const struct err_row *row = err_row(err->code);
    metric_add(METRIC_HTTP_PROBLEMS, 1, err->reason);
    if (!status)
        status = row->http;
    json_t *list = errors && errors->count ? errors_json(ctx, errors) : NULL;
    const char *type = arena_printf(ctx->arena, "urn:flotilla:problem:%s", err->reason);
    _cleanup_json_ json_t *problem = json_pack(
        "{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:b, s:o*}", "type", type, "title", row->doc, "status",
        status, "detail", valid_text(ctx, is_for_client(err) ? err->message : row->doc), "instance",
        valid_text(ctx, request->path), "code", err->reason, "requestId", request->id, "retryable",
        row->retry == RETRY_BACKOFF, "errors", list);
    response_json(ctx, response, status, problem);
    response->content_type = "application/problem+json";
    if (err->retry_after_ms)
        response_header(response, "Retry-After",
                        arena_printf(ctx->arena, "%d", (err->retry_after_ms + 999) / 1000));
    else if (status == 503)
        response_header(response, "Retry-After", "1");
}
