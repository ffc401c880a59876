/*
 * HTTP from its first byte: the input is what a client sends, over a real connection, to our
 * listener with the real routes and no database behind them. Whatever it is, what comes back is
 * HTTP, and now and then a usual client is served. libFuzzer's clock interrupts calls by a signal.
 */
#include "server/base/str.h"
#include "server/handlers/app.h"
#include "server/http/api.h"
#include "server/http/cursor.h"
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_BYTES = 64 << 10, PATIENCE_MS = 10, LONG_PATIENCE_MS = 20000, USUAL_EVERY = 50 };

static void route(struct ctx *ctx, struct api_call *call)
{
    struct page page;
    int rc = router_find(ctx, app_routes, call);
    if (rc == 0) {
        for (int at = 0; at < ROUTE_PARAMS_MAX; at++)
            MUST(!call->param[at] || strlen(call->param[at]) < ID_BYTES_MAX);
        const char *stranger = request_query_stranger(call->request, call->route->query);
        if (stranger)
            rc = err_set(ctx, ERR_INVALID, "UnknownParameter", "%s is not known here", stranger);
    }
    if (rc == 0)
        rc = cursor_read(ctx, call, &page);
    if (rc < 0)
        problem_write(ctx, call->request, 0, &call->errors, call->response);
    else
        response_text(ctx, call->response, 200, "text/plain", call->route->path);
}

static void answer(struct ctx *ctx, void *arg, const struct request *request,
                   struct response *response)
{
    struct api_call call = {.request = request, .response = response};
    (void)arg;
    MUST(*request->path == '/' && request->body[request->body_bytes] == '\0');
    MUST(request->body_bytes <= HTTP_REQUEST_BODY_MAX);
    route(ctx, &call);
}

static void refuse(struct ctx *ctx, void *arg, const struct request *request, int status,
                   struct response *response)
{
    (void)arg;
    problem_write(ctx, request, status, NULL, response);
}

static int listener(void)
{
    static struct http_server *server;
    if (!server) {
        const struct http_server_options options = {
            .address = "127.0.0.1", .workers = 1, .handler = answer, .refuse = refuse};
        struct ctx ctx = ctx_make(arena_new(), "fuzz");
        MUST(http_server_start(&ctx, &options, &server) == 0);
        arena_free(ctx.arena);
    }
    return http_server_port(server);
}

static int dial(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)listener()),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* without it a million connections would use up all ports */
    const struct linger reset = {.l_onoff = 1};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0);
    MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    MUST(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 || errno == EINTR);
    return fd;
}

static void send_all(int fd, const char *text, size_t bytes)
{
    ssize_t sent;
    while (bytes && (sent = TEMP_FAILURE_RETRY(send(fd, text, bytes, MSG_NOSIGNAL))) > 0) {
        text += sent;
        bytes -= (size_t)sent;
    } /* it may have had enough of us before the end */
}

/*
 * Everything until the end, or until nothing has come for a moment: what is no whole request is
 * waited for by the server, which is right and takes too long here.
 */
static size_t receive(int fd, char *got, int patience_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    size_t filled = 0;
    ssize_t count;
    while (filled < ANSWER_BYTES && TEMP_FAILURE_RETRY(poll(&ready, 1, patience_ms)) > 0) {
        count = TEMP_FAILURE_RETRY(recv(fd, got + filled, ANSWER_BYTES - filled, 0));
        if (count <= 0)
            break;
        filled += (size_t)count;
    }
    got[filled] = '\0';
    return filled;
}

static bool answers(char *got, const char *text, size_t bytes, int patience_ms, const char *start)
{
    int fd = dial();
    send_all(fd, text, bytes);
    if (!*start)
        (void)shutdown(fd, SHUT_WR); /* no more comes: there is nothing to wait for */
    size_t filled = receive(fd, got, patience_ms);
    close(fd);
    bool fits = !filled ? !*start : str_starts(got, *start ? start : "HTTP/1.");
    if (!fits)
        fprintf(stderr, "%zu bytes came back: %.200s\n", filled, got);
    return fits;
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    static const char usual[] =
        "GET /v1/tenants?limit=3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    static unsigned run;
    char *got = arena_alloc(ctx->arena, ANSWER_BYTES + 1);
    MUST(answers(got, text, bytes, PATIENCE_MS, ""));
    if (run++ % USUAL_EVERY == 0)
        MUST(answers(got, usual, strlen(usual), LONG_PATIENCE_MS, "HTTP/1.1 200 "));
}
