/*
 * YAML to jansson tree by the YAML 1.2 core schema (plain scalars only; quoted ones stay strings).
 * Anchors, aliases, tags, duplicate keys and documents beyond the caps are refused: everything we
 * read is configuration, not a program.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct ctx;

enum { YAML_MAX_BYTES = 1 << 20, YAML_MAX_EVENTS = 100000 };

/* One document, owned by ctx->arena. -ERR_INVALID names line and column. */
int yaml_parse(struct ctx *ctx, const char *text, size_t bytes, json_t **ret);
/* A stream of documents as an array, empty ones left out. */
int yaml_parse_all(struct ctx *ctx, const char *text, size_t bytes, json_t **ret);
