/*
 * Templates: the input is YAML, facts first, then a template. A fact's text never becomes
 * structure: with other texts in the facts the rendered tree has the same form.
 */
#include "reconcilers/engine/bundle_internal.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"
#include "tests/fuzz/fuzz.h"

#define HOSTILE "\"}, {\"$when\": \"x\", \"${registry.name}\": [1]"

/* A copy with another text in place of each. */
static json_t *other_texts(json_t *facts)
{
    json_t *ret, *value;
    const char *key;
    size_t at;
    if (json_is_string(facts))
        return json_string(HOSTILE);
    if (json_is_array(facts)) {
        ret = json_array();
        json_array_foreach(facts, at, value)
            json_array_append_new(ret, other_texts(value));
        return ret;
    }
    if (!json_is_object(facts))
        return json_incref(facts);
    ret = json_object();
    json_object_foreach(facts, key, value)
        json_object_set_new(ret, key, other_texts(value));
    return ret;
}

static bool same_form(json_t *one, json_t *other)
{
    json_t *value;
    const char *key;
    size_t at;
    if (json_typeof(one) != json_typeof(other))
        return false;
    if (json_array_size(one) != json_array_size(other) ||
        json_object_size(one) != json_object_size(other))
        return false;
    json_array_foreach(one, at, value)
        if (!same_form(value, json_array_get(other, at)))
            return false;
    json_object_foreach(one, key, value)
        if (!json_object_get(other, key) || !same_form(value, json_object_get(other, key)))
            return false;
    return true;
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    json_t *all = NULL, *one = NULL, *two = NULL;
    if (yaml_parse_all(ctx, text, bytes, &all) < 0 || json_array_size(all) != 2)
        return;
    json_t *facts = json_array_get(all, 0), *object = json_array_get(all, 1);
    int checked = template_check(ctx, "input", object);
    int rendered = template_render(ctx, "input", object, facts, &one);
    MUST(rendered <= 0 && (rendered == 0 || ctx->err.message[0]));
    MUST(checked == 0 || ctx->err.message[0]);
    json_t *other = arena_json(ctx->arena, other_texts(facts));
    if (checked < 0 || rendered < 0 || template_render(ctx, "input", object, other, &two) < 0)
        return;
    MUST(!one == !two && (!one || same_form(one, two)));
}
