/* When a pass of `placement` looks again: at the decision's time; one that failed never at once. */
#include "tests/unit/reconcilers/pipeline/talk.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"

#include <inttypes.h>

static const struct {
    const char *what;
    int64_t wake_in_s; /* 0 = nothing is due */
    bool failed;
    int64_t at_least_ms, at_most_ms;
} cases[] = {
    {"nothing is due", 0, false, 0, 0},
    {"nothing is due, and it failed", 0, true, 0, 0},
    {"to come", 60, false, 50000, 60000},
    {"to come, and it failed", 60, true, 50000, 60000},
    {"it came during the pass", -5, false, 1, 1},
    {"it came during a pass that failed", -5, true, 10000, 10000},
};

/* The last phase, which runs whatever became of the others. */
static const struct phase *last_phase(void)
{
    const struct phase *phase = placement_reconciler.phases;
    while (phase[1].name)
        phase++;
    assert_true(phase->flags & PHASE_ALWAYS);
    return phase;
}

static void test_who_failed_does_not_look_again_at_once(void **state)
{
    struct ctx *ctx = *state;
    const struct err failure = {
        .code = ERR_UNAVAILABLE, .reason = "Unavailable", .message = "it does not answer"};
    for (size_t at = 0; at < ARRAY_SIZE(cases); at++) {
        int64_t now_s = clock_wall_ms() / 1000;
        struct placer_scope scope = {.scene.now_s = now_s, .world.now_s = now_s};
        struct pass pass = {.scope = &scope, .status = arena_json(ctx->arena, json_object())};
        if (cases[at].wake_in_s)
            scope.decision.wake_s = now_s + cases[at].wake_in_s;
        if (cases[at].failed)
            pass.failure = &failure;
        assert_int_equal(last_phase()->run(ctx, &pass), 0);
        if (pass.requeue_ms < cases[at].at_least_ms || pass.requeue_ms > cases[at].at_most_ms)
            fail_msg("%s: %" PRId64 " ms", cases[at].what, pass.requeue_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_failed_does_not_look_again_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
