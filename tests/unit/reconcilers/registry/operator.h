/* What the registry operator is made of, without a cluster. The caller frees it. */
#pragma once

#include "tests/unit/test.h"

#include "reconcilers/registry/scope.h"

static inline struct registry_operator *test_operator(struct ctx *ctx)
{
    const struct registry_options options = {.operator_namespace = "flotilla-system"};
    struct registry_operator *home = NULL;
    if (registry_operator_new(ctx, NULL, &options, &home) < 0)
        fail_msg("%s", ctx->err.message);
    return home;
}
