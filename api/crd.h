/*
 * The structural part of a CRD as a check in C: type, required, enum, pattern, format, bounds of
 * strings, numbers, arrays and objects. It reads the embedded CRD itself, so that there is nothing
 * to keep in step; CEL rules are C functions beside the kind (api/registry.c). Unlike the API
 * server, which prunes, it calls an unknown field a problem (as fieldValidation=Strict does).
 */
#pragma once

#include <jansson.h>

struct ctx;

/* Adds {"pointer", "message"} to `problems` for each violation. `crd` is its embedded path. */
int crd_check(struct ctx *ctx, const char *crd, const json_t *object, json_t *problems);

void crd_problem(json_t *problems, const char *pointer, const char *message);
