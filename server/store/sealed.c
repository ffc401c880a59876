#include "server/store/sealed.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/store/statement.h"

static struct store_sealed sealed_of(const json_t *document)
{
    return (struct store_sealed){
        .label = {.tenant = json_str(document, "tenant"),
                  .owner = json_str(document, "owner"),
                  .purpose = json_str(document, "purpose"),
                  .id = json_str(document, "id")},
        .envelope = {.kek = json_str(document, "kek"),
                     .wrapped_dek = json_str(document, "wrappedDek"),
                     .sealed = json_str(document, "sealed")},
    };
}

int store_fleet_sealed(struct ctx *ctx, struct pg_pool *pool, const char *registry,
                       struct store_sealed *ret, bool *ret_found)
{
    const struct statement statement = {"fleet_sealed", CALL_FLEET_SECRET_READ, {registry}, 1};
    json_t *documents;
    TRY(statement_documents(ctx, pool, &statement, &documents));
    *ret_found = json_array_size(documents) > 0;
    *ret = sealed_of(json_array_get(documents, 0));
    return 0;
}

int store_fleet_shred(struct ctx *ctx, struct pg_pool *pool, const char *registry,
                      bool *ret_changed)
{
    const struct statement statement = {"fleet_shred", CALL_FLEET_SHRED, {registry}, 1};
    return statement_guarded(ctx, pool, &statement, ret_changed);
}

int store_fleet_seal_again(struct ctx *ctx, struct pg_pool *pool, const char *registry,
                           const struct envelope *envelope)
{
    const struct statement statement = {
        "fleet_seal_again",
        CALL_FLEET_SEAL_AGAIN,
        {registry, envelope->kek, envelope->wrapped_dek, envelope->sealed},
        4,
    };
    bool is_changed; /* or somebody else was first: who reads again sees either */
    return statement_guarded(ctx, pool, &statement, &is_changed);
}

int store_fleet_undelivered(struct ctx *ctx, struct pg_pool *pool, const char *cell)
{
    const struct statement statement = {"fleet_undelivered", CALL_FLEET_ENQUEUE, {cell}, 1};
    struct pg_rows rows;
    return statement_run(ctx, pool, &statement, &rows);
}

static json_t *ids_of(struct ctx *ctx, const struct kek_ring *ring)
{
    json_t *ids = arena_json(ctx->arena, json_array());
    const char *id;
    for (size_t at = 0; (id = kek_id_at(ring, at)); at++)
        json_array_append_new(ids, json_string(id));
    return ids;
}

int store_fleet_rekey_batch(struct ctx *ctx, struct pg_pool *pool, const struct kek_ring *ring,
                            const char *after, struct store_sealed **ret, size_t *ret_count)
{
    const struct statement statement = {
        "fleet_rekey_batch",
        CALL_REKEY_READ,
        {kek_id_at(ring, 0), after, statement_json(ctx, ids_of(ctx, ring))},
        3,
    };
    json_t *documents, *document;
    size_t index;
    TRY(statement_documents(ctx, pool, &statement, &documents));
    *ret_count = json_array_size(documents);
    *ret = arena_alloc(ctx->arena, *ret_count * sizeof **ret);
    json_array_foreach(documents, index, document)
        (*ret)[index] = sealed_of(document);
    return 0;
}

int store_fleet_rekey_write(struct ctx *ctx, struct pg_pool *pool, const char *first,
                            const json_t *changes, int64_t *ret_changed)
{
    const struct statement statement = {
        "fleet_rekey_write", CALL_REKEY_WRITE, {first, statement_json(ctx, changes)}, 2};
    struct pg_rows rows;
    TRY(statement_run(ctx, pool, &statement, &rows));
    *ret_changed = statement_integer(&rows, 0);
    return 0;
}

int store_fleet_rekey_count(struct ctx *ctx, struct pg_pool *pool, json_t **ret)
{
    const struct statement statement = {"fleet_rekey_count", CALL_REKEY_COUNT, {NULL}, 0};
    return statement_documents(ctx, pool, &statement, ret);
}
