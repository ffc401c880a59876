/* Does a Harbor serve, and how we speak with it: against tests/backends/harbor_replay.py, a
 * recording that keeps the rules, not a Harbor. */
#include "tests/backends/harbor_test.h"

static void serves(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = test_server(NULL);
    struct harbor_serving found;
    control(ctx, "{\"reset\": 1}");
    SUCCEEDS(ctx, serving(ctx, &server, &found));
    assert_true(found.healthy && found.token);
    assert_int_equal(found.components, 7);
    assert_string_equal(found.unhealthy, "");
    assert_null(found.refusal);
    assert_null(found.version); /* told to who logs in only */
    assert_int_equal(seen(ctx, "nobody GET"), 2);
    assert_int_equal(seen(ctx, "admin"), 0);
}

static void names_what_is_unhealthy(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = test_server(NULL);
    struct harbor_serving found;
    control(ctx, "{\"reset\": 1, \"set\": {\"jobservice\": false}}");
    SUCCEEDS(ctx, serving(ctx, &server, &found));
    assert_false(found.healthy);
    assert_true(found.token);
    assert_string_equal(found.unhealthy, "jobservice");
}

/* The trap of a PKCS#8 key: healthy, and nobody can log in. */
static void sees_that_core_cannot_sign(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = test_server(NULL);
    struct harbor_serving found;
    control(ctx, "{\"reset\": 1, \"set\": {\"signs\": false}}");
    SUCCEEDS(ctx, serving(ctx, &server, &found));
    assert_true(found.healthy);
    assert_false(found.token);
    assert_non_null(strstr(found.refusal, "/service/token: Harbor answers 500"));
    assert_int_equal(ctx->err.code, 0);
}

static void other_answers_are_no_verdict(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = test_server(NULL);
    struct harbor_serving found;
    static const struct {
        const char *answer;
        int code;
        const char *reason;
    } rows[] = {
        {"[200, \"<html>welcome</html>\"]", ERR_PROTOCOL, "ProtocolError"},
        {"[200, \"{}\"]", ERR_PROTOCOL, "ProtocolError"},
        {"[200, \"\"]", ERR_PROTOCOL, "ProtocolError"},
        {"[503, \"down\"]", ERR_UNAVAILABLE, "HarborFailed"},
        {"[308, \"\"]", ERR_REFUSED, "HarborRefused"},
        {"[429, \"\"]", ERR_UNAVAILABLE, "HarborBusy"},
        {"[404, \"default backend\"]", ERR_NOT_FOUND, "NotFound"},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        control(ctx, arena_printf(ctx->arena,
                                  "{\"reset\": 1, \"set\": {\"raw\": {\"/api/v2.0/health\": %s}}}",
                                  rows[at].answer));
        FAILS(ctx, serving(ctx, &server, &found), rows[at].code, rows[at].reason);
    }
    char *large = arena_alloc(ctx->arena, (2 << 20) + 1);
    memset(large, 'x', 2 << 20);
    control(ctx, arena_printf(
                     ctx->arena,
                     "{\"reset\": 1, \"set\": {\"raw\": {\"/api/v2.0/health\": [200, \"%s\"]}}}",
                     large));
    FAILS(ctx, serving(ctx, &server, &found), ERR_TOO_LARGE, "TooLarge");
}

static void nobody_answers(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_server server = test_server(NULL);
    struct harbor_serving found;
    server.connect_to = "127.0.0.1:1";
    FAILS(ctx, serving(ctx, &server, &found), ERR_UNAVAILABLE, "Unavailable");
    server.connect_to = replay.address;
    ctx->deadline_ms = clock_boottime_ms() - 1;
    FAILS(ctx, serving(ctx, &server, &found), ERR_TIMEOUT, "Timeout");
}

/* One address serves many names; the public host goes in the Host header only. */
static void goes_where_it_is_told(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_server server = test_server(NULL);
    struct harbor_serving found;
    control(ctx, "{\"reset\": 1}");
    server.base_url = "http://registry.example.test";
    server.connect_to = replay.address;
    SUCCEEDS(ctx, serving(ctx, &server, &found));
    assert_true(found.healthy);
}

static void bad_addresses_are_refused(void **state)
{
    struct ctx *ctx = *state;
    static const char *const urls[] = {"",
                                       "registry.example.test",
                                       "file:///etc/passwd",
                                       "http://",
                                       "http://a b",
                                       "http://user:word@registry.example.test",
                                       "http://registry.example.test/",
                                       "http://registry.example.test/x",
                                       "http://registry.example.test:0",
                                       "http://registry.example.test:65536",
                                       "http://registry.example.test:80@other",
                                       "http://[::1",
                                       "http://[::1]x"};
    static const char *const addresses[] = {"", "core", "core:", ":80", "core:80:81", "a/b:80"};
    struct harbor_server server = test_server(NULL);
    struct harbor *harbor = NULL;
    for (size_t at = 0; at < ARRAY_SIZE(urls); at++) {
        server.base_url = urls[at];
        FAILS(ctx, harbor_open(ctx, &server, &harbor), ERR_CONFIG, "BadConfiguration");
    }
    server.base_url = "https://[2001:db8::1]:8443";
    for (size_t at = 0; at < ARRAY_SIZE(addresses); at++) {
        server.connect_to = addresses[at];
        FAILS(ctx, harbor_open(ctx, &server, &harbor), ERR_CONFIG, "BadConfiguration");
    }
    server.connect_to = "harbor-core.t-x.svc:80";
    SUCCEEDS(ctx, harbor_open(ctx, &server, &harbor));
    harbor_close(harbor);
}

/* Each request without a session makes one in Redis. */
static void reads_share_a_session(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_server server = test_server(NULL);
    struct harbor_cookie cookie = {""};
    struct harbor_serving found;
    control(ctx, "{\"reset\": 1}");
    SUCCEEDS(ctx, serving(ctx, &server, &found));
    assert_int_equal(json_int_or(control(ctx, NULL), "sessions", 0), 2);

    control(ctx, "{\"reset\": 1}");
    server.cookie = &cookie;
    for (int at = 0; at < 5; at++)
        SUCCEEDS(ctx, serving(ctx, &server, &found));
    assert_int_equal(json_int_or(control(ctx, NULL), "sessions", 0), 1);
    /* It runs out, and another takes its place. */
    control(ctx, "{\"forget_sessions\": 1}");
    for (int at = 0; at < 5; at++)
        SUCCEEDS(ctx, serving(ctx, &server, &found));
    assert_int_equal(json_int_or(control(ctx, NULL), "sessions", 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(serves),
        TEST(names_what_is_unhealthy),
        TEST(sees_that_core_cannot_sign),
        TEST(other_answers_are_no_verdict),
        TEST(nobody_answers),
        TEST(goes_where_it_is_told),
        TEST(bad_addresses_are_refused),
        TEST(reads_share_a_session),
    };
    return cmocka_run_group_tests(tests, start_replay, stop_replay);
}
