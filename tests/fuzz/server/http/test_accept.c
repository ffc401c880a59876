/* What a client accepts: a weight, whatever it writes; what comes behind a comma is for itself. */
#include "server/http/accept.h"
#include "tests/fuzz/fuzz.h"

#define TYPE "image/svg+xml"

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    int weight = accept_weight(text, TYPE);
    (void)bytes;
    MUST(weight >= 0 && weight <= ACCEPT_WEIGHT_MAX);
    MUST(accept_weight(arena_printf(ctx->arena, "%s,text/plain", text), TYPE) == weight);
    MUST(accept_weight(arena_printf(ctx->arena, "text/plain;q=0.5,%s", text), TYPE) == weight);
    /* Nobody comes closer than who names the type first. */
    MUST(accept_weight(arena_printf(ctx->arena, TYPE ";q=0.25,%s", text), TYPE) == 250);
    int named = accept_weight(arena_printf(ctx->arena, "%s," TYPE ";q=0.25", text), TYPE);
    MUST(named == 250 || named == weight);
}
