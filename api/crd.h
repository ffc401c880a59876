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

/* The same by a schema that is at hand. */
int crd_check_schema(struct ctx *ctx, const json_t *schema, const json_t *object, json_t *problems);

/* As the API server keeps an object: what the schema does not know goes, and is named in `unknown`
 * (pointers); what it has a default for comes. apiVersion, kind and metadata are known. */
struct arena;
void crd_prune(struct arena *arena, const json_t *schema, json_t *object, json_t *unknown);
void crd_default(const json_t *schema, json_t *object);

void crd_problem(json_t *problems, const char *pointer, const char *message);
