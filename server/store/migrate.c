/*
 * The schema: forward only, file by file, one process at a time. What was applied is recorded with
 * its checksum, so that an edited file or a binary older than its database is noticed before harm.
 */
#include "server/adapters/crypto.h"
#include "server/base/ctx.h"
#include "server/base/embed.h"
#include "server/base/str.h"
#include "server/store/store.h"

#include <stdio.h>

enum { APPLIED_NAME_COLUMN = 1, APPLIED_CHECKSUM_COLUMN = 2 };

/* The lock is held on this session; lock_timeout bounds the wait for another migration, and keeps
 * us from queueing behind a long transaction, where everybody else would queue behind us. */
static const char prepare_sql[] =
    "SET client_min_messages = warning; SET lock_timeout = '5s'; SET idle_session_timeout = '60s';"
    "SELECT pg_advisory_lock(hashtextextended('flotilla.schema', 0));"
    "CREATE TABLE IF NOT EXISTS schema_migration ("
    "  version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
    "  applied_at timestamptz NOT NULL DEFAULT now())";

static void checksum_of(const struct embed_file *file, char out[SHA256_HEX_BYTES])
{
    crypto_sha256_hex(file->data, file->bytes, out);
}

/* "sql/migrations/0007_x.sql" is version 7; versions count from 1 without gaps. */
static int check_numbering(struct ctx *ctx, const struct embed_file *files, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        char start[64];
        snprintf(start, sizeof start, "sql/migrations/%04zu_", at + 1);
        if (!str_starts(files[at].path, start))
            return err_set(ctx, ERR_INTERNAL, NULL, "%s should be migration %zu", files[at].path,
                           at + 1);
    }
    return 0;
}

/* Every applied migration is one that we carry, byte for byte, as far as we carry them. */
static int compare(struct ctx *ctx, const struct pg_rows *applied, const struct embed_file *files,
                   size_t count)
{
    for (size_t at = 0; at < (size_t)applied->rows && at < count; at++) {
        char checksum[SHA256_HEX_BYTES];
        checksum_of(&files[at], checksum);
        if (!str_equal(pg_value(applied, (int)at, APPLIED_CHECKSUM_COLUMN), checksum))
            return err_set(ctx, ERR_CONFIG, "SchemaChanged",
                           "migration %s was applied with another content than %s has",
                           pg_value(applied, (int)at, APPLIED_NAME_COLUMN), files[at].path);
    }
    return 0;
}

static int apply(struct ctx *ctx, struct pg *pg, const struct embed_file *file, size_t version)
{
    char checksum[SHA256_HEX_BYTES];
    checksum_of(file, checksum);
    const char *values[] = {arena_printf(ctx->arena, "%zu", version), file->path, checksum};
    TRY(pg_script(ctx, pg, "BEGIN"));
    int rc = pg_script(ctx, pg, file->data);
    if (rc == 0)
        rc = store_query(ctx, pg, "schema_insert", 3, values, NULL);
    if (rc == 0)
        rc = pg_script(ctx, pg, "COMMIT");
    return rc < 0 ? err_wrap(ctx, rc, "%s", file->path) : 0;
}

/* All views in one transaction: they are derived, and CREATE OR REPLACE of an equal one is cheap.
 */
static int apply_views(struct ctx *ctx, struct pg *pg)
{
    const struct embed_file *views;
    size_t count = embed_list("sql/views/", &views);
    TRY(pg_script(ctx, pg, "BEGIN"));
    for (size_t at = 0; at < count; at++) {
        int rc = pg_script(ctx, pg, views[at].data);
        if (rc < 0)
            return err_wrap(ctx, rc, "%s", views[at].path);
    }
    return pg_script(ctx, pg, "COMMIT");
}

static int migrate(struct ctx *ctx, struct pg *pg, int *ret_applied)
{
    const struct embed_file *files;
    size_t count = embed_list("sql/migrations/", &files);
    TRY(check_numbering(ctx, files, count));
    int rc = pg_script(ctx, pg, prepare_sql);
    if (rc < 0)
        return err_wrap(ctx, rc, "cannot lock the schema (another migration may be running)");
    struct pg_rows applied;
    TRY(store_query(ctx, pg, "schema_applied", 0, NULL, &applied));
    TRY(compare(ctx, &applied, files, count));
    if ((size_t)applied.rows > count)
        return err_set(ctx, ERR_CONFIG, "SchemaNewer",
                       "the database is at version %d, this program knows %zu", applied.rows,
                       count);
    for (size_t at = (size_t)applied.rows; at < count; at++)
        TRY(apply(ctx, pg, &files[at], at + 1));
    TRY(apply_views(ctx, pg));
    if (ret_applied)
        *ret_applied = (int)count - applied.rows;
    return 0;
}

int store_migrate(struct ctx *ctx, const char *conninfo, int *ret_applied)
{
    struct pg *pg;
    TRY(pg_open(ctx, conninfo, &pg));
    int rc = migrate(ctx, pg, ret_applied);
    pg_close(pg); /* an open transaction ends, and the lock with it */
    return rc;
}

int store_version_check(struct ctx *ctx, struct pg *pg)
{
    const struct embed_file *files;
    size_t count = embed_list("sql/migrations/", &files);
    struct pg_rows applied;
    int rc = store_query(ctx, pg, "schema_applied", 0, NULL, &applied);
    if (rc == -ERR_UNAVAILABLE || rc == -ERR_TIMEOUT)
        return rc;
    if (rc < 0 || (size_t)applied.rows < count)
        return err_set(ctx, ERR_CONFIG, "SchemaTooOld",
                       "the database is at version %d, this program needs %zu: run migrate",
                       rc < 0 ? 0 : applied.rows, count);
    return compare(ctx, &applied, files, count);
}
