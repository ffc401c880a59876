/*
 * selector: a label selector as clients write it: KEY, !KEY, KEY=V, KEY==V, KEY!=V, KEY in (V,..),
 * KEY notin (V,..), with commas between them. Pure; any text.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct ctx;

enum { SELECTOR_REQUIREMENTS_MAX = 32, SELECTOR_VALUES_MAX = 64 };

struct selector_requirement {
    const char *key;
    bool negated;
    bool presence; /* the key alone counts */
    size_t count;  /* of values */
    const char *values[SELECTOR_VALUES_MAX];
};

struct selector {
    size_t count; /* 0 selects everything */
    const struct selector_requirement *rows[SELECTOR_REQUIREMENTS_MAX];
};

/* text NULL = "". -ERR_INVALID names the place. What it keeps is in ctx->arena. */
int selector_read(struct ctx *ctx, const char *text, struct selector *ret);
/* labels: an object of strings, or NULL. As in Kubernetes, "!=" and "notin" hold where the key is
 * not. */
bool selector_matches(const struct selector *selector, const json_t *labels);
