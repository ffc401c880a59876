/* Custom resources as kubectl may send them: checked whole, and against themselves as a change. */
#include "api/registry.h"
#include "server/base/json.h"
#include "tests/fuzz/fuzz.h"

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    json_t *object = NULL, *created = NULL, *changed = NULL;
    if (json_parse(ctx, text, bytes, JSON_TEXT_MAX_BYTES, &object) < 0)
        return;
    struct registry_spec spec = registry_spec_bind(object);
    MUST(spec.version && spec.size); /* what is missing has the default */
    if (registry_object_check(ctx, object, NULL, &created) < 0)
        return;
    MUST(registry_object_check(ctx, object, object, &changed) == 0);
    /* nothing is another one than itself */
    MUST(json_array_size(changed) <= json_array_size(created));
    MUST(json_array_size(created) || json_is_object(object));
}
