/* Calls and streams against a small HTTP server on loopback: each path of it is one behaviour. */
#include "server/adapters/curl.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    int listener;
    pthread_t thread;
    char url[64];
    struct http_pool *pool;
    atomic_int connections;
} server;

#define ANSWER(status, headers, body) "HTTP/1.1 " status "\r\n" headers "Content-Length: " body

/* An answer per path; NULL = none comes; without Content-Length it ends with the connection. */
static const struct {
    const char *path, *answer;
} answers[] = {
    {"/plain", ANSWER("200 OK", "", "5\r\n\r\nhello")},
    {"/busy", ANSWER("429 Too Many", "Retry-After: 7\r\n", "4\r\n\r\nslow")},
    {"/empty", ANSWER("204 No Content", "", "0\r\n\r\n")},
    {"/moved", ANSWER("302 Found", "Location: /plain\r\n", "0\r\n\r\n")},
    {"/headed",
     ANSWER("200 OK", "Set-Cookie: a=1\r\nX-Total-Count: 3\r\nset-cookie: b=2\r\n", "2\r\n\r\n[]")},
    {"/refused", ANSWER("403 Forbidden", "", "6\r\n\r\nreason")},
    {"/silent", NULL},
    {"/cut", ANSWER("200 OK", "", "10\r\n\r\nfour")},
    {"/pieces", ANSWER("200 OK", "", "100\r\n\r\nabc")}, /* and then silence */
};

/* What the last request looked like. */
static struct {
    pthread_mutex_t lock;
    char text[8192];
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool saw(const char *part)
{
    pthread_mutex_lock(&seen.lock);
    bool found = strstr(seen.text, part);
    pthread_mutex_unlock(&seen.lock);
    return found;
}

static bool serve_one(int fd)
{
    char text[sizeof seen.text];
    size_t length = 0;
    char *end = NULL;
    while (!end && length < sizeof text - 1) {
        ssize_t got = recv(fd, text + length, sizeof text - 1 - length, 0);
        if (got <= 0)
            return false;
        length += (size_t)got;
        text[length] = '\0';
        end = strstr(text, "\r\n\r\n");
    }
    pthread_mutex_lock(&seen.lock);
    memcpy(seen.text, text, length + 1);
    pthread_mutex_unlock(&seen.lock);
    char path[64] = "";
    const char *blank = strchr(text, ' ');
    if (blank)
        snprintf(path, sizeof path, "%.*s", (int)strcspn(blank + 1, " "), blank + 1);
    for (size_t at = 0; at < ARRAY_SIZE(answers); at++) {
        if (!str_equal(answers[at].path, path))
            continue;
        if (!answers[at].answer)
            return recv(fd, text, 1, 0) > 0; /* until the client gives up */
        send(fd, answers[at].answer, strlen(answers[at].answer), MSG_NOSIGNAL);
        if (str_equal(path, "/pieces"))
            recv(fd, text, 1, 0);
        return !str_equal(path, "/cut") && !str_equal(path, "/pieces");
    }
    return false;
}

static void *serve_connection(void *arg)
{
    int fd = (int)(intptr_t)arg;
    while (serve_one(fd))
        ;
    close(fd);
    return NULL;
}

static void *serve(void *arg)
{
    (void)arg;
    for (int fd; (fd = accept(server.listener, NULL, NULL)) >= 0;) {
        pthread_t thread;
        server.connections++;
        if (pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
    return NULL;
}

static void write_bearer(void *arg, char out[HTTP_BEARER_BYTES])
{
    snprintf(out, HTTP_BEARER_BYTES, "%s", (const char *)arg);
}

static struct http_target target(void)
{
    static char token[] = "se-cret";
    return (struct http_target){.base_url = server.url,
                                .user_agent = "test/1",
                                .bearer = write_bearer,
                                .bearer_arg = token};
}

static int call(struct ctx *ctx, const char *path, struct http_response *ret)
{
    struct http_request request = {.method = "GET", .path = path, .accept = "text/x"};
    return http_call(ctx, server.pool, &request, ret);
}

static void test_answers(void **state)
{
    struct ctx *ctx = *state;
    struct http_response response;
    assert_int_equal(call(ctx, "/plain", &response), 0);
    assert_int_equal(response.status, 200);
    assert_string_equal(response.body, "hello");
    assert_true(saw("GET /plain HTTP/1.1\r\n"));
    assert_true(saw("Authorization: Bearer se-cret\r\n"));
    assert_true(saw("User-Agent: test/1\r\n"));
    assert_true(saw("Accept: text/x\r\n"));

    assert_int_equal(call(ctx, "/busy", &response), 0);
    assert_int_equal(response.status, 429);
    assert_int_equal(response.retry_after_ms, 7000);
    assert_int_equal(call(ctx, "/empty", &response), 0);
    assert_string_equal(response.body, "");
    assert_int_equal(call(ctx, "/moved", &response), 0);
    assert_int_equal(response.status, 302); /* not followed */
}

static void test_bodies_are_sent(void **state)
{
    struct ctx *ctx = *state;
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
    for (size_t at = 0; at < ARRAY_SIZE(methods); at++) {
        struct http_response response;
        struct http_request request = {.method = methods[at],
                                       .path = "/plain",
                                       .content_type = "application/x",
                                       .body = "{}",
                                       .body_bytes = 2};
        struct http_pool *pool = http_pool_new(&(struct http_target){.base_url = server.url});
        assert_int_equal(http_call(ctx, pool, &request, &response), 0);
        http_pool_free(pool);
        assert_true(saw(arena_printf(ctx->arena, "%s /plain HTTP", methods[at])));
        assert_true(saw("Content-Type: application/x\r\n"));
        assert_true(saw("Content-Length: 2\r\n"));
        assert_false(saw("Expect:"));
        assert_false(saw("Authorization:"));
    }
}

static void test_wanted_headers_are_kept(void **state)
{
    struct ctx *ctx = *state;
    static const char *const keep[] = {"Set-Cookie", "Link", "x-total-count", NULL};
    struct http_request request = {.method = "GET", .path = "/headed", .keep = keep};
    struct http_response response;
    assert_int_equal(http_call(ctx, server.pool, &request, &response), 0);
    assert_string_equal(response.kept[0], "a=1\nb=2");
    assert_null(response.kept[1]);
    assert_string_equal(response.kept[2], "3");
}

static void test_an_answer_may_be_bounded(void **state)
{
    struct ctx *ctx = *state;
    struct http_request request = {.method = "GET", .path = "/plain", .answer_max_bytes = 4};
    struct http_response response;
    assert_int_equal(http_call(ctx, server.pool, &request, &response), -ERR_TOO_LARGE);
    request.answer_max_bytes = 5;
    assert_int_equal(http_call(ctx, server.pool, &request, &response), 0);
}

/* One address serves many names: where to connect is not what the request names. */
static void test_connects_elsewhere(void **state)
{
    struct ctx *ctx = *state;
    const struct http_target to = {.base_url = "http://registry.example.test",
                                   .connect_to = strrchr(server.url, '/') + 1};
    struct http_request request = {.method = "GET", .path = "/plain"};
    struct http_response response;
    struct http_pool *pool = http_pool_new(&to);
    for (int at = 0; at < 2; at++) {
        assert_int_equal(http_call(ctx, pool, &request, &response), 0);
        assert_true(saw("Host: registry.example.test\r\n"));
    }
    http_pool_free(pool);
}

static void test_connections_are_kept(void **state)
{
    struct ctx *ctx = *state;
    struct http_response response;
    call(ctx, "/plain", &response);
    int before = server.connections;
    for (int at = 0; at < 20; at++)
        assert_int_equal(call(ctx, "/plain", &response), 0);
    assert_int_equal(server.connections, before);
}

static void test_failures(void **state)
{
    struct ctx *ctx = *state;
    struct http_response response;
    assert_int_equal(call(ctx, "/cut", &response), -ERR_UNAVAILABLE);

    int64_t started_ms = clock_boottime_ms();
    ctx->deadline_ms = started_ms + 150;
    assert_int_equal(call(ctx, "/silent", &response), -ERR_TIMEOUT);
    int64_t took_ms = clock_boottime_ms() - started_ms;
    assert_true(took_ms >= 100 && took_ms < 2000);
    assert_int_equal(call(ctx, "/plain", &response), -ERR_TIMEOUT);
    assert_non_null(strstr(ctx->err.message, "before sending"));
    ctx->deadline_ms = 0;

    struct http_request request = {.method = "GET", .path = "/"};
    struct http_pool *pool = http_pool_new(&(struct http_target){.base_url = "http://127.0.0.1:1"});
    assert_int_equal(http_call(ctx, pool, &request, &response), -ERR_UNAVAILABLE);
    http_pool_free(pool);
    pool = http_pool_new(&(struct http_target){.base_url = "file:///etc"});
    request.path = "/hostname";
    assert_int_equal(http_call(ctx, pool, &request, &response), -ERR_UNAVAILABLE);
    http_pool_free(pool);
}

static void test_encoding(void **state)
{
    assert_string_equal(http_encode(*state, "aZ0-._~ /?&=%\xc3\xa9"),
                        "aZ0-._~%20%2F%3F%26%3D%25%C3%A9");
    assert_string_equal(http_encode(*state, ""), "");
}

/* ---- streams ---- */

struct reader {
    struct str text;
    int status;
    char body[64], what[128];
    bool refuses;
    atomic_int ends;
    sem_t ended;
};

static bool read_piece(void *arg, const char *bytes, size_t count)
{
    struct reader *reader = arg;
    str_add_bytes(&reader->text, bytes, count);
    return !reader->refuses;
}

static void read_end(void *arg, int status, const char *body, const char *what)
{
    struct reader *reader = arg;
    reader->status = status;
    snprintf(reader->body, sizeof reader->body, "%s", body);
    snprintf(reader->what, sizeof reader->what, "%s", what ? what : "");
    reader->ends++;
    sem_post(&reader->ended);
}

static void reader_init(struct reader *reader)
{
    memset(reader, 0, sizeof *reader);
    str_init(&reader->text, 4096);
    sem_init(&reader->ended, 0, 0);
}

static void get(struct http_io *io, struct reader *reader, const char *path, int delay_ms,
                int idle_ms)
{
    struct http_target to = target();
    struct http_stream_events events = {.data = read_piece, .end = read_end, .arg = reader};
    http_io_get(io, &to, path, "text/x", delay_ms, idle_ms, &events);
}

static void test_stream_ends(void **state)
{
    (void)state;
    static const struct {
        const char *path, *text, *body, *what;
        int status;
        bool refuses;
    } rows[] = {
        {"/plain", "hello", "", "", 200, false},
        {"/plain", "hello", "", "writing", 200, true},
        {"/refused", "", "reason", "", 403, false},
        {"/cut", "four", "", "transfer closed", 200, false},
        {"/silent", "", "", "idle timeout", 0, false},
        {"/pieces", "abc", "", "idle timeout", 200, false},
    };
    struct http_io *io = http_io_new();
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        struct reader reader;
        reader_init(&reader);
        reader.refuses = rows[at].refuses;
        get(io, &reader, rows[at].path, 0, 100);
        sem_wait(&reader.ended);
        assert_int_equal(reader.status, rows[at].status);
        assert_string_equal(str_text(&reader.text), rows[at].text);
        assert_string_equal(reader.body, rows[at].body);
        assert_non_null(strstr(reader.what, rows[at].what));
        assert_int_equal(*rows[at].what != '\0', *reader.what != '\0');
        str_done(&reader.text);
    }
    http_io_free(io);
}

static void test_delay(void **state)
{
    (void)state;
    struct http_io *io = http_io_new();
    struct reader reader;
    reader_init(&reader);
    int64_t started_ms = clock_boottime_ms();
    get(io, &reader, "/plain", 120, 1000);
    sem_wait(&reader.ended);
    assert_true(clock_boottime_ms() - started_ms >= 120);
    assert_int_equal(reader.status, 200);
    str_done(&reader.text);
    http_io_free(io);
}

static void test_cancel(void **state)
{
    (void)state;
    struct http_io *io = http_io_new();
    struct reader gone, stays;
    reader_init(&gone);
    reader_init(&stays);
    get(io, &gone, "/silent", 0, 60000);
    get(io, &gone, "/plain", 60000, 60000);
    get(io, &stays, "/plain", 100, 60000);
    clock_sleep_ms(50);
    http_io_cancel(io, &gone);
    assert_int_equal(gone.ends, 0);
    sem_wait(&stays.ended);
    assert_int_equal(stays.status, 200);
    http_io_free(io);
    assert_int_equal(gone.ends, 0);
    str_done(&gone.text);
    str_done(&stays.text);
}

static void test_free_ends_all(void **state)
{
    (void)state;
    struct http_io *io = http_io_new();
    struct reader reader;
    reader_init(&reader);
    get(io, &reader, "/silent", 0, 60000);
    get(io, &reader, "/plain", 60000, 60000);
    http_io_free(io);
    assert_int_equal(reader.ends, 2);
    str_done(&reader.text);
}

static int start_server(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server.listener, (struct sockaddr *)&address, length) < 0 ||
        listen(server.listener, 16) < 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &length) < 0)
        return -1;
    snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    struct http_target to = target();
    server.pool = http_pool_new(&to);
    return pthread_create(&server.thread, NULL, serve, NULL);
}

static int stop_server(void **state)
{
    (void)state;
    http_pool_free(server.pool);
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    return close(server.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers),
        TEST(test_bodies_are_sent),
        TEST(test_connections_are_kept),
        TEST(test_wanted_headers_are_kept),
        TEST(test_an_answer_may_be_bounded),
        TEST(test_connects_elsewhere),
        TEST(test_failures),
        TEST(test_encoding),
        TEST(test_stream_ends),
        TEST(test_delay),
        TEST(test_cancel),
        TEST(test_free_ends_all),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
