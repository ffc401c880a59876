/*
 * Whoever dies before or after any call to Redis: the step is run again, and the users, what the
 * server saved of them, and its keys are as in the life that nobody disturbed.
 */
#include "tests/backends/redis_steps.h"

#include "server/base/failpoint.h"

#define IDENTITY "abcdefghijklmnop"

static const struct redis_want wanted = {.passwords = {"one"}, .open = true};
static const struct redis_want rotating = {.passwords = {"one", "two"}, .open = true};
static const struct redis_want rotated = {.passwords = {"two"}, .open = true, .retires = true};
static const struct redis_want closed = {.open = false};

static int converge(struct world *world, const void *want)
{
    return with_redis(world, IDENTITY, 5, want, NULL);
}

static int check_pool(struct world *world, const void *want)
{
    struct redis_health health;
    (void)want;
    return redis_check(&world->ctx, &world->pool, &health);
}

static int list_users(struct world *world, const void *want)
{
    json_t *list = NULL;
    (void)want;
    return redis_list(&world->ctx, &world->pool, &list);
}

static const struct step {
    int (*run)(struct world *world, const void *want);
    const struct redis_want *want;
    const char *password; /* with which a key is written afterwards; NULL: none is */
} steps[] = {
    {check_pool, NULL, NULL},   {converge, &wanted, "one"}, {converge, &rotating, "two"},
    {converge, &rotated, NULL}, {converge, &closed, NULL},  {converge, &wanted, "one"},
    {list_users, NULL, NULL},   {converge, NULL, NULL}, /* removes */
};

enum { STEPS = ARRAY_SIZE(steps) };

static char *snapshot(struct world *world)
{
    assert_saved(world);
    return arena_printf(world->ctx.arena, "%s%s", acl_list(world),
                        ADMIN(world, "INFO", "keyspace")->text);
}

static void write_key(struct world *world, const char *password)
{
    if (!password)
        return;
    struct redis_link *link = log_in_as(world, "t_" IDENTITY, password);
    say_to(world, link, &REDIS_COMMAND("SELECT", "5"));
    say_to(world, link, &REDIS_COMMAND("SET", "key", "value"));
    redis_link_close(link);
}

/* In a process of its own, which sleeps or dies at `failpoint`. */
static pid_t start_armed(struct world *world, const char *failpoint, const struct step *step)
{
    pid_t pid = fork();
    if (pid == 0) {
        setenv("FLOTILLA_FAILPOINTS", failpoint, 1);
        setenv("FLOTILLA_LOG", "error", 1);
        log_init("test");
        _exit(failpoint_init() == 0 && step->run(world, step->want) == 0 ? 0 : 1);
    }
    assert_true(pid > 0);
    return pid;
}

/* True when it was killed at `point`. */
static bool dies_at(struct world *world, const char *point, const struct step *step)
{
    int status;
    pid_t pid = start_armed(world, arena_printf(world->ctx.arena, "%s=kill", point), step);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* A whole life, disturbed at `point` in each step (NULL: not at all). How often it died. */
static int live(struct world *world, const char *point, char *seen[STEPS])
{
    int deaths = 0;
    for (size_t at = 0; at < STEPS; at++) {
        deaths += point && dies_at(world, point, &steps[at]);
        assert_int_equal(steps[at].run(world, steps[at].want), 0);
        write_key(world, steps[at].password);
        seen[at] = snapshot(world);
    }
    ADMIN(world, "ACL", "DELUSER", "flotilla:cell-a");
    ADMIN(world, "ACL", "SAVE");
    return deaths;
}

static void whoever_dies__the_next_pass_ends_it(void **state)
{
    (void)state;
    struct world *world = world_new(false, false);
    char *undisturbed[STEPS], *seen[STEPS];
    int deaths = 0, calls = 0;
    live(world, NULL, undisturbed);
    for (enum call call = CALL_NONE + 1; call < CALL_MAX; call++) {
        if (!str_starts(call_row(call)->name, "redis."))
            continue;
        calls++;
        for (int side = 0; side < 2; side++) {
            const char *point = arena_printf(world->ctx.arena, "%s.%s", call_row(call)->name,
                                             side ? "after" : "before");
            int died = live(world, point, seen);
            if (died == 0)
                fail_msg("%s is never reached", point);
            deaths += died;
            for (size_t at = 0; at < STEPS; at++)
                assert_string_equal(seen[at], undisturbed[at]);
        }
    }
    print_message("%d calls, %d deaths\n", calls, deaths);
    world_free(world);
}

/* The disk is full when the user is dropped, and only then. */
static void drop_that_was_not_saved__is_done_again(void **state)
{
    (void)state;
    struct world *world = world_new(false, false);
    char *before = acl_list(world);
    char *away = arena_printf(world->ctx.arena, "%s.away", world->directory);
    int status;
    converge(world, &wanted);
    setenv("FLOTILLA_FAILPOINT_DIR", world->directory, 1);
    pid_t pid = start_armed(world, "redis.user.drop.before=hang(1000)", &steps[STEPS - 1]);
    unsetenv("FLOTILLA_FAILPOINT_DIR");
    const char *fired = in_directory(world, "fired.redis.user.drop.before");
    for (int tries = 0; access(fired, F_OK) != 0; tries++) {
        assert_true(tries < 500);
        clock_sleep_ms(20);
    }
    assert_int_equal(rename(world->directory, away), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(rename(away, world->directory), 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_string_not_equal(acl_list(world), before); /* it is back, without rights */
    assert_int_equal(converge(world, NULL), 0);
    assert_string_equal(acl_list(world), before);
    assert_saved(world);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_dies__the_next_pass_ends_it),
        cmocka_unit_test(drop_that_was_not_saved__is_done_again),
    };
    signal(SIGPIPE, SIG_IGN); /* as flotillad does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
