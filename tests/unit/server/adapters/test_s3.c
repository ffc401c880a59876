/* What a store answers, and what we make of it: one connection on loopback, one answer per row. */
#include "server/adapters/s3.h"

#include "server/adapters/curl.h"
#include "server/base/cleanup.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define XML_ERROR(code) "<?xml version=\"1.0\"?><Error><Code>" code "</Code></Error>"

static const struct {
    int status;
    const char *body;
    int rc;
    const char *reason;
} rows[] = {
    {200, "<a/>", 0, ""},
    {204, "", 0, ""},
    {403, XML_ERROR("AccessDenied"), -ERR_DENIED, "AccessDenied"},
    {403, XML_ERROR("SignatureDoesNotMatch"), -ERR_DENIED, "SignatureDoesNotMatch"},
    {403, XML_ERROR("InvalidAccessKeyId"), -ERR_DENIED, "InvalidAccessKeyId"},
    {404, XML_ERROR("NoSuchBucket"), -ERR_NOT_FOUND, "NoSuchBucket"},
    {404, XML_ERROR("NoSuchKey"), -ERR_NOT_FOUND, "NoSuchKey"},
    {409, XML_ERROR("BucketAlreadyExists"), -ERR_ALREADY_EXISTS, "BucketAlreadyExists"},
    {409, XML_ERROR("BucketAlreadyOwnedByYou"), -ERR_ALREADY_EXISTS, "BucketAlreadyOwnedByYou"},
    {409, XML_ERROR("BucketNotEmpty"), -ERR_CONFLICT, "BucketNotEmpty"},
    {503, XML_ERROR("SlowDown"), -ERR_UNAVAILABLE, "SlowDown"},
    {501, XML_ERROR("NotImplemented"), -ERR_REFUSED, "NotImplemented"},
    {404, "{\"Code\":\"NoSuchUser\"}", -ERR_NOT_FOUND, "NoSuchUser"},
    {400, XML_ERROR("not a word"), -ERR_REFUSED, "Refused"},
    {403, "", -ERR_DENIED, "Denied"},
    {404, "<html><p>no</html>", -ERR_NOT_FOUND, "NotFound"},
    {409, "{", -ERR_CONFLICT, "Conflict"},
    {412, "", -ERR_ALREADY_EXISTS, "AlreadyExists"},
    {429, "", -ERR_UNAVAILABLE, "Unavailable"},
    {500, "oops", -ERR_UNAVAILABLE, "Unavailable"},
};

static struct {
    int fd;
    char host[32], seen[8192];
    int port;
} server;

/* One connection: the request is read to the end of its head (and body), the row is the answer. */
static void *serve(void *arg)
{
    size_t row = (size_t)(uintptr_t)arg, length = 0;
    int fd = accept(server.fd, NULL, NULL);
    while (!strstr(server.seen, "\r\n\r\nbody") && length < sizeof server.seen - 1) {
        ssize_t got = recv(fd, server.seen + length, sizeof server.seen - 1 - length, 0);
        if (got <= 0)
            break;
        server.seen[length += (size_t)got] = '\0';
    }
    char answer[512];
    int bytes = snprintf(answer, sizeof answer,
                         "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                         rows[row].status, strlen(rows[row].body), rows[row].body);
    send(fd, answer, (size_t)bytes, MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

static int call(struct ctx *ctx, size_t row)
{
    static const struct sigv4_pair query[] = {{"b", "x y"}, {"acl", NULL}};
    static const struct sigv4_pair headers[] = {{"If-None-Match", "*"}};
    const struct s3_address address = {
        .host = server.host, .port = server.port, .ssl_mode = "disable", .region = "r-1"};
    const struct s3_request request = {.method = "PUT",
                                       .path = "/bucket/a/../b c",
                                       .query = query,
                                       .query_count = ARRAY_SIZE(query),
                                       .content_type = "text/plain",
                                       .headers = headers,
                                       .header_count = 1,
                                       .body = "body",
                                       .body_bytes = 4};
    struct http_response response;
    struct s3_store *store = NULL;
    pthread_t thread;
    assert_int_equal(s3_store_new(ctx, &address, &store), 0);
    memset(server.seen, 0, sizeof server.seen);
    assert_int_equal(pthread_create(&thread, NULL, serve, (void *)(uintptr_t)row), 0);
    int rc = s3_call(ctx, store, "AKID", "s3cr3t-key", &request, &response);
    pthread_join(thread, NULL);
    s3_store_free(store);
    return rc;
}

static void answers(void **state)
{
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        err_clear(ctx);
        int rc = call(ctx, at);
        if (rc != rows[at].rc || !str_equal(ctx->err.reason, rows[at].reason))
            fail_msg("row %zu: %d %s: %s", at, rc, ctx->err.reason, ctx->err.message);
        assert_null(strstr(ctx->err.message, "s3cr3t-key"));
    }
}

static void what_is_sent(void **state)
{
    assert_int_equal(call(*state, 0), 0);
    static const char *const parts[] = {
        "PUT /bucket/a/../b%20c?acl=&b=x%20y HTTP/1.1\r\n", /* as it was signed */
        "\r\nIf-None-Match: *\r\n",
        "\r\nContent-Type: text/plain\r\n",
        "\r\nContent-MD5: hBotaJrYa9FhFEdFPCLG/A==\r\n",
        "\r\nX-Amz-Content-Sha256: "
        "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5\r\n",
        "SignedHeaders=content-md5;content-type;host;if-none-match;x-amz-content-sha256;x-amz-"
        "date,",
    };
    for (size_t at = 0; at < ARRAY_SIZE(parts); at++)
        if (!strstr(server.seen, parts[at]))
            fail_msg("'%s' is not in: %s", parts[at], server.seen);
    assert_null(strstr(server.seen, "s3cr3t-key"));
}

static void tls_modes(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *mode;
        int rc;
    } modes[] = {
        {NULL, 0}, {"disable", 0}, {"require", 0}, {"verify-full", 0}, {"prefer", -ERR_CONFIG}};
    for (size_t at = 0; at < ARRAY_SIZE(modes); at++) {
        const struct s3_address address = {
            .host = "::1", .port = 443, .ssl_mode = modes[at].mode, .region = "r-1"};
        struct s3_store *store = NULL;
        assert_int_equal(s3_store_new(ctx, &address, &store), modes[at].rc);
        s3_store_free(store);
    }
}

static int start(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    server.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server.fd, (struct sockaddr *)&address, length) < 0 || listen(server.fd, 4) < 0 ||
        getsockname(server.fd, (struct sockaddr *)&address, &length) < 0)
        return -1;
    snprintf(server.host, sizeof server.host, "127.0.0.1");
    server.port = ntohs(address.sin_port);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return close(server.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers),
        TEST(what_is_sent),
        TEST(tls_modes),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
