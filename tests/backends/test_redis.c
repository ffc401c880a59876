/* A registry's user and index on a real Redis, from the first command to the last. */
#include "tests/backends/redis_steps.h"

#define IDENTITY "abcdefghijklmnop"
#define USER "t_" IDENTITY
#define OTHER "bbbbbbbbbbbbbbbb"

static const struct redis_want wanted = {.passwords = {"canary-one"}, .open = true};
static const struct redis_want rotating = {.passwords = {"canary-one", "canary-two"}, .open = true};
static const struct redis_want rotated = {.passwords = {"canary-two"}, .open = true};
static const struct redis_want retiring = {
    .passwords = {"canary-two"}, .open = true, .retires = true};
static const struct redis_want closed = {.open = false};

static int setup(void **state)
{
    *state = world_new(false, false);
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static int converge(struct world *world, const struct redis_want *want)
{
    int changes = -1;
    assert_int_equal(with_redis(world, IDENTITY, 5, want, &changes), 0);
    return changes;
}

static int try_login(struct world *world, const char *password)
{
    return redis_login(&world->ctx, &world->pool, IDENTITY, 5, password);
}

/* A key that no other registry may see, written as the registry. */
static struct redis_link *tenant_with_key(struct world *world, const char *password)
{
    struct redis_link *link = log_in_as(world, USER, password);
    say_to(world, link, &REDIS_COMMAND("SELECT", "5"));
    say_to(world, link, &REDIS_COMMAND("SET", "key", "value"));
    return link;
}

static int tenant_says(struct world *world, const struct redis_command *command)
{
    struct redis_link *link = log_in_as(world, USER, "canary-one");
    say_to(world, link, &REDIS_COMMAND("SELECT", "5"));
    int rc = redis_link_call(&world->ctx, link, command, NULL);
    redis_link_close(link);
    return rc;
}

static void put_foreign_key(struct world *world, const char *index)
{
    ADMIN(world, "ACL", "SETUSER", "stranger", "on", ">x", "~*", "+@all");
    struct redis_link *link = log_in_as(world, "stranger", "x");
    say_to(world, link, &REDIS_COMMAND("SELECT", index));
    say_to(world, link, &REDIS_COMMAND("SET", "foreign", "data"));
    redis_link_close(link);
    ADMIN(world, "ACL", "DELUSER", "stranger");
}

/* ---- a life ---- */

static void converged__costs_no_change(void **state)
{
    struct world *world = *state;
    assert_int_equal(converge(world, &wanted), 1);
    char *before = acl_list(world);
    assert_int_equal(converge(world, &wanted), 0);
    assert_string_equal(acl_list(world), before);
    assert_saved(world);
    assert_null(strstr(read_file(world, in_directory(world, "users.acl")), "canary"));
}

static void drift__is_set_right(void **state)
{
    struct world *world = *state;
    converge(world, &wanted);
    char *before = acl_list(world);
    static const char *const drifts[] = {"+keys",  "-get",      "+select|6", "+select",  "off",
                                         "nopass", "resetkeys", "&more",     "(+get ~*)"};
    for (size_t at = 0; at < ARRAY_SIZE(drifts); at++) {
        ADMIN(world, "ACL", "SETUSER", USER, drifts[at]);
        assert_string_not_equal(acl_list(world), before);
        assert_int_equal(converge(world, &wanted), 1);
        assert_string_equal(acl_list(world), before);
    }
}

static void fence__is_proved_and_seen_open(void **state)
{
    struct world *world = *state;
    struct ctx *ctx = &world->ctx;
    converge(world, &wanted);
    assert_int_equal(try_login(world, "canary-one"), 0);
    assert_int_equal(try_login(world, "wrong"), -ERR_DENIED);
    assert_string_equal(ctx->err.reason, "RedisLoginDenied");
    assert_null(strstr(ctx->err.message, "wrong"));
    assert_int_equal(redis_login(ctx, &world->pool, IDENTITY, 6, "canary-one"), -ERR_DENIED);
    assert_string_equal(ctx->err.reason, "RedisNoPermission");
    static const char *const holes[] = {"+select|0", "+select|1"};
    for (size_t at = 0; at < ARRAY_SIZE(holes); at++) {
        ADMIN(world, "ACL", "SETUSER", USER, holes[at]);
        assert_int_equal(try_login(world, "canary-one"), -ERR_REFUSED);
        assert_string_equal(ctx->err.reason, "FenceOpen");
        converge(world, &wanted);
    }
}

static void tenant__may_what_harbor_needs_and_no_more(void **state)
{
    struct world *world = *state;
    converge(world, &wanted);
    const struct redis_command refused[] = {
        REDIS_COMMAND("SELECT", "0"),
        REDIS_COMMAND("SELECT", "6"),
        REDIS_COMMAND("KEYS", "*"),
        REDIS_COMMAND("FLUSHDB"),
        REDIS_COMMAND("FLUSHALL"),
        REDIS_COMMAND("MOVE", "key", "6"),
        REDIS_COMMAND("COPY", "key", "key", "DB", "6"),
        REDIS_COMMAND("SWAPDB", "5", "6"),
        REDIS_COMMAND("CONFIG", "GET", "*"),
        REDIS_COMMAND("ACL", "LIST"),
        REDIS_COMMAND("ACL", "WHOAMI"),
        REDIS_COMMAND("CLIENT", "LIST"),
        REDIS_COMMAND("INFO"),
        REDIS_COMMAND("PUBLISH", "x", "y"),
        REDIS_COMMAND("SUBSCRIBE", "flotilla:cell-a:" IDENTITY), /* its own mark */
        REDIS_COMMAND("MONITOR"),
        REDIS_COMMAND("SCRIPT", "FLUSH"),
        REDIS_COMMAND("DBSIZE"),
    };
    for (size_t at = 0; at < ARRAY_SIZE(refused); at++)
        assert_int_equal(tenant_says(world, &refused[at]), -ERR_DENIED);
    const struct redis_command in_script =
        REDIS_COMMAND("EVAL", "return redis.call('SELECT', 6)", "0");
    assert_int_equal(tenant_says(world, &in_script), -ERR_REFUSED);
    const struct redis_command allowed[] = {
        REDIS_COMMAND("SET", "k", "1", "EX", "60"),
        REDIS_COMMAND("EVAL", "return redis.call('GET', KEYS[1])", "1", "k"),
        REDIS_COMMAND("HSET", "h", "f", "v"),
        REDIS_COMMAND("ZREMRANGEBYSCORE", "z", "0", "1"),
        REDIS_COMMAND("RENAME", "h", "g"),
        REDIS_COMMAND("SCAN", "0"),
    };
    for (size_t at = 0; at < ARRAY_SIZE(allowed); at++)
        assert_int_equal(tenant_says(world, &allowed[at]), 0);
}

static void rotation__keeps_both_and_cuts_nobody(void **state)
{
    struct world *world = *state;
    converge(world, &wanted);
    struct redis_link *link = tenant_with_key(world, "canary-one");
    assert_int_equal(converge(world, &rotating), 1);
    assert_int_equal(converge(world, &rotating), 0);
    assert_int_equal(try_login(world, "canary-one"), 0);
    assert_int_equal(try_login(world, "canary-two"), 0);
    assert_int_equal(converge(world, &rotated), 1);
    assert_int_equal(try_login(world, "canary-one"), -ERR_DENIED);
    assert_string_equal(say_to(world, link, &REDIS_COMMAND("GET", "key"))->text, "value");
    redis_link_close(link);
}

/* Also when the pass that took the password away died before it ended what was let in by it. */
static void retiring__ends_what_the_old_password_let_in(void **state)
{
    struct world *world = *state;
    converge(world, &rotating);
    for (int died = 0; died < 2; died++) {
        struct redis_link *link = tenant_with_key(world, died ? "canary-two" : "canary-one");
        if (died)
            assert_int_equal(converge(world, &rotated), 0);
        assert_int_equal(converge(world, &retiring), died ? 1 : 2);
        assert_int_equal(redis_link_call(&world->ctx, link, &REDIS_COMMAND("GET", "key"), NULL),
                         -ERR_UNAVAILABLE);
        redis_link_close(link);
        assert_int_equal(try_login(world, "canary-two"), 0);
        assert_int_equal(converge(world, &retiring), 0);
    }
}

static void closing__ends_connections_and_keeps_data(void **state)
{
    struct world *world = *state;
    struct ctx *ctx = &world->ctx;
    converge(world, &wanted);
    struct redis_link *link = tenant_with_key(world, "canary-one");
    assert_int_equal(converge(world, &closed), 2);
    assert_int_equal(redis_link_call(ctx, link, &REDIS_COMMAND("GET", "key"), NULL),
                     -ERR_UNAVAILABLE);
    redis_link_close(link);
    assert_int_equal(try_login(world, "canary-one"), -ERR_DENIED);
    assert_int_equal(converge(world, &closed), 0);
    assert_saved(world);
    assert_int_equal(converge(world, &wanted), 1);
    link = log_in_as(world, USER, "canary-one");
    say_to(world, link, &REDIS_COMMAND("SELECT", "5"));
    assert_string_equal(say_to(world, link, &REDIS_COMMAND("GET", "key"))->text, "value");
    redis_link_close(link);
}

static void removing__leaves_the_server_as_it_was(void **state)
{
    struct world *world = *state;
    char *before = acl_list(world), *file = NULL;
    assert_int_equal(with_redis(world, OTHER, 6, &wanted, NULL), 0);
    char *with_other = acl_list(world);
    converge(world, &wanted);
    redis_link_close(tenant_with_key(world, "canary-one"));
    put_foreign_key(world, "7");
    assert_true(converge(world, NULL) > 0);
    assert_int_equal(converge(world, NULL), 0);
    assert_string_equal(acl_list(world), with_other);
    assert_int_equal(with_redis(world, OTHER, 6, NULL, NULL), 0);
    assert_string_equal(acl_list(world), before);
    assert_saved(world);
    file = arena_printf(world->ctx.arena, "%s", ADMIN(world, "INFO", "keyspace")->text);
    assert_non_null(strstr(file, "db7:keys=1")); /* a stranger's */
    assert_null(strstr(file, "db5:"));
    assert_null(strstr(file, "db0:"));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A server that starts tells the words of its users in another order than the one before. */
static char *sorted_words(struct world *world, const char *text)
{
    char *words[4096], *rest = arena_strdup(world->ctx.arena, text);
    size_t count = 0;
    while ((words[count] = strsep(&rest, " \n")))
        assert_true(++count < ARRAY_SIZE(words));
    qsort(words, count, sizeof *words, by_text);
    _cleanup_str_ struct str sorted;
    str_init(&sorted, 1 << 20);
    for (size_t at = 0; at < count; at++)
        str_printf(&sorted, "%s ", words[at]);
    return arena_strdup(world->ctx.arena, str_text(&sorted));
}

static void restart__keeps_users(void **state)
{
    struct world *world = *state;
    converge(world, &wanted);
    char *before = acl_list(world);
    redis_link_close(tenant_with_key(world, "canary-one"));
    for (int times = 0; times < 3; times++) {
        server_kill(world);
        server_start(world);
        assert_string_equal(sorted_words(world, acl_list(world)), sorted_words(world, before));
        assert_int_equal(converge(world, &wanted), 0);
    }
}

/* ---- whose it is ---- */

static void assert_taken(struct world *world, const struct redis_want *want)
{
    char *before = acl_list(world);
    assert_int_equal(with_redis(world, IDENTITY, 5, want, NULL), -ERR_TAKEN);
    assert_string_equal(acl_list(world), before);
}

static void index_with_foreign_keys__is_taken(void **state)
{
    struct world *world = *state;
    put_foreign_key(world, "5");
    assert_taken(world, &wanted);
    assert_taken(world, NULL);
}

/* The server forgot its users and kept their keys. */
static void index_that_was_ours__gets_its_user_back(void **state)
{
    struct world *world = *state;
    struct redis_state seen;
    put_foreign_key(world, "5");
    _cleanup_redis_ struct redis *rd = NULL;
    assert_int_equal(redis_begin(&world->ctx, &world->pool, IDENTITY, 5, &rd), 0);
    assert_int_equal(redis_observe(&world->ctx, rd, &seen), -ERR_TAKEN);
    redis_own_index(rd);
    assert_int_equal(redis_observe(&world->ctx, rd, &seen), 0);
    assert_int_equal(redis_create(&world->ctx, rd, &wanted, &seen), 0);
    assert_int_equal(redis_update(&world->ctx, rd, &wanted, &seen), 0);
    assert_int_equal(seen.keys, 1);
    ADMIN(world, "ACL", "DELUSER", USER);
    ADMIN(world, "ACL", "SETUSER", "other", "on", ">x", "~*", "-@all", "+select|5");
    assert_int_equal(redis_observe(&world->ctx, rd, &seen), -ERR_TAKEN);
}

static void index_of_another_user__is_taken(void **state)
{
    struct world *world = *state;
    ADMIN(world, "ACL", "SETUSER", "other", "on", ">x", "~*", "-@all", "+select|5");
    assert_taken(world, &wanted);
    ADMIN(world, "ACL", "SETUSER", "other", "reset", "(~* +select|5)");
    assert_taken(world, &wanted);
    ADMIN(world, "ACL", "SETUSER", "other", "clearselectors", "+select|55");
    assert_int_equal(converge(world, &wanted), 1);
    ADMIN(world, "ACL", "SETUSER", "other", "+select|5");
    redis_link_close(tenant_with_key(world, "canary-one"));
    assert_int_equal(with_redis(world, IDENTITY, 5, NULL, NULL), -ERR_TAKEN); /* before FLUSHDB */
    assert_non_null(strstr(ADMIN(world, "INFO", "keyspace")->text, "db5:keys=1"));
}

static void index_that_is_not_there__is_refused(void **state)
{
    struct world *world = *state;
    char *before = acl_list(world);
    assert_int_equal(with_redis(world, IDENTITY, 1024, &wanted, NULL), -ERR_REFUSED);
    assert_int_equal(with_redis(world, IDENTITY, 0, &wanted, NULL), -ERR_INTERNAL);
    assert_string_equal(acl_list(world), before);
    assert_int_equal(with_redis(world, IDENTITY, 1023, &wanted, NULL), 0);
}

static void user_with_another_mark__is_taken(void **state)
{
    struct world *world = *state;
    const char *const marks[] = {"resetchannels", "&flotilla:cell-b:" IDENTITY,
                                 "&flotilla:cell-a:" OTHER, "allchannels"};
    for (size_t at = 0; at < ARRAY_SIZE(marks); at++) {
        ADMIN(world, "ACL", "SETUSER", USER, "reset", marks[at], "+select|5");
        assert_taken(world, &wanted);
        assert_taken(world, &closed);
        assert_taken(world, NULL);
    }
}

static void pool__is_marked_once(void **state)
{
    struct world *world = *state;
    struct redis_health health;
    assert_int_equal(redis_check(&world->ctx, &world->pool, &health), 0);
    assert_true(health.ours && health.acl_persisted && !health.default_open);
    assert_string_equal(health.owner, "cell-a");
    assert_int_equal(health.databases, 1024);
    assert_null(health.evicting);
    assert_true(strtol(health.version, NULL, 10) >= 7);
    assert_saved(world);
    char *before = acl_list(world);
    world->pool.cell = "cell-b";
    assert_int_equal(redis_check(&world->ctx, &world->pool, &health), 0);
    assert_false(health.ours);
    assert_string_equal(health.owner, "cell-a");
    assert_string_equal(acl_list(world), before);
    ADMIN(world, "ACL", "SETUSER", "default", "on", "nopass");
    ADMIN(world, "ACL", "SETUSER", "admin", "-config|get"); /* saving tells as well */
    assert_int_equal(redis_check(&world->ctx, &world->pool, &health), 0);
    assert_true(health.default_open && health.acl_persisted && health.databases == 0);
}

static void list__is_by_mark(void **state)
{
    struct world *world = *state;
    json_t *list = NULL;
    converge(world, &wanted);
    assert_int_equal(with_redis(world, OTHER, 6, &wanted, NULL), 0);
    ADMIN(world, "ACL", "SETUSER", "t_cccccccccccccccc", "reset", "+select|9");
    assert_int_equal(redis_list(&world->ctx, &world->pool, &list), 0);
    assert_string_equal(json_text(world->ctx.arena, list),
                        "[{\"identity\":\"" IDENTITY "\",\"kind\":\"User\",\"name\":\"" USER "\"},"
                        "{\"identity\":\"" OTHER "\",\"kind\":\"User\",\"name\":\"t_" OTHER "\"}]");
}

/* ---- servers that fail ---- */

static void wrong_administrator__is_denied(void **state)
{
    struct world *world = *state;
    world->pool.password = "not-the-canary";
    assert_int_equal(with_redis(world, IDENTITY, 5, &wanted, NULL), -ERR_DENIED);
    assert_string_equal(world->ctx.err.reason, "RedisLoginDenied");
    assert_null(strstr(world->ctx.err.message, "canary"));
}

static void weak_administrator__changes_nothing(void **state)
{
    struct world *world = *state;
    ADMIN(world, "ACL", "SETUSER", "weak", "on", ">" ADMIN_PASSWORD, "+@all", "-multi");
    char *before = acl_list(world);
    world->pool.user = "weak";
    assert_int_equal(with_redis(world, IDENTITY, 5, &wanted, NULL), -ERR_DENIED);
    world->pool.user = "admin";
    assert_string_equal(acl_list(world), before);
}

static void dead_server__holds_nobody(void **state)
{
    struct world *world = *state;
    struct ctx *ctx = &world->ctx;
    _cleanup_redis_ struct redis *rd = NULL;
    struct redis_state found;
    assert_int_equal(redis_begin(ctx, &world->pool, IDENTITY, 5, &rd), 0);
    kill(world->server, SIGSTOP);
    int64_t start_ms = clock_boottime_ms();
    ctx->deadline_ms = start_ms + 300;
    assert_int_equal(redis_observe(ctx, rd, &found), -ERR_TIMEOUT);
    assert_in_range(clock_boottime_ms() - start_ms, 290, 2000);
    ctx->deadline_ms = clock_boottime_ms() + 300;
    assert_int_equal(with_redis(world, OTHER, 6, &wanted, NULL), -ERR_UNAVAILABLE);
    assert_in_range(clock_boottime_ms() - start_ms, 590, 4000);
    ctx->deadline_ms = 0;
    kill(world->server, SIGCONT);
    assert_int_equal(redis_observe(ctx, rd, &found), -ERR_UNAVAILABLE); /* the place is lost */
    server_kill(world);
    assert_int_equal(with_redis(world, OTHER, 6, &wanted, NULL), -ERR_UNAVAILABLE);
    server_start(world);
    converge(world, &wanted);
}

/* The directory of the ACL file is away for a while, as a full disk would be. */
static void unsaved_change__is_tried_again(void **state)
{
    struct world *world = *state;
    char *away = arena_printf(world->ctx.arena, "%s.away", world->directory);
    const struct redis_want *const wants[] = {&wanted, &closed, &wanted, NULL};
    for (size_t at = 0; at < ARRAY_SIZE(wants); at++) {
        assert_int_equal(rename(world->directory, away), 0);
        int rc = with_redis(world, IDENTITY, 5, wants[at], NULL);
        assert_int_equal(rename(away, world->directory), 0);
        assert_int_equal(rc, -ERR_REFUSED);
        assert_string_equal(world->ctx.err.reason, "AclNotSaved");
        assert_true(converge(world, wants[at]) > 0);
        assert_int_equal(converge(world, wants[at]), 0);
        assert_saved(world);
    }
}

static void server_without_acl_file__is_told(void **state)
{
    (void)state;
    struct world *world = world_new(false, true);
    struct redis_health health;
    assert_int_equal(redis_check(&world->ctx, &world->pool, &health), 0);
    assert_true(health.ours && !health.acl_persisted);
    assert_true(health.default_open); /* its password reaches everything */
    ADMIN(world, "CONFIG", "SET", "maxmemory", "1gb");
    ADMIN(world, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    assert_int_equal(redis_check(&world->ctx, &world->pool, &health), 0);
    assert_string_equal(health.evicting, "allkeys-lru");
    assert_int_equal(converge(world, &wanted), 1);
    assert_int_equal(converge(world, &wanted), 0);
    world_free(world);
}

static void tls__verifies_as_far_as_asked(void **state)
{
    (void)state;
    struct world *world = world_new(true, false);
    struct redis_pool *pool = &world->pool;
    make_certificate(world, "other");
    const char *ca = read_file(world, in_directory(world, "server.crt"));
    const char *other = read_file(world, in_directory(world, "other.crt"));
    const struct {
        const char *host, *mode, *ca;
        int rc;
        const char *reason;
    } rows[] = {
        {"127.0.0.1", "require", NULL, 0, NULL},
        {"127.0.0.1", "verify-ca", ca, 0, NULL},
        {"localhost", "verify-full", ca, 0, NULL},
        {"127.0.0.1", "verify-full", ca, -ERR_UNAVAILABLE, "CertificateRefused"},
        {"localhost", "verify-full", other, -ERR_UNAVAILABLE, "CertificateRefused"},
        {"127.0.0.1", "verify-ca", other, -ERR_UNAVAILABLE, "CertificateRefused"},
        {"localhost", "verify-full", NULL, -ERR_UNAVAILABLE, "CertificateRefused"},
        {"127.0.0.1", "verify-ca", "no certificate", -ERR_CONFIG, "BadConfiguration"},
        {"127.0.0.1", "prefer", NULL, -ERR_CONFIG, "BadConfiguration"},
        {"127.0.0.1", "disable", NULL, -ERR_UNAVAILABLE, "Unavailable"},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        backend_gates_free(pool->gates);
        pool->gates = backend_gates_new(4); /* no breaker from the row before */
        pool->host = rows[at].host;
        pool->ssl_mode = rows[at].mode;
        pool->ca_pem = rows[at].ca;
        assert_int_equal(with_redis(world, IDENTITY, 5, &wanted, NULL), rows[at].rc);
        if (rows[at].reason)
            assert_string_equal(world->ctx.err.reason, rows[at].reason);
    }
    world_free(world);
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(converged__costs_no_change),
        WITH_SERVER(drift__is_set_right),
        WITH_SERVER(fence__is_proved_and_seen_open),
        WITH_SERVER(tenant__may_what_harbor_needs_and_no_more),
        WITH_SERVER(rotation__keeps_both_and_cuts_nobody),
        WITH_SERVER(retiring__ends_what_the_old_password_let_in),
        WITH_SERVER(closing__ends_connections_and_keeps_data),
        WITH_SERVER(removing__leaves_the_server_as_it_was),
        WITH_SERVER(restart__keeps_users),
        WITH_SERVER(index_with_foreign_keys__is_taken),
        WITH_SERVER(index_that_was_ours__gets_its_user_back),
        WITH_SERVER(index_of_another_user__is_taken),
        WITH_SERVER(index_that_is_not_there__is_refused),
        WITH_SERVER(user_with_another_mark__is_taken),
        WITH_SERVER(pool__is_marked_once),
        WITH_SERVER(list__is_by_mark),
        WITH_SERVER(wrong_administrator__is_denied),
        WITH_SERVER(weak_administrator__changes_nothing),
        WITH_SERVER(dead_server__holds_nobody),
        WITH_SERVER(unsaved_change__is_tried_again),
        cmocka_unit_test(server_without_acl_file__is_told),
        cmocka_unit_test(tls__verifies_as_far_as_asked),
    };
    signal(SIGPIPE, SIG_IGN); /* as flotillad does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
