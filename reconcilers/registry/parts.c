#include "reconcilers/registry/parts.h"

#include "server/base/str.h"

#include <string.h>

const struct registry_part registry_parts[] = {
#define PART(name, left_out, scales, serves, stops) {#name, left_out, scales, serves, stops},
#include "reconcilers/registry/parts.def"
#undef PART
    {0},
};

const struct registry_part *registry_part_of(const char *name)
{
    for (const struct registry_part *part = registry_parts; name && part->name; part++)
        if (str_equal(part->name, name))
            return part;
    return NULL;
}

bool registry_has_part(const struct registry_operator *home, const char *part)
{
    return !str_has_word(home->left_out, part);
}

static const char *names_of_all(struct arena *arena)
{
    const char *names = "";
    for (const struct registry_part *part = registry_parts; part->name; part++)
        if (part->left_out)
            names = arena_printf(arena, "%s%s%s", names, *names ? ", " : "", part->name);
    return names;
}

int registry_check_parts(struct ctx *ctx, const char *words)
{
    while (*words) {
        char *word = arena_strndup(ctx->arena, words, strcspn(words, " "));
        const struct registry_part *part = registry_part_of(word);
        if (!part || !part->left_out)
            return err_set(ctx, ERR_CONFIG, NULL,
                           "--leave-out: '%s' is no part that a stack can be without; allowed: %s",
                           word, names_of_all(ctx->arena));
        words += strlen(word);
        words += *words == ' ';
    }
    return 0;
}

const char *registry_serving_part(const struct registry_operator *home)
{
    for (const struct registry_part *part = registry_parts; part->name; part++)
        if (part->serves && registry_has_part(home, part->name))
            return part->name;
    return "";
}
