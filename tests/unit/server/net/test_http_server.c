/* The listener over real sockets: slow senders, parked requests, and how it stops. */
#include "../../test.h"

#include "server/base/clock.h"
#include "server/net/http_server.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 2, PARKED_MAX = 16 };

static const struct request *_Atomic parked[PARKED_MAX];
static atomic_int parked_count;

/* /echo: the body; /slow: 300 ms; /park: parks, and says "resumed" when it is brought back. */
static void handle(struct ctx *ctx, void *arg, const struct request *request,
                   struct response *response)
{
    (void)arg;
    if (strcmp(request->path, "/slow") == 0)
        clock_sleep_ms(300);
    if (strcmp(request->path, "/park") == 0 && !request->resumed) {
        response->parked = true;
        parked[atomic_fetch_add(&parked_count, 1)] = request;
        return;
    }
    response_text(ctx, response, 200, "text/plain", request->resumed ? "resumed" : request->body);
}

static struct http_server *start_with(struct ctx *ctx, struct http_server_options options)
{
    struct http_server *server = NULL;
    options.address = "127.0.0.1";
    options.workers = WORKERS;
    options.handler = handle;
    atomic_store(&parked_count, 0);
    assert_int_equal(http_server_start(ctx, &options, &server), 0);
    return server;
}

static struct http_server *start(struct ctx *ctx, int receive_timeout_ms)
{
    return start_with(ctx, (struct http_server_options){.receive_timeout_ms = receive_timeout_ms});
}

/* From 127.0.0.<last>. */
static int dial_from(const struct http_server *server, unsigned last)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(127U << 24 | last)};
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int dial(const struct http_server *server)
{
    return dial_from(server, 1);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads up to the end of the connection. */
static const char *hear(struct ctx *ctx, int fd)
{
    char text[4096];
    size_t used = 0;
    ssize_t got;
    while (used < sizeof text - 1 && (got = recv(fd, text + used, sizeof text - 1 - used, 0)) > 0)
        used += (size_t)got;
    close(fd);
    return arena_strndup(ctx->arena, text, used);
}

static void test_echo(void **state)
{
    struct ctx *ctx = *state;
    struct http_server *server = start(ctx, 0);
    int fd = dial(server);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    const char *answer = hear(ctx, fd);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    assert_non_null(strstr(answer, "\r\n\r\nhi"));
    assert_non_null(strstr(answer, "X-Request-Id: req_"));
    http_server_stop(server);
}

/* A byte now and then keeps MHD's own timer from running out, and shall not keep ours. */
static void test_a_slow_sender_is_cut(void **state)
{
    struct ctx *ctx = *state;
    static const char *const starts[] = {
        "GET /echo HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
        "",
    };
    struct http_server *server = start(ctx, 600);
    for (size_t row = 0; row < sizeof starts / sizeof starts[0]; row++) {
        int fd = dial(server);
        int64_t started_ms = clock_boottime_ms();
        say(fd, starts[row]);
        while (send(fd, "a", 1, MSG_NOSIGNAL) == 1 && clock_boottime_ms() - started_ms < 10000)
            clock_sleep_ms(50);
        int64_t took_ms = clock_boottime_ms() - started_ms;
        assert_true(took_ms >= 500 && took_ms < 5000);
        close(fd);
    }
    http_server_stop(server);
}

/* What a health check asks; false when the connection was closed instead. */
static bool is_served(struct ctx *ctx, const struct http_server *server, unsigned last)
{
    static const char request[] = "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    int fd = dial_from(server, last);
    send(fd, request, strlen(request), MSG_NOSIGNAL); /* it may be closed by now */
    return strstr(hear(ctx, fd), "HTTP/1.1 200") != NULL;
}

static void test_an_address_leaves_connections_to_others(void **state)
{
    enum { SHARE = 3, STRANGER = 2, OTHER = 3 };
    struct ctx *ctx = *state;
    struct http_server *server =
        start_with(ctx, (struct http_server_options){.connections_per_address = SHARE});
    int held[SHARE];
    char answer[256];
    for (int at = 0; at < SHARE; at++) { /* answered, and kept: each request would renew it */
        held[at] = dial_from(server, STRANGER);
        say(held[at], "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_true(recv(held[at], answer, sizeof answer, 0) > 0);
    }
    assert_false(is_served(ctx, server, STRANGER));
    assert_true(is_served(ctx, server, OTHER));
    close(held[0]);
    int64_t until_ms = clock_boottime_ms() + 10000; /* the server has to see that it went */
    while (!is_served(ctx, server, STRANGER))
        assert_true(clock_boottime_ms() < until_ms);
    for (int at = 1; at < SHARE; at++)
        close(held[at]);
    http_server_stop(server);
}

static void test_a_parked_request_holds_no_worker(void **state)
{
    struct ctx *ctx = *state;
    struct http_server *server = start(ctx, 0);
    int waiting[WORKERS * 3];
    for (int at = 0; at < WORKERS * 3; at++) {
        waiting[at] = dial(server);
        say(waiting[at], "GET /park HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    while (atomic_load(&parked_count) < WORKERS * 3)
        clock_sleep_ms(5);
    int fd = dial(server);
    say(fd, "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(hear(ctx, fd), "HTTP/1.1 200"));
    for (int at = 0; at < WORKERS * 3; at++)
        http_server_requeue(parked[at]);
    for (int at = 0; at < WORKERS * 3; at++)
        assert_non_null(strstr(hear(ctx, waiting[at]), "resumed"));
    http_server_stop(server);
}

static void test_stop_lets_running_requests_end(void **state)
{
    struct ctx *ctx = *state;
    struct http_server *server = start(ctx, 0);
    int fd = dial(server);
    say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    clock_sleep_ms(100);
    http_server_stop(server);
    assert_non_null(strstr(hear(ctx, fd), "HTTP/1.1 200"));
}

static void test_bad_address(void **state)
{
    struct ctx *ctx = *state;
    struct http_server *server = NULL;
    const struct http_server_options options = {.address = "nowhere", .handler = handle};
    assert_int_equal(http_server_start(ctx, &options, &server), -ERR_CONFIG);
    assert_null(server);
}

static void test_header_values_are_one_line(void **state)
{
    (void)state;
    struct response response = {0};
    response_header(&response, "A", "x\r\nEvil: y");
    response_header(&response, "B", NULL);
    assert_int_equal(response.headers, 0);
    for (int at = 0; at < 2 * HTTP_HEADERS_OUT_MAX; at++)
        response_header(&response, "C", "x");
    assert_int_equal(response.headers, HTTP_HEADERS_OUT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_echo),
        TEST(test_a_slow_sender_is_cut),
        TEST(test_an_address_leaves_connections_to_others),
        TEST(test_a_parked_request_holds_no_worker),
        TEST(test_stop_lets_running_requests_end),
        TEST(test_bad_address),
        TEST(test_header_values_are_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
