#include "tests/unit/test.h"

#include "reconcilers/backends/gate.h"
#include "server/base/clock.h"

static void gate__bounds_workers_per_pool(void **state)
{
    struct ctx *ctx = *state;
    struct backend_gates *gates = backend_gates_new(2);
    assert_int_equal(backend_gate_enter(ctx, gates, "a"), 0);
    assert_int_equal(backend_gate_enter(ctx, gates, "a"), 0);
    int64_t start_ms = clock_boottime_ms();
    assert_int_equal(backend_gate_enter(ctx, gates, "a"), -ERR_OVERLOADED);
    assert_true(clock_boottime_ms() - start_ms < 10 * GATE_WAIT_MS); /* bounded, too */
    assert_string_equal(ctx->err.reason, "PoolBusy");
    assert_int_equal(backend_gate_enter(ctx, gates, "b"), 0);
    backend_gate_leave(gates, "a", true);
    assert_int_equal(backend_gate_enter(ctx, gates, "a"), 0);
    backend_gates_free(gates);
}

static void place_that_is_lent__is_taken_and_given_back(void **state)
{
    struct ctx *ctx = *state;
    struct backend_gates *gates = backend_gates_new(1);
    assert_int_equal(backend_gate_enter(ctx, gates, "a"), 0);
    backend_gate_lend(gates, "a");
    assert_int_equal(backend_gate_enter(ctx, gates, "a"), 0);
    backend_gate_return(gates, "a"); /* beyond the number, for a moment */
    backend_gate_leave(gates, "a", true);
    assert_int_equal(backend_gate_enter(ctx, gates, "a"), -ERR_OVERLOADED);
    backend_gate_leave(gates, "a", true);
    assert_int_equal(backend_gate_enter(ctx, gates, "a"), 0);
    backend_gates_free(gates);
}

static void fail_once(struct ctx *ctx, struct backend_gates *gates)
{
    assert_int_equal(backend_gate_enter(ctx, gates, "dead"), 0);
    backend_gate_leave(gates, "dead", false);
}

static void breaker__opens_after_failures_in_a_row(void **state)
{
    struct ctx *ctx = *state;
    struct backend_gates *gates = backend_gates_new(1);
    for (int at = 0; at < BREAKER_FAILURES - 1; at++)
        fail_once(ctx, gates);
    assert_int_equal(backend_gate_enter(ctx, gates, "dead"), 0);
    backend_gate_leave(gates, "dead", true); /* a success between: it starts anew */
    for (int at = 0; at < BREAKER_FAILURES; at++)
        fail_once(ctx, gates);
    assert_int_equal(backend_gate_enter(ctx, gates, "dead"), -ERR_UNAVAILABLE);
    assert_string_equal(ctx->err.reason, "BreakerOpen");
    assert_in_range(ctx->err.retry_after_ms, 1, BREAKER_OPEN_MS);
    assert_int_equal(backend_gate_enter(ctx, gates, "alive"), 0);
    backend_gates_free(gates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gate__bounds_workers_per_pool),
        TEST(place_that_is_lent__is_taken_and_given_back),
        TEST(breaker__opens_after_failures_in_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
