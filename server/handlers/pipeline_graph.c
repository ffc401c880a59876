/*
 * A pipeline's graph as a picture, of what its row says: the bytes are those of
 * `flotillad do place --graph` with the same spec and status. The names in it are a tenant's own
 * words: the drawing escapes them, and the headers let a browser run and load nothing.
 */
#include "reconcilers/pipeline/graph/drawing.h"
#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/handlers/app.h"
#include "server/handlers/pipeline.h"
#include "server/http/accept.h"

#include <string.h>

#define SVG_TYPE "image/svg+xml"
#define DOT_TYPE "text/vnd.graphviz"

/* Of equally welcome ones the first: browsers take anything, in the end. */
static const struct form {
    const char *type, *content_type;
    enum drawing_form drawing;
} forms[] = {
    {SVG_TYPE, SVG_TYPE, DRAWING_SVG},
    {DOT_TYPE, DOT_TYPE "; charset=utf-8", DRAWING_DOT},
};

static int choose_form(struct ctx *ctx, const struct api_call *call, const struct form **ret)
{
    const char *accept = request_header(call->request, "Accept");
    int most = 0;
    for (size_t row = 0; row < ARRAY_SIZE(forms); row++) {
        int weight = accept_weight(accept, forms[row].type);
        if (weight <= most)
            continue;
        most = weight;
        *ret = &forms[row];
    }
    return most ? 0
                : err_set(ctx, ERR_NOT_ACCEPTABLE, NULL,
                          "Accept allows neither " SVG_TYPE " nor " DOT_TYPE);
}

/* No request makes a row that cannot be drawn; who takes one in from a cell may. */
static int draw(struct ctx *ctx, const struct form *form, const json_t *pipeline, const char **ret)
{
    int rc = drawing_of(ctx, form->drawing, json_str_or(pipeline, "name", ""),
                        json_at(pipeline, "spec"), json_at(pipeline, "status"), ret);
    if (rc != -ERR_INVALID)
        return rc;
    const char *message = arena_strdup(ctx->arena, ctx->err.message);
    return err_set(ctx, ERR_CONFLICT, "NotDrawn", "%s", message);
}

static void answer(struct ctx *ctx, struct api_call *call, const struct form *form,
                   const char *picture)
{
    char hash[SHA256_HEX_BYTES];
    struct response *response = call->response;
    response_text(ctx, response, 200, form->content_type, picture);
    response_header(response, "Vary", "Accept");
    response_header(response, "Content-Security-Policy", "default-src 'none'; sandbox");
    crypto_sha256_hex(picture, response->body_bytes, hash);
    call_etag(ctx, call, hash);
}

static int get(struct ctx *ctx, struct api_call *call, struct pg *pg)
{
    const struct form *form = NULL;
    struct store_resource_view view;
    json_t *pipeline;
    const char *picture;
    TRY(choose_form(ctx, call, &form));
    TRY(pipeline_read(ctx, call, pg, &view));
    TRY(json_parse(ctx, view.body, strlen(view.body), JSON_TEXT_MAX_BYTES, &pipeline));
    TRY(draw(ctx, form, pipeline, &picture));
    answer(ctx, call, form, picture);
    return 0;
}

int pipeline_graph(struct ctx *ctx, struct api_call *call)
{
    return transaction_read(ctx, call, get);
}
