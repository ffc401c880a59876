/*
 * schema: binds a JSON body to a C struct by a table of rows, and says everything that is wrong
 * with it at once: each field error names the place (JSON pointer), a CamelCase code and a
 * sentence. Only what has a row, and whose row names the caller's audience, can be set. Pure; no
 * I/O.
 */
#pragma once

#include "api/registry.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { FIELD_ERRORS_MAX = 32 };

struct field_error {
    const char *pointer; /* "/spec/plan" */
    const char *code;    /* "UnknownField" */
    const char *detail;
};

struct field_errors {
    int count; /* never more than the array holds: the rest is not listed */
    struct field_error row[FIELD_ERRORS_MAX];
};

void field_errors_add(struct field_errors *errors, const char *pointer, const char *code,
                      const char *detail);

/* Adds it and is -ERR_INVALID (InvalidFields): the one thing that is wrong with a body whose fields
 * are right each for itself. */
int schema_refuse(struct ctx *ctx, struct field_errors *errors, const char *pointer,
                  const char *code, const char *detail);

enum field_type { FIELD_STRING, FIELD_INTEGER, FIELD_BOOLEAN, FIELD_OBJECT, FIELD_READ_ONLY };

struct field {
    const char *path; /* "spec.plan" */
    enum field_type type;
    unsigned audience;
    bool required;
    size_t offset;    /* of a const char *, int64_t, bool or const json_t * in the target */
    int64_t min, max; /* of the length, or of the value */
    bool (*check)(const char *text); /* NULL = any; false gives BadFormat with `doc` */
    const char *doc;                 /* what it is, as a sentence for people */
};

/* Rows of what every kind of resource shows and nobody sets. */
/* clang-format off */
#define SCHEMA_RESOURCE_FIELDS \
    {.path = "id", .type = FIELD_READ_ONLY, .doc = "ids are given by the server"}, \
    {.path = "tenantId", .type = FIELD_READ_ONLY, .doc = "the path names the tenant"}, \
    {.path = "createdAt", .type = FIELD_READ_ONLY, .doc = "the server sets it"}, \
    {.path = "updatedAt", .type = FIELD_READ_ONLY, .doc = "the server sets it"}, \
    {.path = "generation", .type = FIELD_READ_ONLY, .doc = "use If-Match"}, \
    {.path = "status", .type = FIELD_READ_ONLY, .doc = "status is observed, not set"}, \
    {.path = "currentOperations", .type = FIELD_READ_ONLY, .doc = "operations are started by changes"}, \
    {.path = "placement", .type = FIELD_READ_ONLY, .doc = "the fleet decides"}
/* clang-format on */

enum bind_mode {
    BIND_WHOLE, /* required rows must be there */
    BIND_PATCH, /* JSON merge patch: absent is unchanged; nothing here can be removed by null */
};

/*
 * Fields that are absent stay as they were in `target`; strings are borrowed from `body`. `fields`
 * ends at a row without path. -ERR_INVALID (InvalidFields) when `errors` has rows at the end.
 */
int schema_bind(struct ctx *ctx, const struct field *fields, enum bind_mode mode,
                enum audience audience, const json_t *body, void *target,
                struct field_errors *errors);

/* Parses a request's body: an object. Errors as schema_bind; duplicate keys are DuplicateKey. */
int schema_parse(struct ctx *ctx, const char *text, size_t bytes, json_t **ret,
                 struct field_errors *errors);

bool schema_is_dns_label(const char *text); /* RFC 1123, lower case, at most 40 here */
bool schema_is_namespace(const char *text); /* the same, at most 63 */
/* Services are named after it: such a label that begins with a letter (RFC 1035). */
bool schema_is_service_name(const char *text);
bool schema_is_dns_name(const char *text); /* at least two labels, at most 253 bytes */
bool schema_is_file_name(const char *text);
bool schema_is_title(const char *text); /* printable, no leading or trailing blank */
