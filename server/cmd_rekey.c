/*
 * flotillad rekey: wraps the data key of every sealed secret with the first key of --kek-file. The
 * secrets themselves are not opened. May be ended and repeated at any time, and run beside servers
 * and beside itself: each row is changed only if it still is what was read.
 */
#include "server/adapters/kek.h"
#include "server/adapters/pg.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/process.h"
#include "server/store/sealed.h"

#include <inttypes.h>
#include <stdio.h>

enum { EXIT_ALL = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LEFT = 3, BATCH_TIMEOUT_MS = 20000 };

struct rekey {
    struct kek_ring *ring;
    struct pg_pool *pool;
    char after[64]; /* id of the last row that was looked at */
    int64_t rewrapped;
};

/* A row that does not open is told of and left: the others must not wait for it. */
static void add_change(struct ctx *ctx, struct rekey *rekey, const struct store_sealed *row,
                       json_t *changes)
{
    struct envelope envelope;
    if (envelope_rewrap(ctx, rekey->ring, &row->label, &row->envelope, &envelope) < 0) {
        log_failure(ctx, "rekey");
        err_clear(ctx);
        return;
    }
    json_array_append_new(changes,
                          json_pack("{s:s, s:s, s:s}", "id", row->label.id, "was",
                                    row->envelope.kek, "wrappedDek", envelope.wrapped_dek));
}

static int run_batch(struct ctx *ctx, struct rekey *rekey, bool *ret_more)
{
    struct store_sealed *rows;
    size_t count;
    int64_t changed;
    ctx->deadline_ms = clock_boottime_ms() + BATCH_TIMEOUT_MS;
    TRY(store_fleet_rekey_batch(ctx, rekey->pool, rekey->ring, rekey->after, &rows, &count));
    *ret_more = count > 0;
    if (count == 0)
        return 0;
    json_t *changes = arena_json(ctx->arena, json_array());
    for (size_t at = 0; at < count; at++)
        add_change(ctx, rekey, &rows[at], changes);
    snprintf(rekey->after, sizeof rekey->after, "%s", rows[count - 1].label.id);
    TRY(store_fleet_rekey_write(ctx, rekey->pool, kek_id_at(rekey->ring, 0), changes, &changed));
    rekey->rewrapped += changed;
    return 0;
}

/* A line per key: the file's, used or not, then those that wrap something and are not in it. */
static int print_counts(struct ctx *ctx, const struct rekey *rekey, int64_t *ret_left)
{
    json_t *counts, *row;
    size_t index;
    const char *id;
    ctx->deadline_ms = clock_boottime_ms() + BATCH_TIMEOUT_MS;
    TRY(store_fleet_rekey_count(ctx, rekey->pool, &counts));
    printf("rewrapped %" PRId64 "\n", rekey->rewrapped);
    for (size_t at = 0; (id = kek_id_at(rekey->ring, at)); at++)
        printf("key %s wraps %" PRId64 "%s\n", id,
               json_int_or(json_find(counts, "", "kek", id), "count", 0),
               at == 0 ? " (seals)" : "");
    *ret_left = 0;
    json_array_foreach(counts, index, row) {
        const char *kek = json_str_or(row, "kek", "");
        int64_t count = json_int_or(row, "count", 0);
        if (!str_equal(kek, kek_id_at(rekey->ring, 0)))
            *ret_left += count;
        if (!kek_find(rekey->ring, kek))
            printf("key %s wraps %" PRId64 " (not in the file)\n", kek, count);
    }
    return 0;
}

static int run(struct ctx *ctx, struct rekey *rekey, int64_t *ret_left)
{
    bool more = true;
    struct arena *arena = arena_new();
    struct ctx batch = *ctx;
    int rc = 0;
    batch.arena = arena;
    while (rc == 0 && more) {
        arena_reset(arena);
        rc = run_batch(&batch, rekey, &more);
    }
    if (rc < 0)
        ctx->err = batch.err;
    arena_free(arena);
    return rc < 0 ? rc : print_counts(ctx, rekey, ret_left);
}

int cmd_rekey(const struct config *config, int argc, char **argv)
{
    (void)argv;
    if (argc > 0 || !*config->database_fleet) {
        fputs("rekey: needs --database-fleet and --kek-file\n", stderr);
        return EXIT_USAGE;
    }
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "rekey");
    struct rekey rekey = {0};
    int64_t left = 0;
    int rc = kek_ring_open(&ctx, config->kek_file, &rekey.ring);
    if (rc == 0) {
        rekey.pool = pg_pool_new(config->database_fleet, 1, NULL);
        rc = run(&ctx, &rekey, &left);
    }
    int status = rc < 0 ? process_failed(&ctx, "rekey") : left > 0 ? EXIT_LEFT : EXIT_ALL;
    pg_pool_free(rekey.pool);
    kek_ring_free(rekey.ring);
    arena_free(arena);
    return status;
}
