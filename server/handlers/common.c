/* What handlers of every kind need: body, caller, pages, and whose name is taken. */
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/handlers/app.h"

#include <string.h>
#include <strings.h>

enum { PAGE_MAX_BYTES = 16 << 20 };

enum audience call_audience(const struct api_call *call)
{
    return call->principal.provider ? AUDIENCE_PROVIDER : AUDIENCE_TENANT;
}

struct store_actor call_actor(struct ctx *ctx, const struct api_call *call)
{
    return (struct store_actor){.name = arena_printf(ctx->arena, "key:%s", call->principal.key),
                                .request_id = call->request->id};
}

/* "application/json", with or without parameters. */
static bool is_json(const char *type, const char *wanted)
{
    size_t length = strlen(wanted);
    return strncasecmp(type, wanted, length) == 0 && strchr(" ;", type[length]);
}

int call_body(struct ctx *ctx, struct api_call *call, json_t **ret)
{
    const char *type = request_header(call->request, "Content-Type");
    bool patch = strcmp(call->request->method, "PATCH") == 0;
    if (!type || !(is_json(type, "application/json") ||
                   (patch && is_json(type, "application/merge-patch+json"))))
        return err_set(ctx, ERR_MEDIA_TYPE, NULL, "Content-Type is to be application/json%s",
                       patch ? " or application/merge-patch+json" : "");
    return schema_parse(ctx, call->request->body, call->request->body_bytes, ret, &call->errors);
}

int call_not_found(struct ctx *ctx)
{
    return err_set(ctx, ERR_NOT_FOUND, NULL, "there is no such object");
}

void call_etag(struct ctx *ctx, struct api_call *call, const char *tag)
{
    const char *etag = arena_printf(ctx->arena, "\"%s\"", tag);
    response_header(call->response, "ETag", etag);
    if (call->response->status != 200 ||
        !str_equal(request_header(call->request, "If-None-Match"), etag))
        return;
    call->response->status = 304;
    call->response->body_bytes = 0;
}

int call_tenant_exists(struct ctx *ctx, const struct api_call *call, struct pg *pg)
{
    const char *body;
    if (!call->principal.provider)
        return 0;
    TRY(store_tenant_view(ctx, pg, call->param[0], &body));
    return body ? 0 : call_not_found(ctx);
}

void call_answer_page(struct ctx *ctx, struct api_call *call, const struct pg_rows *rows,
                      const struct page *page)
{
    _cleanup_str_ struct str text;
    str_init(&text, PAGE_MAX_BYTES);
    bool more = rows->rows > page->limit;
    int count = more ? page->limit : rows->rows;
    str_add(&text, "{\"items\": [");
    for (int row = 0; row < count; row++) {
        str_add(&text, row ? ", " : "");
        str_add(&text, pg_field(rows, row, "body"));
    }
    if (more) {
        const char *cursor = cursor_make(ctx, call, pg_field(rows, count - 1, "id"));
        str_printf(&text, "], \"nextCursor\": \"%s\"}", cursor);
        response_header(call->response, "Link",
                        arena_printf(ctx->arena, "<%s?limit=%d&cursor=%s>; rel=\"next\"",
                                     call->request->path, page->limit, cursor));
    } else {
        str_add(&text, "], \"nextCursor\": null}");
    }
    api_answer_json(call, 200, arena_strdup(ctx->arena, str_text(&text)));
}

int call_list(struct ctx *ctx, struct api_call *call, struct pg *pg,
              int (*list)(struct ctx *ctx, struct pg *pg, const struct store_page *page,
                          struct pg_rows *ret))
{
    struct page page;
    struct pg_rows rows;
    TRY(cursor_read(ctx, call, &page));
    TRY(list(ctx, pg, &(struct store_page){page.after, page.limit + 1}, &rows));
    call_answer_page(ctx, call, &rows, &page);
    return 0;
}

int call_list_of_tenant(struct ctx *ctx, struct api_call *call, struct pg *pg,
                        int (*list)(struct ctx *ctx, struct pg *pg, const char *tenant,
                                    const struct store_page *page, struct pg_rows *ret))
{
    struct page page;
    struct pg_rows rows;
    TRY(cursor_read(ctx, call, &page));
    TRY(call_tenant_exists(ctx, call, pg));
    TRY(list(ctx, pg, call->param[0], &(struct store_page){page.after, page.limit + 1}, &rows));
    call_answer_page(ctx, call, &rows, &page);
    return 0;
}

int call_taken(struct ctx *ctx, struct api_call *call, int rc, const struct taken *rows)
{
    if (rc != -ERR_ALREADY_EXISTS)
        return rc;
    for (; rows->constraint; rows++)
        if (strstr(ctx->err.message, rows->constraint)) {
            field_errors_add(&call->errors, rows->pointer, rows->code, rows->detail);
            return err_set(ctx, ERR_ALREADY_EXISTS, rows->code, "%s", rows->detail);
        }
    return rc;
}
