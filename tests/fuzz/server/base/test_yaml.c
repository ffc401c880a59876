/* YAML: one document or many, the same bytes give the same tree. */
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"
#include "tests/fuzz/fuzz.h"

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    json_t *one = NULL, *all = NULL, *again = NULL;
    int single = yaml_parse(ctx, text, bytes, &one);
    int many = yaml_parse_all(ctx, text, bytes, &all);
    MUST(many == 0 || ctx->err.message[0]);
    if (many < 0)
        return;
    MUST(json_is_array(all));
    MUST(yaml_parse_all(ctx, text, bytes, &again) == 0);
    MUST(str_equal(json_text(ctx->arena, all), json_text(ctx->arena, again)));
    if (single == 0 && json_array_size(all) == 1)
        MUST(json_equal(one, json_array_get(all, 0)));
}
