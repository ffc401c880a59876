/* cmocka with what it needs before it, and a ctx per test. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/base/ctx.h"

/* Fixture: *state is a struct ctx with an arena of its own. */
static inline int test_setup(void **state)
{
    struct ctx *ctx = test_calloc(1, sizeof *ctx);
    *ctx = ctx_make(arena_new(), "test");
    *state = ctx;
    return 0;
}

static inline int test_teardown(void **state)
{
    struct ctx *ctx = *state;
    arena_free(ctx->arena);
    test_free(ctx);
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, test_setup, test_teardown)
