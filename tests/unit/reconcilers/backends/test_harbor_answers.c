#include "tests/unit/test.h"

#include "reconcilers/backends/harbor_answers.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdio.h>
#include <string.h>

static const char healthy[] =
    "{\"components\": [{\"name\": \"core\", \"status\": \"healthy\"}, {\"name\": \"database\", "
    "\"status\": \"healthy\"}], \"status\": \"healthy\"}";

static int health(struct ctx *ctx, const char *text, struct harbor_serving *ret)
{
    *ret = (struct harbor_serving){0};
    return harbor_parse_health(ctx, text, strlen(text), ret);
}

static void health__is_what_all_components_say(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *text, *unhealthy;
        int components;
        bool healthy;
    } rows[] = {
        {healthy, "", 2, true},
        {"{\"status\":\"unhealthy\",\"components\":[{\"name\":\"core\",\"status\":\"healthy\"}]}",
         "", 1, false},
        {"{\"status\":\"healthy\",\"components\":[{\"name\":\"redis\",\"status\":\"unhealthy\","
         "\"error\":\"dial redis://u:secret@host\"},{\"name\":\"trivy\"}]}",
         "redis, trivy", 2, false},
        {"{\"status\":\"healthy\",\"components\":[{\"status\":\"unknown\"},{\"name\":\"<b>\"},7]}",
         "unnamed, unnamed, unnamed", 3, false},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        struct harbor_serving found;
        assert_int_equal(health(ctx, rows[at].text, &found), 0);
        assert_int_equal(found.components, rows[at].components);
        assert_int_equal(found.healthy, rows[at].healthy);
        assert_string_equal(found.unhealthy, rows[at].unhealthy);
    }
}

static void health__of_something_else_is_refused(void **state)
{
    struct ctx *ctx = *state;
    static const char *const rows[] = {
        "",
        "null",
        "Pong",
        "[]",
        "{}",
        "{\"status\":\"healthy\"}",
        "{\"status\":\"healthy\",\"components\":[]}",
        "{\"status\":\"healthy\",\"components\":{\"name\":\"core\"}}",
        "{\"components\":[{\"name\":\"core\",\"status\":\"healthy\"}]}",
        "{\"status\":\"healthy\",\"components\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
        "1,1,1,1,1,1,1,1]}"};
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        struct harbor_serving found;
        assert_int_equal(health(ctx, rows[at], &found), -ERR_PROTOCOL);
    }
}

/* Whatever bytes come: a verdict or a refusal, bounded; the sanitizers watch. */
static void health__of_any_bytes_is_bounded(void **state)
{
    struct ctx *ctx = *state;
    char text[sizeof healthy];
    struct harbor_serving found;
    unsigned random = 1;
    for (size_t cut = 0; cut < sizeof healthy; cut++) {
        snprintf(text, sizeof text, "%.*s", (int)cut, healthy);
        health(ctx, text, &found);
        for (int turn = 0; turn < 40; turn++) {
            memcpy(text, healthy, sizeof healthy);
            random = random * 1103515245 + 12345;
            text[cut] = (char)(random >> 16);
            if (harbor_parse_health(ctx, text, sizeof healthy - 1, &found) == 0)
                assert_true(strlen(found.unhealthy) <= 256);
            harbor_parse_token(ctx, text, sizeof healthy - 1);
            harbor_parse_complaint(ctx, text, sizeof healthy - 1);
            arena_reset(ctx->arena);
        }
    }
}

static void token__has_three_parts(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *text;
        bool is_one;
    } rows[] = {
        {"{\"token\":\"eyJh-_.b0.c9\",\"expires_in\":1800}", true},
        {"{\"token\":\"a.b\"}", false},
        {"{\"token\":\"a.b.c.d\"}", false},
        {"{\"token\":\"a..c\"}", false},
        {"{\"token\":\"a.b.\"}", false},
        {"{\"token\":\"a.b.c d\"}", false},
        {"{\"token\":\"\"}", false},
        {"{\"token\":7}", false},
        {"{\"access_token\":\"a.b.c\"}", false},
        {"", false},
        {"token", false},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        bool found = harbor_parse_token(ctx, rows[at].text, strlen(rows[at].text));
        if (found != rows[at].is_one)
            fail_msg("%s", rows[at].text);
        assert_int_equal(ctx->err.code, 0);
    }
}

static void version__is_told_or_not(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *text, *version;
    } rows[] = {
        {"{\"harbor_version\":\"v2.15.2-local\"}", "v2.15.2-local"},
        {"{\"auth_mode\":\"db_auth\"}", NULL},
        {"{\"harbor_version\":\"<script>\"}", NULL},
        {"{\"harbor_version\":\"\"}", NULL},
        {"[]", NULL},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        json_t *info = NULL;
        assert_int_equal(harbor_parse(ctx, rows[at].text, strlen(rows[at].text), &info), 0);
        const char *version = harbor_parse_version(info);
        assert_true(str_equal(version, rows[at].version));
    }
}

/* What a tree will cost is known before it is built; a string's own commas cost nothing. */
static void parse__bounds_values(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *text;
        size_t values_max;
        int rc;
    } rows[] = {
        {"[1,1,1]", 4, 0},
        {"[1,1,1]", 3, -ERR_TOO_LARGE},
        {"{\"a\":{},\"b\":[]}", 5, 0},
        {"{\"a\":{},\"b\":[]}", 4, -ERR_TOO_LARGE},
        {"[\",,,,[[{{\\\",,\"]", 2, 0},
        {"\"\\", 1, -ERR_PROTOCOL},
        {"", 1, 0},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        json_t *unread = NULL;
        int rc = harbor_parse_bounded(ctx, rows[at].text, strlen(rows[at].text),
                                      rows[at].values_max, &unread);
        if (rc != rows[at].rc)
            fail_msg("row %zu: %d", at, rc);
        err_clear(ctx);
    }
}

static void complaint__is_one_bounded_line(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *text, *complaint;
    } rows[] = {
        {"{\"errors\":[{\"code\":\"CONFLICT\",\"message\":\"user x\\nexists\"}]}", "user x exists"},
        {"{\"errors\":[]}", ""},
        {"{\"errors\":\"x\"}", ""},
        {"404 page not found", ""},
        {"", ""},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++)
        assert_string_equal(harbor_parse_complaint(ctx, rows[at].text, strlen(rows[at].text)),
                            rows[at].complaint);
    char *large = arena_alloc(ctx->arena, 4096);
    int length = snprintf(large, 4096, "{\"errors\":[{\"message\":\"%01000d\"}]}", 0);
    assert_int_equal(strlen(harbor_parse_complaint(ctx, large, (size_t)length)), HARBOR_WHAT_BYTES);
    assert_int_equal(ctx->err.code, 0);
}

static void session__is_taken_from_its_cookie(void **state)
{
    (void)state;
    static const struct {
        const char *cookies, *sid;
    } rows[] = {
        {"sid=75cce596d84108ea; Path=/; HttpOnly", "75cce596d84108ea"},
        {"_gorilla_csrf=a; Path=/\nsid=b-_9", "b-_9"},
        {"sid=a\nother=b", "a"},
        {"xsid=a", NULL},
        {"sid=", NULL},
        {"sid=a b", NULL},
        {"sid=a\r\nX: y", NULL},
        {"", NULL},
        {NULL, NULL},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        struct harbor_cookie cookie = {"kept"};
        bool found = harbor_parse_session(rows[at].cookies, &cookie);
        assert_int_equal(found, rows[at].sid != NULL);
        assert_string_equal(cookie.sid, found ? rows[at].sid : "kept");
    }
    char large[256] = "sid=";
    memset(large + 4, 'a', 200);
    assert_false(harbor_parse_session(large, &(struct harbor_cookie){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(health__is_what_all_components_say),
        TEST(health__of_something_else_is_refused),
        TEST(health__of_any_bytes_is_bounded),
        TEST(token__has_three_parts),
        TEST(version__is_told_or_not),
        TEST(parse__bounds_values),
        TEST(complaint__is_one_bounded_line),
        TEST(session__is_taken_from_its_cookie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
