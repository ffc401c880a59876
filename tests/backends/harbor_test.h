/* What the tests of the Harbor client share: the recording that answers, and short forms. */
#pragma once

#include "reconcilers/backends/harbor.h"
#include "server/adapters/curl.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "tests/backends/servers.h"

#define ADMIN_PASSWORD "Harbor12345"

static struct {
    pid_t pid;
    char url[64], address[32];
} replay;

static inline int start_replay(void **state)
{
    (void)state;
    static const char *const argv[] = {"/usr/bin/python3", "tests/backends/harbor_replay.py", NULL};
    char line[64];
    replay.pid = servers_spawn(argv, line, sizeof line);
    int port = (int)strtol(line, NULL, 10);
    snprintf(replay.address, sizeof replay.address, "127.0.0.1:%d", port);
    snprintf(replay.url, sizeof replay.url, "http://%s", replay.address);
    return replay.pid > 0 && port > 0 ? 0 : -1;
}

static inline int stop_replay(void **state)
{
    (void)state;
    kill(replay.pid, SIGTERM);
    return waitpid(replay.pid, NULL, 0) == replay.pid ? 0 : -1;
}

/* Changes the server's state by a JSON text, or asks for it only; returns what it tells. */
static inline const json_t *control(struct ctx *ctx, const char *change)
{
    struct http_pool *http = http_pool_new(&(struct http_target){.base_url = replay.url});
    const struct http_request request = {.method = change ? "POST" : "GET",
                                         .path = "/control",
                                         .body = change,
                                         .body_bytes = change ? strlen(change) : 0};
    struct http_response response;
    json_t *told = NULL;
    assert_int_equal(http_call(ctx, http, &request, &response), 0);
    assert_int_equal(response.status, 200);
    assert_int_equal(json_parse(ctx, response.body, response.body_bytes, 1 << 20, &told), 0);
    http_pool_free(http);
    return told;
}

/* How many requests the server saw that begin with this: "admin", "robot GET /api/v2.0/quotas". */
static inline int seen(struct ctx *ctx, const char *start)
{
    int count = 0;
    size_t at;
    json_t *line;
    const json_t *all = json_at(control(ctx, NULL), "seen");
    json_array_foreach(all, at, line)
        count += str_starts(json_string_value(line), start);
    return count;
}

/* The robot's password NULL: there is none yet. */
static inline struct harbor_server test_server(const char *robot_password)
{
    return (struct harbor_server){.base_url = replay.url,
                                  .admin = {"admin", ADMIN_PASSWORD},
                                  .robot = {"robot$flotilla-operator", robot_password}};
}

#define FAILS(ctx, expression, code, word)                                                         \
    do {                                                                                           \
        int test_rc_ = (expression);                                                               \
        if (test_rc_ != -(code) || !str_equal((ctx)->err.reason, (word)))                          \
            fail_msg("%s: %d %s: %s", #expression, test_rc_, (ctx)->err.reason,                    \
                     (ctx)->err.message);                                                          \
        err_clear(ctx);                                                                            \
    } while (0)

#define MARK "flotilla:11111111-2222-3333-4444-555555555555:aaaaaaaaaaaaaaaa"
#define SECRET "Aa1secretOfTheRobot"

static inline int serving(struct ctx *ctx, const struct harbor_server *server,
                          struct harbor_serving *ret)
{
    _cleanup_harbor_ struct harbor *harbor = NULL;
    TRY(harbor_open(ctx, server, &harbor));
    TRY(harbor_serving(ctx, harbor, ret));
    assert_int_equal(harbor_changes(harbor), 0);
    return 0;
}

static inline int account(struct ctx *ctx, const struct harbor_server *server, bool look,
                          const char **ret_user, int *ret_changes)
{
    _cleanup_harbor_ struct harbor *harbor = NULL;
    TRY(harbor_open(ctx, server, &harbor));
    int rc = harbor_account(ctx, harbor, MARK, look, ret_user);
    if (ret_changes)
        *ret_changes = harbor_changes(harbor);
    return rc;
}

static inline struct harbor_server with_robot(struct ctx *ctx)
{
    const struct harbor_server server = test_server(SECRET);
    const char *user = NULL;
    control(ctx, "{\"reset\": 1}");
    SUCCEEDS(ctx, account(ctx, &server, true, &user, NULL));
    return server;
}

/* As a lost lease answers. */
static inline int closed_gate(struct ctx *ctx, const struct gate *gate)
{
    (void)gate;
    return err_set(ctx, ERR_LEASE_LOST, NULL, "closed");
}
