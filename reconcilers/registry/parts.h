/* Parts of a stack: parts.def as a table, and which of them an operator leaves out. Pure. */
#pragma once

#include "reconcilers/registry/scope.h"

/* A row of parts.def, which says what the columns mean. */
struct registry_part {
    const char *name;
    bool left_out, scales, serves, stops;
};

/* All rows, ended by one without a name. */
extern const struct registry_part registry_parts[];

/* NULL: no part has this name; NULL as a name is allowed. */
const struct registry_part *registry_part_of(const char *name);
/* Does a stack have this part here, as far as the operator is concerned? */
bool registry_has_part(const struct registry_operator *home, const char *part);
/* -ERR_CONFIG names the first of the words that is no part of a stack, and which are. */
int registry_check_parts(struct ctx *ctx, const char *words);
/* Every push, pull and login goes through core: without it the other pods serve nobody. Where no
 * stack has a core, whoever is left serves what is left. "": nobody. */
const char *registry_serving_part(const struct registry_operator *home);
