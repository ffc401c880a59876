/* A server's answer: what is parsed of it, with managedFields cut out of the text, is what is
 * parsed of the whole, without them. */
#include "reconcilers/kube/client.h"
#include "server/base/json.h"
#include "tests/fuzz/fuzz.h"

enum { DEPTH_MAX = 64 }; /* deeper than any parser here goes */

/* Of any type: of two members of this name one may have been cut out. */
static void strip_all(json_t *value, int depth)
{
    const char *name;
    size_t at;
    json_t *item;
    if (depth > DEPTH_MAX)
        return;
    json_object_del(value, "managedFields");
    json_object_foreach(value, name, item)
        strip_all(item, depth + 1);
    json_array_foreach(value, at, item)
        strip_all(item, depth + 1);
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    json_t *whole = NULL, *cut = NULL;
    int rc = client_parse(ctx, text, bytes, JSON_TEXT_MAX_BYTES, &cut);
    MUST(rc == 0 || ctx->err.message[0]);
    if (json_parse_foreign(ctx, text, bytes, JSON_TEXT_MAX_BYTES, &whole) < 0)
        return;
    MUST(rc == 0);
    strip_all(whole, 0);
    strip_all(cut, 0);
    MUST(json_equal(whole, cut));
}
