#include "server/store/statement.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>
#include <string.h>

enum { DOCUMENTS_MAX_BYTES = 4 << 20 };

char *statement_number(struct ctx *ctx, int64_t value)
{
    return arena_printf(ctx->arena, "%" PRId64, value);
}

const char *statement_boolean(bool value)
{
    return value ? "true" : "false";
}

const char *statement_json(struct ctx *ctx, const json_t *value)
{
    return value ? json_text(ctx->arena, value) : "[]";
}

int statement_run(struct ctx *ctx, struct pg_pool *pool, const struct statement *statement,
                  struct pg_rows *ret)
{
    TRY(FAILPOINT_BEFORE(ctx, statement->call));
    struct pg *pg;
    TRY(pg_pool_take(ctx, pool, &pg));
    int rc = store_query(ctx, pg, statement->name, statement->count, statement->values, ret);
    pg_pool_give(pool, pg);
    TRY(rc);
    return FAILPOINT_AFTER(ctx, statement->call);
}

int statement_documents(struct ctx *ctx, struct pg_pool *pool, const struct statement *statement,
                        json_t **ret)
{
    struct pg_rows rows;
    TRY(statement_run(ctx, pool, statement, &rows));
    json_t *array = arena_json(ctx->arena, json_array());
    for (int row = 0; row < rows.rows; row++) {
        const char *text = pg_value(&rows, row, 0);
        json_t *document;
        if (!text)
            continue;
        TRY(json_parse(ctx, text, strlen(text), DOCUMENTS_MAX_BYTES, &document));
        json_array_append(array, document);
    }
    *ret = array;
    return 0;
}

int64_t statement_integer(const struct pg_rows *rows, int column)
{
    int64_t value = 0;
    const char *text = rows->rows > 0 ? pg_value(rows, 0, column) : NULL;
    if (text)
        str_to_int(text, INT64_MIN, INT64_MAX, &value);
    return value;
}

int statement_guarded(struct ctx *ctx, struct pg_pool *pool, const struct statement *statement,
                      bool *ret_changed)
{
    struct pg_rows rows;
    TRY(statement_run(ctx, pool, statement, &rows));
    *ret_changed = rows.rows > 0;
    return 0;
}
