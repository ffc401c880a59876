/* Makes and reads page marks: base64url of a MAC and the last id. */
#include "server/http/cursor.h"

#include "server/adapters/crypto.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <stdio.h>
#include <string.h>

enum { MAC_LENGTH = 26 };

/* The key stands on both sides of the text, so that a longer text cannot be derived from a shorter.
 */
static const char *mac_of(struct ctx *ctx, const struct api_call *call, const char *id)
{
    const char *key = call->principal.secret_hash;
    const char *text =
        arena_printf(ctx->arena, "%s\n%s\n%s\n%s", key, call->request->path, id, key);
    return crypto_base32_of(ctx->arena, text, MAC_LENGTH);
}

const char *cursor_make(struct ctx *ctx, const struct api_call *call, const char *last_id)
{
    const char *text = arena_printf(ctx->arena, "%s%s", mac_of(ctx, call, last_id), last_id);
    char *cursor = crypto_base64(ctx->arena, text, strlen(text));
    for (char *at = cursor; *at; at++) /* base64url, RFC 4648 section 5 */
        *at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at);
    cursor[strcspn(cursor, "=")] = '\0';
    return cursor;
}

/* The id in a cursor of ours, or NULL. */
static const char *open_cursor(struct ctx *ctx, const struct api_call *call, const char *cursor)
{
    static const char *const padding[] = {"", "", "==", "="};
    size_t length = strlen(cursor), bytes = 0;
    if (length > 200 || length % 4 == 1)
        return NULL;
    char *base64 = arena_printf(ctx->arena, "%s%s", cursor, padding[length % 4]);
    for (char *at = base64; *at; at++)
        *at = (char)(*at == '-' ? '+' : *at == '_' ? '/' : *at);
    const char *text = crypto_unbase64(ctx->arena, base64, &bytes);
    if (!text || bytes <= MAC_LENGTH || strlen(text) != bytes)
        return NULL;
    const char *id = text + MAC_LENGTH;
    return crypto_equal(mac_of(ctx, call, id), text, MAC_LENGTH) ? id : NULL;
}

static int refuse(struct ctx *ctx, struct api_call *call, const char *parameter, const char *detail)
{
    field_errors_add(&call->errors, arena_printf(ctx->arena, "?%s", parameter), "BadParameter",
                     detail);
    return err_set(ctx, ERR_INVALID, "InvalidParameter", "%s: %s", parameter, detail);
}

int cursor_read(struct ctx *ctx, struct api_call *call, struct page *ret)
{
    const char *limit = request_query(call->request, "limit");
    const char *cursor = request_query(call->request, "cursor");
    int64_t number = PAGE_LIMIT_DEFAULT;
    if (limit && !str_to_int(limit, 1, INT32_MAX, &number))
        return refuse(ctx, call, "limit", "a number from 1 to 500");
    *ret =
        (struct page){.after = "", .limit = number > PAGE_LIMIT_MAX ? PAGE_LIMIT_MAX : (int)number};
    if (!cursor)
        return 0;
    ret->after = open_cursor(ctx, call, cursor);
    return ret->after ? 0 : refuse(ctx, call, "cursor", "not a cursor of this list and key");
}
