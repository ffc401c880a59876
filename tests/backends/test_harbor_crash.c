/*
 * Whoever dies before or after any call to Harbor, or loses its answer: the step is run again, and
 * robots, limits, configuration, schedule and password are as in the life that nobody disturbed.
 */
#include "tests/backends/harbor_test.h"

#include "reconcilers/backends/s3.h"
#include "server/base/failpoint.h"

#define BUCKET "t-aaaaaaaaaaaaaaaa"
#define GIB (INT64_C(1) << 30)

static int ask(struct ctx *ctx, struct harbor *harbor)
{
    struct harbor_serving found;
    return harbor_serving(ctx, harbor, &found);
}

static int make_account(struct ctx *ctx, struct harbor *harbor)
{
    const char *user;
    return harbor_account(ctx, harbor, MARK, false, &user);
}

static int set_quota(struct ctx *ctx, struct harbor *harbor)
{
    struct harbor_quota found;
    return harbor_quota_set(ctx, harbor, GIB, true, &(int64_t){0}, &found);
}

static int set_schedule(struct ctx *ctx, struct harbor *harbor)
{
    const struct harbor_gc_schedule nightly = {"0 0 3 * * *", true};
    const struct s3_proof proof = {.bucket = BUCKET, .at_ms = clock_boottime_ms()};
    return harbor_gc_schedule_set(ctx, harbor, &nightly, &proof);
}

static int collect(struct ctx *ctx, struct harbor *harbor)
{
    const struct s3_proof proof = {.bucket = BUCKET, .at_ms = clock_boottime_ms()};
    int64_t id;
    return harbor_gc_start(ctx, harbor, false, &proof, &id);
}

static int stop_run(struct ctx *ctx, struct harbor *harbor)
{
    struct harbor_gc_run last;
    TRY(harbor_gc_last(ctx, harbor, &last));
    return harbor_gc_stop(ctx, harbor, last.id);
}

static int change_password(struct ctx *ctx, struct harbor *harbor)
{
    return harbor_admin_password(ctx, harbor, ADMIN_PASSWORD, "NewPassw0rd");
}

static const struct step {
    int (*run)(struct ctx *ctx, struct harbor *harbor);
    const char *damage; /* done before it; NULL = none */
} steps[] = {
    {make_account, NULL},
    {make_account, "{\"robot\": {\"1\": {\"rights\": [[\"quota\", \"list\"]]}}}"},
    {ask, NULL},
    {set_quota, "{\"projects\": [[1048576, -1], [5242880, -1], [0, -1]]}"},
    {set_schedule, NULL},
    {collect, NULL},
    {stop_run, "{\"run\": {\"job_status\": \"Running\"}}"},
    {change_password, NULL},
};

enum { STEPS = ARRAY_SIZE(steps) };

static int run(struct ctx *ctx, const struct step *step)
{
    struct harbor_server server = test_server(SECRET);
    server.bucket = BUCKET;
    _cleanup_harbor_ struct harbor *harbor = NULL;
    TRY(harbor_open(ctx, &server, &harbor));
    return step->run(ctx, harbor);
}

/* In a process of its own; whether the failpoint fired: it died, or failed. */
static bool fires(const char *failpoint, const struct step *step)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct ctx ctx = ctx_make(arena_new(), "test");
        setenv("FLOTILLA_FAILPOINTS", failpoint, 1);
        setenv("FLOTILLA_LOG", "error", 1);
        log_init("test");
        int rc = failpoint_init() < 0 ? -1 : run(&ctx, step);
        _exit(rc == 0 ? 0 : str_equal(ctx.err.reason, "FailpointError") ? 1 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed && !(WIFEXITED(status) && WEXITSTATUS(status) < 2))
        fail_msg("%s: status %d", failpoint, status);
    return killed || WEXITSTATUS(status) == 1;
}

/* Everything that Harbor keeps of what we do, but how often we asked. */
static const char *snapshot(struct ctx *ctx)
{
    json_t *told = json_deep_copy(control(ctx, NULL));
    static const char *const passing[] = {"seen", "sessions", "refused", "runs", "done"};
    for (size_t at = 0; at < ARRAY_SIZE(passing); at++)
        json_object_del(told, passing[at]);
    return json_text(ctx->arena, arena_json(ctx->arena, told));
}

/* A whole life, disturbed in each step (failpoint NULL: not at all). How often it was. */
static int live(struct ctx *ctx, const char *failpoint, const char *seen_after[STEPS])
{
    int fired = 0;
    control(ctx, "{\"reset\": 1}");
    control(ctx, "{\"set\": {\"lock_s\": 0.01}}");
    for (size_t at = 0; at < STEPS; at++) {
        if (steps[at].damage)
            control(ctx, steps[at].damage);
        fired += failpoint && fires(failpoint, &steps[at]);
        SUCCEEDS(ctx, run(ctx, &steps[at]));
        seen_after[at] = snapshot(ctx);
    }
    return fired;
}

static void whoever_dies__the_next_pass_ends_it(void **state)
{
    struct ctx *ctx = *state;
    static const char *const endings[] = {"before=kill", "after=error"};
    const char *undisturbed[STEPS], *found[STEPS];
    int calls = 0, fired = 0;
    live(ctx, NULL, undisturbed);
    for (enum call call = CALL_NONE + 1; call < CALL_MAX; call++) {
        if (!str_starts(call_row(call)->name, "harbor."))
            continue;
        calls++;
        for (size_t ending = 0; ending < ARRAY_SIZE(endings); ending++) {
            const char *failpoint =
                arena_printf(ctx->arena, "%s.%s", call_row(call)->name, endings[ending]);
            int once = live(ctx, failpoint, found);
            if (once == 0)
                fail_msg("%s is never reached", failpoint);
            fired += once;
            for (size_t at = 0; at < STEPS; at++)
                assert_string_equal(found[at], undisturbed[at]);
        }
    }
    print_message("%d calls, %d disturbances\n", calls, fired);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(whoever_dies__the_next_pass_ends_it)};
    return cmocka_run_group_tests(tests, start_replay, stop_replay);
}
