/* Does a Harbor serve: its own word on its components, and whether it can sign. */
#include "reconcilers/backends/harbor_answers.h"
#include "reconcilers/backends/harbor_session.h"

#include "server/base/ctx.h"

/*
 * The name of the repository matters not: nobody gets a token that allows nothing, signed all the
 * same. Without a scope Harbor would refuse nobody at once, and prove nothing.
 */
static const char token_path[] =
    "/service/token?service=harbor-registry&scope=repository%3Alibrary%2Fflotilla-probe%3Apull";

static int ask_health(struct ctx *ctx, struct harbor *harbor, struct harbor_serving *ret)
{
    const struct harbor_request request = {
        .call = CALL_HARBOR_HEALTH, .method = "GET", .path = "/api/v2.0/health"};
    struct harbor_answer answer;
    TRY(harbor_send(ctx, harbor, &request, &answer));
    return harbor_parse_health(ctx, answer.body, answer.bytes, ret);
}

/* An answer that holds no token is a verdict, not a failure. */
static int ask_token(struct ctx *ctx, struct harbor *harbor, struct harbor_serving *ret)
{
    const struct harbor_request request = {
        .call = CALL_HARBOR_TOKEN, .method = "GET", .path = token_path};
    struct harbor_answer answer;
    int rc = harbor_send(ctx, harbor, &request, &answer);
    if (rc < 0 && harbor->status < 300) /* no answer, or a good one that was lost */
        return rc;
    ret->token = rc == 0 && harbor_parse_token(ctx, answer.body, answer.bytes);
    if (!ret->token)
        ret->refusal = rc < 0 ? arena_strdup(ctx->arena, ctx->err.message)
                              : "the answer of /service/token holds no token";
    err_clear(ctx);
    return 0;
}

/* Told to who has logged in only. */
static int ask_version(struct ctx *ctx, struct harbor *harbor, struct harbor_serving *ret)
{
    json_t *info = NULL;
    if (!harbor->robot.password)
        return 0;
    int rc =
        harbor_get(ctx, harbor, CALL_HARBOR_VERSION, HARBOR_ROBOT, "/api/v2.0/systeminfo", &info);
    if (rc == -ERR_DENIED) {
        err_clear(ctx);
        return 0;
    }
    TRY(rc);
    ret->version = harbor_parse_version(info);
    return 0;
}

int harbor_serving(struct ctx *ctx, struct harbor *harbor, struct harbor_serving *ret)
{
    struct harbor_serving serving = {.unhealthy = ""};
    TRY(ask_health(ctx, harbor, &serving));
    TRY(ask_token(ctx, harbor, &serving));
    TRY(ask_version(ctx, harbor, &serving));
    *ret = serving;
    return 0;
}
