/*
 * statement: how the files of this room run what the role flotilla_fleet may do: one statement, one
 * round trip, one transaction, between the failpoints of its call. Internal to server/store.
 */
#pragma once

#include "server/base/failpoint.h"
#include "server/store/store.h"

#include <jansson.h>
#include <stdint.h>

struct pg_pool;

enum { STATEMENT_PARAMETERS_MAX = 8 };

/* A NULL among the values is SQL NULL. */
struct statement {
    const char *name; /* of sql/queries */
    enum call call;
    const char *values[STATEMENT_PARAMETERS_MAX];
    int count;
};

/* On a session of the pool. */
int statement_run(struct ctx *ctx, struct pg_pool *pool, const struct statement *statement,
                  struct pg_rows *ret);
/* The rows' first column, a JSON document each, as an array. */
int statement_documents(struct ctx *ctx, struct pg_pool *pool, const struct statement *statement,
                        json_t **ret);
/* For statements that end in `returning` or count their rows: did any row change? */
int statement_guarded(struct ctx *ctx, struct pg_pool *pool, const struct statement *statement,
                      bool *ret_changed);

/* The first row's column, 0 when there is no row. */
int64_t statement_integer(const struct pg_rows *rows, int column);

/* Values as parameters. */
char *statement_number(struct ctx *ctx, int64_t value);
const char *statement_boolean(bool value);
const char *statement_json(struct ctx *ctx, const json_t *value); /* NULL = an empty array */
