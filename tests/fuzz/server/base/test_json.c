/* The JSON scanner: what it accepts is a tree that it writes and reads again as the same. */
#include "server/base/json.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    json_t *ours = NULL, *foreign = NULL, *again = NULL;
    int rc = json_parse(ctx, text, bytes, JSON_TEXT_MAX_BYTES, &ours);
    int lenient = json_parse_foreign(ctx, text, bytes, JSON_TEXT_MAX_BYTES, &foreign);
    MUST(rc == 0 || ctx->err.message[0]);
    if (rc < 0)
        return;
    MUST(lenient == 0 && json_equal(ours, foreign));
    const char *written = json_text(ctx->arena, ours);
    MUST(json_parse(ctx, written, strlen(written), JSON_TEXT_MAX_BYTES, &again) == 0);
    MUST(json_equal(ours, again));
    MUST(json_hash(ours) == json_hash(again));
}
