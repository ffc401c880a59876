/*
 * How we speak with an object store: every call is named in calls.def, counted, and framed by its
 * failpoints. A change asks the lease's gate after its failpoint, so that a worker which hung
 * before sending sends nothing once its lease is lost. Secrets are in bodies and signatures only.
 */
#include "reconcilers/backends/s3_session.h"

#include "reconcilers/backends/gate.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/base/xml.h"
#include "server/net/metrics.h"

#include <string.h>

enum {
    BODY_MAX_BYTES = 1 << 20,
    /* The caller holds a lock and a place at another pool meanwhile: a store that hangs must not
     * keep them. Emptying takes the time that the pass has. */
    CALL_MS = 5000,
    /* A part of a dump is large. Less than what the session that holds the lock may idle. */
    PART_MS = 15000,
};

static const struct s3_driver *const drivers[] = {&s3_versitygw, &s3_radosgw, &s3_static};

static const char identity_letters[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char key_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
enum { IDENTITY_LENGTH = 16, SUFFIX_MAX = 32, SECRET_MIN = 16, SECRET_MAX = 128 };

char *s3_name(struct ctx *ctx, const char *identity)
{
    return arena_printf(ctx->arena, "t-%s", identity);
}

char *s3_prefix(struct ctx *ctx, const char *identity)
{
    return arena_printf(ctx->arena, "t-%s-", identity);
}

char *s3_mark(struct ctx *ctx, const struct s3_pool *pool, const char *identity)
{
    return arena_printf(ctx->arena, "flotilla:%s:%s", pool->cell, identity);
}

const char *s3_identity_of(const struct s3 *s3, const char *mark)
{
    static const char start[] = "flotilla:";
    size_t cell = strlen(s3->pool->cell);
    if (!mark || !str_starts(mark, start) || !str_starts(mark + sizeof start - 1, s3->pool->cell) ||
        mark[sizeof start - 1 + cell] != ':')
        return NULL;
    const char *identity = mark + sizeof start + cell;
    return str_matches(identity, identity_letters, IDENTITY_LENGTH, IDENTITY_LENGTH) ? identity
                                                                                     : NULL;
}

/* ---- begin and end ---- */

int s3_enter(struct ctx *ctx, const struct s3_pool *pool, struct s3 **ret)
{
    struct s3 *s3 = arena_alloc(ctx->arena, sizeof *s3);
    s3->pool = pool;
    for (size_t at = 0; at < ARRAY_SIZE(drivers); at++)
        if (str_equal(drivers[at]->name, pool->driver))
            s3->driver = drivers[at];
    if (!s3->driver)
        return err_set(ctx, ERR_CONFIG, NULL, "pool '%s' has no object store driver '%s'",
                       pool->name, pool->driver ? pool->driver : "");
    if (s3->driver->administered && (!pool->access_key || !pool->secret_key))
        return err_set(ctx, ERR_CONFIG, NULL, "pool '%s' has no administrator's key", pool->name);
    const struct s3_address address = {.host = pool->host,
                                       .port = pool->port,
                                       .ssl_mode = pool->ssl_mode,
                                       .ca_pem = pool->ca_pem,
                                       .region = pool->region};
    TRY(s3_store_new(ctx, &address, &s3->store));
    int rc = backend_gate_enter(ctx, pool->gates, pool->name);
    if (rc < 0) {
        s3_store_free(s3->store);
        return rc;
    }
    *ret = s3;
    return 0;
}

void s3_end(struct s3 *s3)
{
    if (!s3 || !s3->store)
        return;
    s3_store_free(s3->store);
    s3->store = NULL;
    backend_gate_leave(s3->pool->gates, s3->pool->name, !s3->unreachable);
}

/* What goes into names, policies and XML is of letters that need no encoding anywhere. */
static int check_want(struct ctx *ctx, const struct s3 *s3, const struct s3_want *want)
{
    bool administered = s3->driver->administered;
    if (!str_matches(want->identity, identity_letters, IDENTITY_LENGTH, IDENTITY_LENGTH))
        return err_set(ctx, ERR_INVALID, NULL, "'%s' is no identity", want->identity);
    if (!administered && (!want->bucket || !want->keys[0].access || !want->keys[0].secret))
        return err_set(ctx, ERR_INVALID, NULL, "pool '%s' is static: it needs a bucket and its key",
                       s3->pool->name);
    for (int at = 0; administered && at < S3_KEYS_MAX && want->keys[at].access; at++) {
        const struct s3_key *key = &want->keys[at];
        size_t start = strlen(s3->prefix);
        if (!str_starts(key->access, s3->prefix) ||
            !str_matches(key->access + start, key_letters, 1, SUFFIX_MAX) || !key->secret ||
            !str_matches(key->secret, key_letters, SECRET_MIN, SECRET_MAX))
            return err_set(ctx, ERR_INVALID, NULL, "key %d of '%s' is not of the agreed form", at,
                           s3->bucket);
    }
    return 0;
}

int s3_begin(struct ctx *ctx, const struct s3_pool *pool, const struct s3_want *want,
             struct s3 **ret)
{
    struct s3 *s3 = NULL;
    TRY(s3_enter(ctx, pool, &s3));
    s3->want = want;
    s3->prefix = s3_prefix(ctx, want->identity);
    s3->mark = s3_mark(ctx, pool, want->identity);
    s3->bucket = s3->driver->administered ? s3_name(ctx, want->identity) : want->bucket;
    int rc = check_want(ctx, s3, want);
    if (rc < 0) {
        s3_end(s3);
        return rc;
    }
    *ret = s3;
    return 0;
}

int s3_changes(const struct s3 *s3)
{
    return s3->changes;
}

const struct s3_key *s3_worker(const struct s3 *s3)
{
    return s3->driver->administered ? NULL : &s3->want->keys[0];
}

/* ---- calls ---- */

static int send(struct ctx *ctx, struct s3 *s3, enum call call, const struct s3_key *key,
                const struct s3_request *request, struct http_response *ret)
{
    struct http_response unread;
    struct http_response *response = ret ? ret : &unread;
    int64_t deadline_ms = ctx->deadline_ms;
    bool part = call == CALL_S3_DUMP_WRITE || call == CALL_S3_DUMP_READ;
    if (call != CALL_S3_OBJECTS_DELETE)
        ctx->deadline_ms = clock_boottime_ms() + ctx_left_ms(ctx, part ? PART_MS : CALL_MS);
    int rc = s3_call(ctx, s3->store, key ? key->access : s3->pool->access_key,
                     key ? key->secret : s3->pool->secret_key, request, response);
    ctx->deadline_ms = deadline_ms;
    s3->unreachable = rc < 0 && response->status == 0;
    metric_add(METRIC_EXTERNAL_CALLS, 1, call_row(call)->name, rc == 0 ? "ok" : ctx->err.reason);
    TRY(rc);
    return FAILPOINT_AFTER(ctx, call);
}

int s3_query(struct ctx *ctx, struct s3 *s3, enum call call, const struct s3_key *key,
             const struct s3_request *request, struct http_response *ret)
{
    TRY(FAILPOINT_BEFORE(ctx, call));
    return send(ctx, s3, call, key, request, ret);
}

int s3_write(struct ctx *ctx, struct s3 *s3, enum call call, const struct s3_key *key,
             const struct s3_request *request, struct http_response *ret)
{
    TRY(FAILPOINT_BEFORE(ctx, call));
    TRY(ctx_may_write(ctx));
    return send(ctx, s3, call, key, request, ret);
}

int s3_change(struct ctx *ctx, struct s3 *s3, enum call call, const struct s3_request *request)
{
    s3->changes++;
    return s3_write(ctx, s3, call, s3_worker(s3), request, NULL);
}

int s3_maybe(struct ctx *ctx, int rc, bool *found)
{
    *found = rc == 0;
    if (rc != -ERR_NOT_FOUND)
        return rc;
    err_clear(ctx);
    return 0;
}

int s3_look(struct ctx *ctx, struct s3 *s3, enum call call, const struct s3_key *key,
            const char *prefix, const char *name, bool *any, bool *found)
{
    const struct sigv4_pair query[] = {
        {"list-type", "2"}, {"prefix", prefix}, {"max-keys", name ? "1000" : "1"}};
    const struct s3_request request = {.method = "GET",
                                       .path = arena_printf(ctx->arena, "/%s", s3->bucket),
                                       .query = query,
                                       .query_count = ARRAY_SIZE(query)};
    struct http_response response;
    struct xml xml;
    enum xml_event event;
    TRY(s3_query(ctx, s3, call, key, &request, &response));
    *any = *found = false;
    xml_init(&xml, response.body, response.body_bytes);
    while ((event = xml_next(&xml)) <= XML_CLOSE) {
        if (event != XML_CLOSE || xml.depth != 3 || !str_equal(xml.name, "Key"))
            continue;
        *any = true;
        *found |= name && str_equal(xml.text, name);
    }
    if (event == XML_BAD)
        return err_set(ctx, ERR_PROTOCOL, NULL, "the list of bucket '%s' is no XML", s3->bucket);
    return 0;
}

char *s3_xml(struct ctx *ctx, const char *text)
{
    static const char reserved[] = "&<>\"'\r\n\t";
    struct str out;
    str_init(&out, BODY_MAX_BYTES);
    for (const char *at = text; *at; at++) {
        if (strchr(reserved, *at))
            str_printf(&out, "&#%d;", *at);
        else
            str_add_bytes(&out, at, 1);
    }
    char *copy = arena_strdup(ctx->arena, str_text(&out));
    str_done(&out);
    return copy;
}
