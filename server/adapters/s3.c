#include "server/adapters/s3.h"

#include "server/adapters/crypto.h"
#include "server/adapters/curl.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/xml.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADERS_MAX = 16,
    ERROR_MAX_BYTES = 64 << 10,
    MD5_BYTES = 16,
    MESSAGE_MAX_BYTES = 200,
    HTTP_PORT = 80,
    HTTPS_PORT = 443
};

struct s3_store {
    struct http_pool *http;
    char *host; /* the header's value, as libcurl sends it */
    char *region;
};

static const struct {
    const char *mode, *scheme;
    bool insecure;
    int port; /* that no Host header names */
} modes[] = {
    {"disable", "http", false, HTTP_PORT},
    {"require", "https", true, HTTPS_PORT},
    {"verify-ca", "https", false, HTTPS_PORT}, /* stricter than asked: the name counts, too */
    {"verify-full", "https", false, HTTPS_PORT},
};

/* The store's code to ours; what is not here goes by its HTTP status. */
static const struct {
    const char *code;
    enum err_code error;
} codes[] = {
    {"AccessDenied", ERR_DENIED},
    {"SignatureDoesNotMatch", ERR_DENIED},
    {"InvalidAccessKeyId", ERR_DENIED},
    {"RequestTimeTooSkewed", ERR_DENIED},
    {"UserSuspended", ERR_DENIED},
    {"NoSuchBucket", ERR_NOT_FOUND},
    {"NoSuchKey", ERR_NOT_FOUND},
    {"NoSuchUpload", ERR_NOT_FOUND},
    {"NoSuchTagSet", ERR_NOT_FOUND},
    {"NoSuchTagSetError", ERR_NOT_FOUND},
    {"NoSuchBucketPolicy", ERR_NOT_FOUND},
    {"NoSuchUser", ERR_NOT_FOUND},
    {"XAdminUserNotFound", ERR_NOT_FOUND},
    {"BucketAlreadyExists", ERR_ALREADY_EXISTS},
    {"BucketAlreadyOwnedByYou", ERR_ALREADY_EXISTS},
    {"UserAlreadyExists", ERR_ALREADY_EXISTS},
    {"UserExists", ERR_ALREADY_EXISTS},
    {"KeyExists", ERR_ALREADY_EXISTS},
    {"XAdminUserExists", ERR_ALREADY_EXISTS},
    {"PreconditionFailed", ERR_ALREADY_EXISTS},
    {"OperationAborted", ERR_CONFLICT},
    {"ConditionalRequestConflict", ERR_CONFLICT},
    {"BucketNotEmpty", ERR_CONFLICT},
    {"NotImplemented", ERR_REFUSED},
    {"MethodNotAllowed", ERR_REFUSED},
    {"SlowDown", ERR_UNAVAILABLE},
    {"ServiceUnavailable", ERR_UNAVAILABLE},
    {"InternalError", ERR_UNAVAILABLE},
    {"RequestTimeout", ERR_UNAVAILABLE},
    {"PermanentRedirect", ERR_CONFIG},
    {"AuthorizationHeaderMalformed", ERR_CONFIG}, /* another region than the store's */
};

static enum err_code error_of_status(int status)
{
    if (status >= 500 || status == 429)
        return ERR_UNAVAILABLE;
    switch (status) {
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 412:
        return ERR_ALREADY_EXISTS;
    default:
        return ERR_REFUSED;
    }
}

static char *copied(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

int s3_store_new(struct ctx *ctx, const struct s3_address *address, struct s3_store **ret)
{
    size_t mode = 0;
    const char *wanted = address->ssl_mode ? address->ssl_mode : "verify-full";
    while (mode < ARRAY_SIZE(modes) && !str_equal(modes[mode].mode, wanted))
        mode++;
    if (mode == ARRAY_SIZE(modes))
        return err_set(ctx, ERR_CONFIG, NULL, "'%s' is no TLS mode of an object store", wanted);

    bool bare = strchr(address->host, ':') && address->host[0] != '['; /* an IPv6 address */
    const char *host =
        arena_printf(ctx->arena, bare ? "[%s]" : "%s", address->host); /* both take one */
    if (address->port != modes[mode].port)
        host = arena_printf(ctx->arena, "%s:%d", host, address->port);
    struct s3_store *store = calloc(1, sizeof *store);
    if (!store)
        abort();
    store->host = copied(host);
    store->region = copied(address->region);
    store->http = http_pool_new(&(struct http_target){
        .base_url = arena_printf(ctx->arena, "%s://%s", modes[mode].scheme, host),
        .ca_pem = address->ca_pem,
        .user_agent = "flotilla",
        .insecure = modes[mode].insecure,
    });
    *ret = store;
    return 0;
}

void s3_store_free(struct s3_store *store)
{
    if (!store)
        return;
    http_pool_free(store->http);
    free(store->host);
    free(store->region);
    free(store);
}

/* ---- errors ---- */

struct complaint {
    char code[ERR_REASON_BYTES];
    char message[MESSAGE_MAX_BYTES];
};

/* One line, as our messages are; what is cut must stay UTF-8. */
static void set_text(char *to, size_t bytes, const char *text)
{
    snprintf(to, bytes, "%.*s", (int)str_fit(text, bytes - 1), text);
    for (char *at = to; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
}

/* <Error><Code/><Message/></Error>, or {"Code": ...} of radosgw's admin interface. */
static void read_complaint(struct ctx *ctx, const struct http_response *response,
                           struct complaint *ret)
{
    *ret = (struct complaint){0};
    if (response->body_bytes > ERROR_MAX_BYTES)
        return;
    if (response->body[0] == '{') {
        json_t *body = NULL;
        struct err before = ctx->err;
        if (json_parse_foreign(ctx, response->body, response->body_bytes, ERROR_MAX_BYTES, &body) <
            0)
            ctx->err = before;
        set_text(ret->code, sizeof ret->code, json_str_or(body, "Code", ""));
        return;
    }
    struct xml xml;
    xml_init(&xml, response->body, response->body_bytes);
    for (enum xml_event event; (event = xml_next(&xml)) == XML_OPEN || event == XML_CLOSE;) {
        if (event == XML_CLOSE && xml.depth <= 3 && str_equal(xml.name, "Code"))
            set_text(ret->code, sizeof ret->code, xml.text);
        if (event == XML_CLOSE && xml.depth <= 3 && str_equal(xml.name, "Message"))
            set_text(ret->message, sizeof ret->message, xml.text);
    }
}

static bool is_reason(const char *code)
{
    return str_matches(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 1,
                       ERR_REASON_BYTES - 1);
}

static int refuse(struct ctx *ctx, const struct s3_request *request,
                  const struct http_response *response)
{
    struct complaint complaint;
    read_complaint(ctx, response, &complaint);
    enum err_code error = error_of_status(response->status);
    for (size_t at = 0; at < ARRAY_SIZE(codes); at++)
        if (str_equal(codes[at].code, complaint.code))
            error = codes[at].error;
    int rc = err_set(ctx, error, is_reason(complaint.code) ? complaint.code : NULL,
                     "%s %s: the store answers %d%s%s", request->method, request->path,
                     response->status, *complaint.message ? ": " : "", complaint.message);
    ctx->err.retry_after_ms = response->retry_after_ms;
    return rc;
}

bool s3_error_is(const struct ctx *ctx, const char *code)
{
    return str_equal(ctx->err.reason, code);
}

/* ---- the request ---- */

struct header_list {
    struct sigv4_pair pair[HEADERS_MAX];
    size_t count;
};

static void add(struct header_list *list, const char *name, const char *value)
{
    if (!value)
        return;
    if (list->count == HEADERS_MAX)
        abort(); /* the callers are ours, and none has so many */
    list->pair[list->count++] = (struct sigv4_pair){.name = name, .value = value};
}

/* Some calls of S3 want it with their body, none minds. */
static const char *md5_of(struct ctx *ctx, const struct s3_request *request)
{
    unsigned char digest[MD5_BYTES];
    if (!request->body ||
        EVP_Digest(request->body, request->body_bytes, digest, NULL, EVP_md5(), NULL) != 1)
        return NULL;
    return crypto_base64(ctx->arena, digest, sizeof digest);
}

/* All headers that are ours, for the wire; Host is libcurl's. */
static const char *const *lines_of(struct ctx *ctx, const struct header_list *list,
                                   const char *authorization)
{
    const char **lines = arena_alloc(ctx->arena, (list->count + 2) * sizeof *lines);
    size_t count = 0;
    for (size_t at = 0; at < list->count; at++)
        if (!str_equal(list->pair[at].name, "Host"))
            lines[count++] =
                arena_printf(ctx->arena, "%s: %s", list->pair[at].name, list->pair[at].value);
    lines[count] = arena_printf(ctx->arena, "Authorization: %s", authorization);
    return lines;
}

int s3_call(struct ctx *ctx, struct s3_store *store, const char *access, const char *secret,
            const struct s3_request *request, struct http_response *ret)
{
    char hash[SHA256_HEX_BYTES], time[SIGV4_TIME_BYTES];
    int64_t now_s = clock_wall_ms() / 1000;
    crypto_sha256_hex(request->body ? request->body : "", request->body ? request->body_bytes : 0,
                      hash);
    struct header_list list = {.count = 0};
    add(&list, "Host", store->host);
    add(&list, "X-Amz-Content-Sha256", hash);
    add(&list, "X-Amz-Date", sigv4_time(time, now_s));
    add(&list, "Content-Type", request->content_type);
    add(&list, "Content-MD5", md5_of(ctx, request));
    for (size_t at = 0; at < request->header_count; at++)
        add(&list, request->headers[at].name, request->headers[at].value);
    const struct sigv4_request signing = {
        .method = request->method,
        .path = request->path,
        .query = request->query,
        .query_count = request->query_count,
        .headers = list.pair,
        .header_count = list.count,
        .payload_hash = hash,
        .time_s = now_s,
        .region = store->region,
        .service = "s3",
        .access_key = access,
        .secret_key = secret,
    };
    const char *query = sigv4_query(ctx->arena, request->query, request->query_count);
    const struct http_request http = {
        .method = request->method,
        .path = arena_printf(ctx->arena, "%s%s%s", sigv4_path(ctx->arena, request->path),
                             *query ? "?" : "", query),
        .headers = lines_of(ctx, &list, sigv4_authorization(ctx->arena, &signing)),
        .body = request->body,
        .body_bytes = request->body_bytes,
    };
    TRY(http_call(ctx, store->http, &http, ret));
    return ret->status >= 200 && ret->status < 300 ? 0 : refuse(ctx, request, ret);
}
