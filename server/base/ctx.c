#include "server/base/ctx.h"

#include "server/base/clock.h"

struct ctx ctx_make(struct arena *arena, const char *actor)
{
    return (struct ctx){.arena = arena, .actor = actor};
}

int ctx_left_ms(const struct ctx *ctx, int cap_ms)
{
    if (!ctx->deadline_ms)
        return cap_ms;
    int64_t left = ctx->deadline_ms - clock_boottime_ms();
    if (left <= 0)
        return 0;
    return left < cap_ms ? (int)left : cap_ms;
}

int ctx_may_write(struct ctx *ctx)
{
    return ctx->gate ? ctx->gate->check(ctx, ctx->gate) : 0;
}
