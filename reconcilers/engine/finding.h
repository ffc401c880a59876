/*
 * finding: one difference that an audit found. Each audit of the house prints this shape:
 * {"finding", "kind", "object", "cell", "detail"}, all of them strings.
 */
#pragma once

#include <jansson.h>

struct finding {
    const char *finding; /* CamelCase word: what is wrong; docs/operations.md has what to do */
    const char *kind;    /* of what: a Kubernetes kind, or Database or Role of a pool */
    const char *object;  /* "namespace/name" or "name"; "pool/name" for what is in a pool */
    const char *cell;    /* as the fleet names it; "" = the one cell that was asked */
    const char *detail;  /* for people */
};

/* Appends to an array. */
void finding_add(json_t *findings, const struct finding *finding);
