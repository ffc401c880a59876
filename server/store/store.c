/* Transactions with their scope, and statements by name. */
#include "server/store/store.h"

#include "server/base/ctx.h"
#include "server/base/embed.h"
#include "server/base/failpoint.h"
#include "server/base/str.h"

#include <stdio.h>
#include <string.h>

enum { SCRIPT_MAX_BYTES = 1024 };

/* BEGIN and the settings in one round trip. */
int store_begin(struct ctx *ctx, struct pg *pg, const struct store_scope *scope)
{
    if (!scope)
        return pg_script(ctx, pg, "BEGIN");
    const struct {
        const char *name, *value;
    } settings[] = {
        {"flotilla.tenant", scope->tenant},
        {"flotilla.role", scope->provider ? "provider" : NULL},
        {"flotilla.key_prefix", scope->key_prefix},
    };
    _cleanup_str_ struct str script;
    str_init(&script, SCRIPT_MAX_BYTES);
    str_add(&script, "BEGIN; SET LOCAL lock_timeout = '5s'");
    for (size_t row = 0; row < sizeof settings / sizeof settings[0]; row++)
        if (settings[row].value)
            str_printf(&script, "; SET LOCAL %s = %s", settings[row].name,
                       pg_literal(ctx, pg, settings[row].value));
    TRY(FAILPOINT_BEFORE(ctx, CALL_SERVE_BEGIN));
    TRY(pg_script(ctx, pg, str_text(&script)));
    return FAILPOINT_AFTER(ctx, CALL_SERVE_BEGIN);
}

int store_commit(struct ctx *ctx, struct pg *pg)
{
    TRY(FAILPOINT_BEFORE(ctx, CALL_SERVE_COMMIT));
    int rc = pg_script(ctx, pg, "COMMIT");
    if (rc == 0)
        rc = FAILPOINT_AFTER(ctx, CALL_SERVE_COMMIT);
    if (rc == -ERR_UNAVAILABLE || rc == -ERR_TIMEOUT)
        return err_set(ctx, (enum err_code)(-rc), "OutcomeUnknown",
                       "the database did not confirm the commit; repeat the request with the same "
                       "Idempotency-Key to learn what happened");
    return rc;
}

int store_savepoint(struct ctx *ctx, struct pg *pg)
{
    return pg_script(ctx, pg, "SAVEPOINT tried");
}

int store_undo(struct ctx *ctx, struct pg *pg)
{
    return pg_script(ctx, pg, "ROLLBACK TO SAVEPOINT tried");
}

int store_end(struct ctx *ctx, struct pg *pg)
{
    return pg_script(ctx, pg, "COMMIT");
}

int store_query(struct ctx *ctx, struct pg *pg, const char *name, int count,
                const char *const values[], struct pg_rows *ret)
{
    char path[96];
    snprintf(path, sizeof path, "sql/queries/%s.sql", name);
    const struct embed_file *file = embed_find(path);
    if (!file)
        return err_set(ctx, ERR_INTERNAL, NULL, "there is no statement %s", path);
    int rc = pg_query(ctx, pg, file->data, count, values, ret);
    return rc < 0 ? err_wrap(ctx, rc, "%s", name) : 0;
}

int store_body(struct ctx *ctx, struct pg *pg, const char *name, int count,
               const char *const values[], const char **ret_body)
{
    struct pg_rows rows = {0};
    TRY(store_query(ctx, pg, name, count, values, &rows));
    *ret_body = rows.rows ? pg_field(&rows, 0, "body") : NULL;
    return 0;
}
