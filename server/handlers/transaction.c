/*
 * One request, one transaction: scope for row security, the change with all that belongs to it, the
 * kept answer of an Idempotency-Key, commit. Nothing is kept of a request that failed.
 */
#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/handlers/app.h"
#include "server/store/operation.h"

#include <string.h>

enum { ATTEMPTS = 3, TRANSACTION_TIMEOUT_MS = 10000, KEY_MAX_BYTES = 255 };

/* What a transaction did when it ended: may it be tried once more? */
struct outcome {
    int rc;
    bool committing;
    char sqlstate[PG_SQLSTATE_BYTES];
};

/* ---- idempotency ---- */

static bool has_visible_bytes_only(const char *text)
{
    for (; *text; text++)
        if (*text < 0x21 || *text > 0x7e)
            return false;
    return true;
}

/* Canonical, so that a client that writes its JSON in another order still repeats itself. */
static const char *fingerprint_of(struct ctx *ctx, const struct request *request)
{
    json_t *body = NULL;
    const char *text = request->body;
    if (json_parse(ctx, text, request->body_bytes, HTTP_REQUEST_BODY_MAX, &body) == 0)
        text = json_text(ctx->arena, body);
    err_clear(ctx);
    char *hash = arena_alloc(ctx->arena, SHA256_HEX_BYTES);
    const char *all = arena_printf(ctx->arena, "%s\n%s\n%s", request->method, request->path, text);
    crypto_sha256_hex(all, strlen(all), hash);
    return hash;
}

/* ret->key NULL: the request carries none. */
static int idempotency_of(struct ctx *ctx, struct api_call *call, struct store_idempotency *ret)
{
    const char *key = request_header(call->request, "Idempotency-Key");
    *ret = (struct store_idempotency){0};
    if (!key)
        return 0;
    if (!*key || strlen(key) > KEY_MAX_BYTES || !has_visible_bytes_only(key))
        return err_set(ctx, ERR_INVALID, "InvalidIdempotencyKey",
                       "Idempotency-Key is 1 to %d visible ASCII characters", KEY_MAX_BYTES);
    *ret = (struct store_idempotency){
        .tenant = call->principal.provider ? "provider" : call->principal.tenant,
        .principal = call->principal.key,
        .key = key,
        .fingerprint = fingerprint_of(ctx, call->request),
    };
    return 0;
}

static int replay(struct ctx *ctx, struct api_call *call, struct pg *pg,
                  const struct store_idempotency *key)
{
    const char *fingerprint;
    struct store_answer answer = {0};
    TRY(store_idempotency_find(ctx, pg, key, &fingerprint, &answer));
    if (!fingerprint || !answer.status)
        return err_set(ctx, ERR_CONFLICT, "RequestInProgress",
                       "the first request with this Idempotency-Key has not ended");
    if (!str_equal(fingerprint, key->fingerprint))
        return err_set(ctx, ERR_UNPROCESSABLE, "IdempotencyKeyReused",
                       "this Idempotency-Key was used for another request");
    json_t *headers;
    TRY(json_parse(ctx, answer.headers, strlen(answer.headers), JSON_TEXT_MAX_BYTES, &headers));
    const char *name;
    json_t *value;
    json_object_foreach(headers, name, value)
        response_header(call->response, name, json_string_value(value));
    response_header(call->response, "Idempotency-Replayed", "true");
    api_answer_json(call, answer.status, answer.body);
    return 0;
}

/* `first` is the number of headers that were there before the handler. */
static int keep_answer(struct ctx *ctx, const struct api_call *call, struct pg *pg,
                       const struct store_idempotency *key, int first)
{
    const struct response *response = call->response;
    _cleanup_json_ json_t *headers = json_object();
    for (int at = first; at < response->headers; at++)
        json_object_set_new(headers, response->header[at].name,
                            json_string(response->header[at].value));
    struct store_answer answer = {
        .status = response->status,
        .headers = json_text(ctx->arena, headers),
        .body = call->kept_body ? call->kept_body : response->body,
    };
    return store_idempotency_save(ctx, pg, key, &answer);
}

/* ---- one attempt ---- */

static int change(struct ctx *ctx, struct api_call *call, struct pg *pg, transaction_body body)
{
    struct store_idempotency key;
    TRY(idempotency_of(ctx, call, &key));
    if (!key.key || call->dry_run)
        return body(ctx, call, pg);
    bool first;
    int headers = call->response->headers;
    TRY(store_idempotency_take(ctx, pg, &key, &first));
    if (!first)
        return replay(ctx, call, pg, &key);
    TRY(body(ctx, call, pg));
    return keep_answer(ctx, call, pg, &key, headers);
}

static struct store_scope scope_of(const struct api_call *call)
{
    return (struct store_scope){
        .tenant = call->principal.provider ? NULL : call->principal.tenant,
        .provider = call->principal.provider,
    };
}

static void attempt(struct ctx *ctx, struct api_call *call, transaction_body body, bool writes,
                    struct outcome *ret)
{
    const struct app *app = call->app;
    struct store_scope scope = scope_of(call);
    struct pg *pg = NULL;
    *ret = (struct outcome){.rc = pg_pool_take(ctx, app->pool, &pg)};
    if (ret->rc < 0)
        return;
    ret->rc = store_begin(ctx, pg, &scope);
    if (ret->rc == 0)
        ret->rc = writes ? change(ctx, call, pg, body) : body(ctx, call, pg);
    if (ret->rc == 0 && (!call->dry_run || call->kept)) {
        ret->committing = writes;
        ret->rc = writes ? store_commit(ctx, pg) : store_end(ctx, pg);
    }
    memcpy(ret->sqlstate, pg_sqlstate(pg), sizeof ret->sqlstate);
    pg_pool_give(app->pool, pg); /* rolls back what is open */
}

/* Nothing was done, and another attempt may go better. */
static bool may_try_again(const struct outcome *outcome)
{
    if (strncmp(outcome->sqlstate, "40", 2) == 0) /* deadlock: at commit too it means rolled back */
        return true;
    return outcome->rc == -ERR_UNAVAILABLE && !outcome->committing;
}

/* Words of the database about its locks say nothing to a client. */
static int explain(struct ctx *ctx, const struct outcome *outcome)
{
    if (strcmp(outcome->sqlstate, "55P03") == 0 || strncmp(outcome->sqlstate, "40", 2) == 0)
        return err_set(ctx, ERR_CONFLICT, "RequestInProgress",
                       "another request is changing the same object");
    return outcome->rc;
}

static int run(struct ctx *ctx, struct api_call *call, transaction_body body, bool writes)
{
    const struct response before = *call->response;
    int64_t latest_ms = clock_boottime_ms() + TRANSACTION_TIMEOUT_MS;
    if (!ctx->deadline_ms || ctx->deadline_ms > latest_ms)
        ctx->deadline_ms = latest_ms;
    struct outcome outcome;
    for (int number = 1;; number++) {
        attempt(ctx, call, body, writes, &outcome);
        if (outcome.rc == 0 || number == ATTEMPTS || !may_try_again(&outcome))
            break;
        err_clear(ctx);
        *call->response = before;
        call->errors.count = 0;
    }
    return outcome.rc < 0 ? explain(ctx, &outcome) : 0;
}

int transaction_read(struct ctx *ctx, struct api_call *call, transaction_body body)
{
    return run(ctx, call, body, false);
}

/* What is asked for is done to the last row, quotas and names included, and rolled back. */
static int read_dry_run(struct ctx *ctx, struct api_call *call)
{
    const char *text = request_query(call->request, "dryRun");
    if (text && !str_has_word("true false", text)) {
        field_errors_add(&call->errors, "?dryRun", "BadParameter", "true or false");
        return err_set(ctx, ERR_INVALID, "InvalidParameter", "dryRun: true or false");
    }
    call->dry_run = str_equal(text, "true");
    return 0;
}

int transaction_write(struct ctx *ctx, struct api_call *call, transaction_body body)
{
    TRY(read_dry_run(ctx, call));
    return run(ctx, call, body, true);
}
