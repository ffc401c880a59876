#include "reconcilers/backends/dump.h"

#include "reconcilers/backends/gate.h"
#include "reconcilers/backends/s3_session.h"
#include "reconcilers/backends/session.h"
#include "server/adapters/child.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>

enum {
    PART_BYTES = 8 << 20,
    PARTS_MAX = 16384,      /* 128 GiB: a database that is no registry's any more */
    PART_MS = 300000,       /* for one part, whoever is slow */
    COMMIT_MS = 30 * 60000, /* indexes and foreign keys come last */
};

/* The pass gets its own deadline back, and both pools the place that others had meanwhile. */
struct transfer {
    struct ctx *ctx;
    const struct dump_work *work;
    int64_t deadline_ms;
    struct child *child;
    struct crypto_sum *sum;
    char *part;
};

static void begin(struct transfer *transfer, struct ctx *ctx, const struct dump_work *work)
{
    const struct postgres_pool *database = work->pg->pool;
    const struct s3_pool *store = work->s3->pool;
    backend_gate_lend(database->gates, database->name);
    backend_gate_lend(store->gates, store->name);
    *transfer = (struct transfer){.ctx = ctx,
                                  .work = work,
                                  .deadline_ms = ctx->deadline_ms,
                                  .sum = crypto_sum_new(),
                                  .part = malloc(PART_BYTES)};
    if (!transfer->part)
        abort();
}

static void give_time(const struct transfer *transfer, int64_t ms)
{
    transfer->ctx->deadline_ms = clock_boottime_ms() + ms;
}

static void end(struct transfer *transfer)
{
    child_end(transfer->child);
    crypto_sum_free(transfer->sum);
    free(transfer->part);
    transfer->ctx->deadline_ms = transfer->deadline_ms;
    const struct postgres_pool *database = transfer->work->pg->pool;
    const struct s3_pool *store = transfer->work->s3->pool;
    backend_gate_return(database->gates, database->name);
    backend_gate_return(store->gates, store->name);
}
#define _cleanup_transfer_ __attribute__((cleanup(end)))

static char *path_of(struct ctx *ctx, const struct s3 *s3, const char *prefix, int number)
{
    return arena_printf(ctx->arena, "/%s/%s%05d", s3->bucket, prefix, number);
}

/* ---- into the bucket ---- */

static int put_part(struct ctx *ctx, struct s3 *s3, const char *path, const char *bytes,
                    size_t count)
{
    const struct s3_request request = {.method = "PUT",
                                       .path = path,
                                       .content_type = "application/octet-stream",
                                       .body = bytes,
                                       .body_bytes = count};
    return s3_change(ctx, s3, CALL_S3_DUMP_WRITE, &request);
}

static int put_all(struct ctx *ctx, const struct dump_work *work, struct transfer *transfer,
                   struct dump *dump)
{
    for (size_t bytes = PART_BYTES; bytes == PART_BYTES; dump->parts++) {
        give_time(transfer, PART_MS);
        if (dump->parts == PARTS_MAX)
            return err_set(ctx, ERR_TOO_LARGE, "DumpTooLarge", "the dump has more than %d parts",
                           PARTS_MAX);
        TRY(child_read(ctx, transfer->child, transfer->part, PART_BYTES, &bytes));
        TRY(put_part(ctx, work->s3, path_of(ctx, work->s3, dump->prefix, dump->parts),
                     transfer->part, bytes));
        crypto_sum_add(transfer->sum, transfer->part, bytes);
        dump->bytes += (int64_t)bytes;
    }
    crypto_sum_hex(transfer->sum, dump->sha256);
    return child_finish(ctx, transfer->child);
}

int dump_write(struct ctx *ctx, const struct dump_work *work, struct dump *ret)
{
    _cleanup_transfer_ struct transfer transfer;
    struct dump dump = {.prefix = ret->prefix};
    begin(&transfer, ctx, work);
    give_time(&transfer, PART_MS);
    TRY(s3_remove_under(ctx, work->s3, DUMP_FOLDER));
    TRY(postgres_dump_start(ctx, work->pg, &work->login, work->tools, &transfer.child));
    TRY(put_all(ctx, work, &transfer, &dump));
    TRY(FAILPOINT_AFTER(ctx, CALL_PG_DUMP));
    *ret = dump;
    return 0;
}

/* ---- and back ---- */

/* The answer is as large as a part: it has an arena of its own, or the pass would keep them all. */
static int get_part(struct ctx *ctx, struct s3 *s3, const char *path, struct transfer *transfer,
                    size_t *ret_bytes)
{
    const struct s3_request request = {.method = "GET", .path = path};
    struct http_response response = {0};
    struct ctx inner = *ctx;
    inner.arena = arena_new();
    int rc = s3_query(&inner, s3, CALL_S3_DUMP_READ, s3_worker(s3), &request, &response);
    ctx->err = inner.err;
    if (rc == 0 && response.body_bytes > PART_BYTES)
        rc = err_set(ctx, ERR_REFUSED, "DumpDamaged", "%s is larger than it was", path);
    if (rc == 0) {
        memcpy(transfer->part, response.body, response.body_bytes);
        *ret_bytes = response.body_bytes;
    }
    arena_free(inner.arena);
    return rc;
}

/* The last part is given only when all of them are what was written: its end commits. */
static int check_sum(struct ctx *ctx, const struct transfer *transfer, const struct dump *dump)
{
    char sha256[SHA256_HEX_BYTES];
    crypto_sum_hex(transfer->sum, sha256);
    if (str_equal(sha256, dump->sha256))
        return 0;
    return err_set(ctx, ERR_REFUSED, "DumpDamaged", "the dump %s is not what was written",
                   dump->prefix);
}

int dump_read(struct ctx *ctx, const struct dump_work *work, const struct dump *dump)
{
    _cleanup_transfer_ struct transfer transfer;
    begin(&transfer, ctx, work);
    give_time(&transfer, PART_MS);
    TRY(postgres_restore_start(ctx, work->pg, &work->login, work->tools, &transfer.child));
    for (int number = 0; number < dump->parts; number++) {
        size_t bytes = 0;
        give_time(&transfer, PART_MS);
        TRY(get_part(ctx, work->s3, path_of(ctx, work->s3, dump->prefix, number), &transfer,
                     &bytes));
        crypto_sum_add(transfer.sum, transfer.part, bytes);
        if (number == dump->parts - 1)
            TRY(check_sum(ctx, &transfer, dump));
        TRY(child_write(ctx, transfer.child, transfer.part, bytes));
    }
    give_time(&transfer, COMMIT_MS);
    TRY(child_finish(ctx, transfer.child));
    return FAILPOINT_AFTER(ctx, CALL_PG_RESTORE);
}
