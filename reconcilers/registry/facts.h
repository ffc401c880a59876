/* Facts: what templates may name, and of which parts a stack is made here. Pure. */
#pragma once

#include "reconcilers/registry/scope.h"

json_t *registry_facts(struct ctx *ctx, const struct registry_operator *home,
                       const struct registry_scope *scope);
/* Does a stack have this part here, as far as the operator is concerned? */
bool registry_has_part(const struct registry_operator *home, const char *part);
/* -ERR_CONFIG names the first of the words that is no part of a stack. */
int registry_check_parts(struct ctx *ctx, const char *words);
