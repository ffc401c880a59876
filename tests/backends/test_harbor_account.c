/* The robot and the administrator's password, against tests/backends/harbor_replay.py. */
#include "tests/backends/harbor_test.h"

static void the_robot_is_made_once(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = test_server(SECRET);
    struct harbor_serving found;
    const char *user = NULL;
    int changes = -1;
    control(ctx, "{\"reset\": 1}");
    SUCCEEDS(ctx, account(ctx, &server, true, &user, &changes));
    assert_string_equal(user, HARBOR_ROBOT_USER);
    assert_int_equal(changes, 2); /* made, and given the secret that was kept before */
    int by_admin = seen(ctx, "admin");
    for (int at = 0; at < 3; at++) {
        SUCCEEDS(ctx, account(ctx, &server, false, &user, &changes));
        assert_int_equal(changes, 0);
    }
    assert_int_equal(seen(ctx, "admin"), by_admin);
    const json_t *told = control(ctx, NULL);
    assert_int_equal(json_array_size(json_at(told, "robots")), 1);
    assert_string_equal(json_str(told, "robots.0.description"), MARK);
    SUCCEEDS(ctx, serving(ctx, &server, &found));
    assert_string_equal(found.version, "v2.15.2-local");
}

static void the_robot_is_mended(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = test_server(SECRET);
    static const struct {
        const char *damage;
        int changes;
        bool look;
        const char *user;
    } rows[] = {
        {"{\"robot\": {\"1\": {\"secret\": \"Other1234\"}}}", 1, false, HARBOR_ROBOT_USER},
        {"{\"robot\": {\"1\": {\"disable\": true}}}", 2, false, HARBOR_ROBOT_USER},
        {"{\"robot\": {\"1\": {\"rights\": [[\"quota\", \"list\"]]}}}", 2, false,
         HARBOR_ROBOT_USER},
        {"{\"robot\": {\"1\": {\"duration\": 30}}}", 2, true, HARBOR_ROBOT_USER},
        {"{\"robot\": {\"1\": null}}", 2, false, HARBOR_ROBOT_USER},
        {"{\"config\": {\"robot_name_prefix\": \"bot_\"}}", 1, false, "bot_flotilla-operator"},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const char *user = NULL;
        int changes = -1;
        control(ctx, "{\"reset\": 1}");
        SUCCEEDS(ctx, account(ctx, &server, true, &user, NULL));
        control(ctx, rows[at].damage);
        SUCCEEDS(ctx, account(ctx, &server, rows[at].look, &user, &changes));
        assert_int_equal(changes, rows[at].changes);
        assert_string_equal(user, rows[at].user);
        struct harbor_server again = server;
        again.robot.user = user;
        SUCCEEDS(ctx, account(ctx, &again, false, &user, &changes));
        assert_int_equal(changes, 0);
    }
}

static void a_strangers_robot_is_left_alone(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = test_server(SECRET);
    const char *user = NULL;
    int changes = -1;
    control(ctx, "{\"reset\": 1}");
    SUCCEEDS(ctx, account(ctx, &server, true, &user, NULL));
    control(ctx, "{\"robot\": {\"1\": {\"description\": \"mine\", \"secret\": \"Other1234\"}}}");
    FAILS(ctx, account(ctx, &server, false, &user, &changes), ERR_TAKEN, "RobotTaken");
    const json_t *told = control(ctx, NULL);
    assert_string_equal(json_str(told, "robots.0.secret"), "Other1234");
}

/* The robot stands on another page than the first. */
static void the_robot_is_found_among_many(void **state)
{
    struct ctx *ctx = *state;
    const struct harbor_server server = test_server(SECRET);
    const char *user = NULL;
    int changes = -1;
    control(ctx, "{\"reset\": 1}");
    SUCCEEDS(ctx, account(ctx, &server, true, &user, NULL));
    control(ctx, "{\"many_robots\": 250}");
    SUCCEEDS(ctx, account(ctx, &server, true, &user, &changes));
    assert_int_equal(changes, 1);
    assert_int_equal(seen(ctx, "admin GET /api/v2.0/robots"), 2 + 3);
}

static void nothing_is_sent_that_does_not_fit(void **state)
{
    struct ctx *ctx = *state;
    static const char *const secrets[] = {"Short1a", "alllower1", "ALLUPPER1", "NoDigits"};
    const char *user = NULL;
    control(ctx, "{\"reset\": 1}");
    for (size_t at = 0; at < ARRAY_SIZE(secrets); at++) {
        const struct harbor_server server = test_server(secrets[at]);
        FAILS(ctx, account(ctx, &server, true, &user, NULL), ERR_INVALID, "Invalid");
    }
    assert_int_equal(json_array_size(json_at(control(ctx, NULL), "seen")), 0);
}

static void no_secret_is_in_a_message(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_server server = test_server(SECRET);
    const char *user = NULL;
    server.admin.password = "Wrong-canary1";
    control(ctx, "{\"reset\": 1}");
    assert_int_equal(account(ctx, &server, true, &user, NULL), -ERR_DENIED);
    assert_string_equal(ctx->err.reason, "HarborUnauthorized");
    assert_null(strstr(ctx->err.message, "canary"));
    /* Harbor may repeat what it finds fault with. */
    server.admin.password = ADMIN_PASSWORD;
    control(ctx,
            "{\"set\": {\"raw\": {\"/api/v2.0/robots/1\": [422, {\"errors\": [{\"code\": \"X\", "
            "\"message\": \"parsing " SECRET "\"}]}]}}}");
    assert_int_equal(account(ctx, &server, true, &user, NULL), -ERR_REFUSED);
    assert_string_equal(ctx->err.reason, "HarborUnprocessable");
    assert_null(strstr(ctx->err.message, SECRET));
}

/* Harbor refuses a name for a while after anybody's wrong password: whose login it was is told, and
 * the administrator's is not tried twice. */
static void a_refusal_is_told_of_whom(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_server server = with_robot(ctx);
    struct harbor_quota found;
    const char *user;
    server.admin.password = "Wrong1password";
    _cleanup_harbor_ struct harbor *harbor = NULL;
    SUCCEEDS(ctx, harbor_open(ctx, &server, &harbor));
    assert_int_equal(harbor_told(harbor, HARBOR_ROBOT), HARBOR_UNTRIED);
    SUCCEEDS(ctx, harbor_account(ctx, harbor, MARK, false, &user));
    assert_int_equal(harbor_told(harbor, HARBOR_ROBOT), HARBOR_TAKEN);
    assert_int_equal(harbor_told(harbor, HARBOR_ADMIN), HARBOR_UNTRIED);
    for (int turn = 0; turn < 3; turn++)
        FAILS(ctx, harbor_quota_set(ctx, harbor, 1 << 20, true, &(int64_t){0}, &found), ERR_DENIED,
              "HarborUnauthorized");
    assert_int_equal(harbor_told(harbor, HARBOR_ADMIN), HARBOR_REFUSED);
    assert_int_equal(harbor_told(harbor, HARBOR_ROBOT), HARBOR_TAKEN);
    assert_int_equal(json_array_size(json_at(control(ctx, NULL), "refused")), 1);
    harbor_close(harbor);

    control(ctx, "{\"robot\": {\"1\": {\"secret\": \"Other1234\"}}}");
    SUCCEEDS(ctx, harbor_open(ctx, &server, &harbor));
    FAILS(ctx, harbor_account(ctx, harbor, MARK, false, &user), ERR_DENIED, "HarborUnauthorized");
    assert_int_equal(harbor_told(harbor, HARBOR_ROBOT), HARBOR_REFUSED);
    assert_int_equal(harbor_told(harbor, HARBOR_ADMIN), HARBOR_REFUSED);
}

static int admin_password(struct ctx *ctx, const char *old, const char *wanted)
{
    const struct harbor_server server = test_server(NULL);
    _cleanup_harbor_ struct harbor *harbor = NULL;
    TRY(harbor_open(ctx, &server, &harbor));
    return harbor_admin_password(ctx, harbor, old, wanted);
}

static void the_admin_password_changes_once(void **state)
{
    struct ctx *ctx = *state;
    control(ctx, "{\"reset\": 1}");
    SUCCEEDS(ctx, admin_password(ctx, ADMIN_PASSWORD, "NewPassw0rd"));
    assert_string_equal(json_str(control(ctx, NULL), "admin"), "NewPassw0rd");
    /* The answer was lost: once more the same. */
    SUCCEEDS(ctx, admin_password(ctx, ADMIN_PASSWORD, "NewPassw0rd"));
    SUCCEEDS(ctx, admin_password(ctx, "NewPassw0rd", "NewPassw0rd"));
    assert_string_equal(json_str(control(ctx, NULL), "admin"), "NewPassw0rd");
    assert_int_equal(ctx->err.code, 0);

    FAILS(ctx, admin_password(ctx, "Neither0f", "Th3seTwo"), ERR_DENIED, "AdminPasswordUnknown");
    FAILS(ctx, admin_password(ctx, "NewPassw0rd", "short"), ERR_INVALID, "Invalid");
    assert_string_equal(json_str(control(ctx, NULL), "admin"), "NewPassw0rd");
}

/* With a cookie Harbor would want a CSRF token. */
static void changes_carry_no_session(void **state)
{
    struct ctx *ctx = *state;
    struct harbor_cookie cookie = {""};
    struct harbor_server server = test_server(SECRET);
    struct harbor_serving serves_now;
    const char *user = NULL;
    control(ctx, "{\"reset\": 1}");
    server.cookie = &cookie;
    SUCCEEDS(ctx, serving(ctx, &server, &serves_now));
    assert_true(*cookie.sid);
    SUCCEEDS(ctx, account(ctx, &server, true, &user, NULL));
    SUCCEEDS(ctx, account(ctx, &server, true, &user, NULL));
}

static void no_account_changes_without_a_lease(void **state)
{
    struct ctx *ctx = *state;
    const struct gate gate = {.check = closed_gate};
    with_robot(ctx);
    const char *user = NULL;
    const struct harbor_server fresh_server = test_server("An0therSecret");
    ctx->gate = &gate;
    FAILS(ctx, account(ctx, &fresh_server, false, &user, NULL), ERR_LEASE_LOST, "LeaseLost");
    FAILS(ctx, admin_password(ctx, ADMIN_PASSWORD, "NewPassw0rd"), ERR_LEASE_LOST, "LeaseLost");
    ctx->gate = NULL;
    const json_t *told = control(ctx, NULL);
    assert_string_equal(json_str(told, "admin"), ADMIN_PASSWORD);
    assert_string_equal(json_str(told, "robots.0.secret"), SECRET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_robot_is_made_once),
        TEST(the_robot_is_mended),
        TEST(a_strangers_robot_is_left_alone),
        TEST(the_robot_is_found_among_many),
        TEST(nothing_is_sent_that_does_not_fit),
        TEST(no_secret_is_in_a_message),
        TEST(a_refusal_is_told_of_whom),
        TEST(the_admin_password_changes_once),
        TEST(changes_carry_no_session),
        TEST(no_account_changes_without_a_lease),
    };
    return cmocka_run_group_tests(tests, start_replay, stop_replay);
}
