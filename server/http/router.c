/* Matches paths against templates; a route is a row, there is no tree to be kept. */
#include "server/adapters/crypto.h"
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/http/api.h"

#include <string.h>

#define PARAM_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

/*
 * Does `path` have the form of `route`? Fills the parameters on the way. What cannot be an id is
 * nobody's, and goes no further: it may be a password in the wrong place, and the database logs.
 */
static bool matches(struct ctx *ctx, const char *route, const char *path,
                    const char *param[ROUTE_PARAMS_MAX])
{
    int params = 0;
    while (*route) {
        if (*route != '{') {
            if (*route++ != *path++)
                return false;
            continue;
        }
        size_t length = strspn(path, PARAM_BYTES);
        if (params == ROUTE_PARAMS_MAX)
            return false;
        param[params] = arena_strndup(ctx->arena, path, length);
        if (!crypto_is_id(param[params++]))
            return false;
        path += length;
        route = strchr(route, '}') + 1;
    }
    return !*path;
}

int router_find(struct ctx *ctx, const struct route *routes, struct api_call *call)
{
    const char *path = call->request->path;
    const char *method = call->request->method;
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    _cleanup_str_ struct str allow;
    str_init(&allow, 128);
    for (const struct route *route = routes; route->method; route++) {
        if (!matches(ctx, route->path, path, call->param))
            continue;
        if (strcmp(route->method, method) == 0) {
            call->route = route;
            return 0;
        }
        str_printf(&allow, "%s%s", allow.length ? ", " : "", route->method);
    }
    if (!allow.length)
        return err_set(ctx, ERR_NOT_FOUND, NULL, "there is no such object");
    response_header(call->response, "Allow", arena_strdup(ctx->arena, str_text(&allow)));
    return err_set(ctx, ERR_METHOD, NULL, "this path takes %s", str_text(&allow));
}
