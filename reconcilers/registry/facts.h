/* Facts: what templates may name. Pure. */
#pragma once

#include "reconcilers/registry/scope.h"

json_t *registry_facts(struct ctx *ctx, const struct registry_operator *home,
                       const struct registry_scope *scope);
