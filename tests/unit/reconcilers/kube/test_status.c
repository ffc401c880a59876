/* What each answer of the Kubernetes API means: messages as kube-apiserver 1.36 sends them. */
#include "reconcilers/kube/status.h"

#include "server/adapters/curl.h"
#include "server/base/cleanup.h"
#include "tests/unit/test.h"

#include <string.h>

#define UID_CAUSE                                                                                  \
    "\"details\":{\"causes\":[{\"reason\":\"FieldValueInvalid\",\"field\":\"metadata.uid\"}]}"
#define TERMINATING                                                                                \
    "\"details\":{\"causes\":[{\"reason\":\"NamespaceTerminating\","                               \
    "\"field\":\"metadata.namespace\"}]}"

static const struct {
    int http;
    const char *body;
    int rc;
    const char *reason, *message;
    int retry_after_ms;
} rows[] = {
    {200, "{}", 0, "", "", 0},
    {201, "{}", 0, "", "", 0},
    {409, "{\"reason\":\"AlreadyExists\",\"message\":\"taken\"}", -ERR_ALREADY_EXISTS,
     "AlreadyExists", "apply X: taken (HTTP 409)", 0},
    {409, "{\"reason\":\"Conflict\",\"message\":\"stale\"}", -ERR_CONFLICT, "Conflict",
     "apply X: stale (HTTP 409)", 0},
    {422, "{\"message\":\"m\"," UID_CAUSE "}", -ERR_CONFLICT, "Conflict", "apply X: m (HTTP 422)",
     0},
    {422, "{\"message\":\"spec.x: bad\"}", -ERR_INVALID, "Invalid",
     "apply X: spec.x: bad (HTTP 422)", 0},
    {400, "{\"message\":\"unknown field\"}", -ERR_INVALID, "Invalid",
     "apply X: unknown field (HTTP 400)", 0},
    {500, "{\"message\":\"failed to create typed patch object (/x): .dta: not declared\"}",
     -ERR_INVALID, "Invalid",
     "apply X: failed to create typed patch object (/x): .dta: not declared (HTTP 500)", 0},
    {500, "{\"message\":\"etcdserver: leader changed\"}", -ERR_UNAVAILABLE, "Unavailable",
     "apply X: etcdserver: leader changed (HTTP 500)", 0},
    {403, "{\"message\":\"no\",\"reason\":\"Forbidden\"," TERMINATING "}", -ERR_REFUSED,
     "NamespaceTerminating", "apply X: no (HTTP 403)", 0},
    {403, "{\"message\":\"no\",\"reason\":\"Forbidden\"}", -ERR_DENIED, "Denied",
     "apply X: no (HTTP 403)", 0},
    {401, "Unauthorized\nsecond line", -ERR_DENIED, "Denied", "apply X: Unauthorized (HTTP 401)",
     0},
    {404, "404 page not found\n", -ERR_NOT_FOUND, "NotFound",
     "apply X: 404 page not found (HTTP 404)", 0},
    {410, "{\"reason\":\"Expired\",\"message\":\"old\"}", -ERR_GONE, "Gone",
     "apply X: old (HTTP 410)", 0},
    {429, "{\"message\":\"slow\",\"details\":{\"retryAfterSeconds\":3}}", -ERR_RATE_LIMITED,
     "RateLimited", "apply X: slow (HTTP 429)", 3000},
    {503, "", -ERR_UNAVAILABLE, "Unavailable", "apply X:  (HTTP 503)", 0},
    {504, "{\"message\":\"late\"}", -ERR_TIMEOUT, "Timeout", "apply X: late (HTTP 504)", 0},
    {413, "{}", -ERR_TOO_LARGE, "TooLarge", "apply X:  (HTTP 413)", 0},
    {418, "{}", -ERR_REFUSED, "Refused", "apply X:  (HTTP 418)", 0},
    {302, "", -ERR_PROTOCOL, "ProtocolError", "apply X:  (HTTP 302)", 0},
};

static void test_table(void **state)
{
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        err_clear(ctx);
        struct http_response response = {.status = rows[at].http,
                                         .body = arena_strdup(ctx->arena, rows[at].body),
                                         .body_bytes = strlen(rows[at].body)};
        assert_int_equal(status_check(ctx, &response, "apply X"), rows[at].rc);
        assert_string_equal(ctx->err.reason, rows[at].reason);
        assert_string_equal(ctx->err.message, rows[at].message);
        assert_int_equal(ctx->err.retry_after_ms, rows[at].retry_after_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
