/* The queue: each key once, never two workers on one key, back-off, timers. */
#include "reconcilers/engine/workqueue.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_takes(struct workqueue *queue, const char *expected)
{
    char key[WORKQUEUE_KEY_BYTES];
    assert_true(workqueue_take(queue, key));
    assert_string_equal(key, expected);
}

static void test_keeps_order_and_deduplicates(void **state)
{
    (void)state;
    struct workqueue *queue = workqueue_new("test", 1000);
    workqueue_add(queue, "a");
    workqueue_add(queue, "b");
    workqueue_add(queue, "a");
    assert_int_equal(workqueue_depth(queue), 2);
    assert_takes(queue, "a");
    assert_takes(queue, "b");
    assert_int_equal(workqueue_depth(queue), 0);
    workqueue_done(queue, "a");
    workqueue_done(queue, "b");
    workqueue_free(queue);
}

static void test_add_while_processing_comes_again_once(void **state)
{
    (void)state;
    struct workqueue *queue = workqueue_new("test", 1000);
    workqueue_add(queue, "a");
    assert_takes(queue, "a");
    workqueue_add(queue, "a");
    workqueue_add(queue, "a");
    assert_int_equal(workqueue_depth(queue), 0); /* nobody else may take it now */
    workqueue_done(queue, "a");
    assert_int_equal(workqueue_depth(queue), 1);
    assert_takes(queue, "a");
    workqueue_done(queue, "a");
    assert_int_equal(workqueue_depth(queue), 0);
    workqueue_free(queue);
}

static void test_add_after_waits_and_keeps_the_soonest(void **state)
{
    (void)state;
    struct workqueue *queue = workqueue_new("test", 1000);
    int64_t start = clock_boottime_ms();
    workqueue_add_after(queue, "late", 60);
    workqueue_add_after(queue, "a", 3600000);
    workqueue_add_after(queue, "a", 20);
    workqueue_add_after(queue, "a", 3600000);
    assert_int_equal(workqueue_depth(queue), 0);
    assert_takes(queue, "a");
    assert_true(clock_boottime_ms() - start >= 20);
    assert_takes(queue, "late");
    assert_true(clock_boottime_ms() - start >= 60);
    workqueue_done(queue, "a");
    workqueue_done(queue, "late");
    workqueue_free(queue);
}

/* Whoever looks now sets the next time himself. */
static void test_ready_key_forgets_its_timer(void **state)
{
    (void)state;
    struct workqueue *queue = workqueue_new("test", 1000);
    workqueue_add_after(queue, "a", 30);
    workqueue_add(queue, "a");
    assert_takes(queue, "a");
    workqueue_done(queue, "a");
    workqueue_add_after(queue, "b", 60);
    assert_takes(queue, "b"); /* and not "a" a second time */
    workqueue_done(queue, "b");
    workqueue_free(queue);
}

/* Three of four takes go to what events brought; an event lifts what the clock had brought. */
static void test_events_go_before_the_clock_but_do_not_starve_it(void **state)
{
    (void)state;
    static const char *const order[] = {"event 1", "lifted",  "event 2",
                                        "clock 1", "event 3", "clock 2"};
    struct workqueue *queue = workqueue_new("test", 1000);
    workqueue_add_after(queue, "clock 1", 0);
    workqueue_add_after(queue, "lifted", 0);
    workqueue_add_after(queue, "clock 2", 0);
    workqueue_add(queue, "event 1");
    workqueue_add(queue, "lifted");
    workqueue_add(queue, "event 2");
    workqueue_add(queue, "event 3");
    assert_int_equal(workqueue_depth(queue), 6);
    for (size_t at = 0; at < sizeof order / sizeof *order; at++) {
        assert_takes(queue, order[at]);
        workqueue_done(queue, order[at]);
    }
    workqueue_free(queue);
}

/* A hundred roots that come at once are finished one after the other; none of the others starves.
 */
static void test_what_is_begun_is_finished_first(void **state)
{
    (void)state;
    static const char *const order[] = {"begun 1", "new 1", "lifted", "clock",
                                        "begun 2", "new 2", "begun 3"};
    struct workqueue *queue = workqueue_new("test", 1000);
    workqueue_add_after(queue, "clock", 0);
    workqueue_add(queue, "new 1");
    workqueue_add(queue, "lifted");
    workqueue_add(queue, "new 2");
    workqueue_add_paced(queue, "begun 1", 0, true);
    workqueue_add_paced(queue, "lifted", 0, true);
    workqueue_add_paced(queue, "begun 2", 0, true);
    workqueue_add_paced(queue, "begun 3", 0, true);
    for (size_t at = 0; at < sizeof order / sizeof *order; at++) {
        assert_takes(queue, order[at]);
        workqueue_done(queue, order[at]);
    }
    workqueue_free(queue);
}

static double shown(const char *metric)
{
    _cleanup_str_ struct str text;
    str_init(&text, 1 << 20);
    metrics_write(&text);
    const char *line = strstr(str_text(&text), metric);
    return line ? strtod(line + strlen(metric), NULL) : -1;
}

/* A worker that never comes back grows from look to look; what is done is gone. */
static void test_unfinished_work_grows_by_time_alone(void **state)
{
    (void)state;
    static const char sum[] = "\nworkqueue_unfinished_work_seconds{name=\"stuck\"} ";
    static const char longest[] = "\nworkqueue_longest_running_processor_seconds{name=\"stuck\"} ";
    struct workqueue *queue = workqueue_new("stuck", 1000);
    assert_true(shown(sum) == 0);
    workqueue_add(queue, "a");
    workqueue_add(queue, "b");
    assert_takes(queue, "a");
    clock_sleep_ms(20);
    assert_takes(queue, "b");
    clock_sleep_ms(20);
    assert_true(shown(longest) >= 0.04);
    assert_true(shown(sum) >= 0.06);
    workqueue_done(queue, "a");
    clock_sleep_ms(20);
    double first = shown(longest);
    assert_true(first >= 0.04 && shown(sum) >= first);
    workqueue_done(queue, "b");
    assert_true(shown(sum) == 0 && shown(longest) == 0);
    workqueue_free(queue);
}

static void test_timer_set_while_processing_stays(void **state)
{
    (void)state;
    struct workqueue *queue = workqueue_new("test", 1000);
    workqueue_add(queue, "a");
    assert_takes(queue, "a");
    workqueue_add_after(queue, "a", 10);
    workqueue_done(queue, "a");
    assert_int_equal(workqueue_depth(queue), 0);
    assert_takes(queue, "a");
    workqueue_done(queue, "a");
    workqueue_free(queue);
}

static void test_backoff_doubles_to_the_cap_and_is_forgotten(void **state)
{
    (void)state;
    struct workqueue *queue = workqueue_new("test", 50);
    static const int64_t expected[] = {5, 10, 20, 40, 50, 50};
    for (size_t at = 0; at < sizeof expected / sizeof *expected; at++)
        assert_int_equal(workqueue_add_backoff(queue, "a", 0), expected[at]);
    assert_int_equal(workqueue_failures(queue, "a"), 6);
    assert_int_equal(workqueue_failures(queue, "b"), 0);
    assert_int_equal(workqueue_add_backoff(queue, "b", 700), 700);
    workqueue_forget(queue, "a");
    assert_int_equal(workqueue_add_backoff(queue, "a", 0), 5);
    for (int many = 0; many < 100; many++)
        assert_in_range(workqueue_add_backoff(queue, "c", 0), 5, 50);
    workqueue_free(queue);
}

/* Adding takes time too, so that neighbours may swap; the slack is for a slow machine. */
static void test_many_timers_come_in_order_and_not_early(void **state)
{
    (void)state;
    enum { TIMERS = 200, SLACK_MS = 50 };
    struct workqueue *queue = workqueue_new("test", 1000);
    char key[WORKQUEUE_KEY_BYTES];
    long latest = 0;
    int64_t start = clock_boottime_ms();
    for (int at = 0; at < TIMERS; at++) {
        int delay = (at * 37) % TIMERS + 1; /* every number once, mixed */
        snprintf(key, sizeof key, "%d", delay);
        workqueue_add_after(queue, key, delay);
    }
    for (int at = 0; at < TIMERS; at++) {
        assert_true(workqueue_take(queue, key));
        long delay = strtol(key, NULL, 10);
        assert_true(clock_boottime_ms() - start >= delay);
        assert_true(delay > latest - SLACK_MS);
        latest = delay > latest ? delay : latest;
        workqueue_done(queue, key);
    }
    workqueue_free(queue);
}

/* At once, and then not for a while, for all that came meanwhile. */
static void test_paced_key_comes_at_once_and_then_rests(void **state)
{
    enum { EVERY_MS = 400 };
    (void)state;
    struct workqueue *queue = workqueue_new("test", 1000);
    workqueue_add_paced(queue, "a", EVERY_MS, true);
    assert_int_equal(workqueue_depth(queue), 1);
    int64_t first = clock_boottime_ms();
    assert_takes(queue, "a");
    workqueue_add_paced(queue, "a", EVERY_MS, true);
    workqueue_done(queue, "a");
    workqueue_add_paced(queue, "a", EVERY_MS, true);
    assert_int_equal(workqueue_depth(queue), 0);
    assert_takes(queue, "a");
    assert_true(clock_boottime_ms() - first >= EVERY_MS);
    workqueue_done(queue, "a");
    assert_int_equal(workqueue_depth(queue), 0);
    workqueue_free(queue);
}

/* An event that is not paced waits for nothing, nor does what rested long enough. */
static void test_paced_key_rests_no_longer_than_that(void **state)
{
    (void)state;
    struct workqueue *queue = workqueue_new("test", 1000);
    workqueue_add(queue, "a");
    assert_takes(queue, "a");
    workqueue_add_after(queue, "a", 3600000); /* as the engine does: it is looked at again */
    workqueue_done(queue, "a");
    workqueue_add_paced(queue, "a", 3600000, true);
    assert_int_equal(workqueue_depth(queue), 0);
    workqueue_add(queue, "a");
    assert_takes(queue, "a");
    workqueue_add_after(queue, "a", 3600000);
    workqueue_done(queue, "a");
    clock_sleep_ms(20);
    workqueue_add_paced(queue, "a", 10, true);
    assert_int_equal(workqueue_depth(queue), 1);
    workqueue_free(queue);
}

/* ---- threads ---- */

enum { KEYS = 50, ADDS = 20000, WORKERS = 4 };

struct load {
    struct workqueue *queue;
    atomic_int inside[KEYS]; /* workers on this key */
    atomic_int seen[KEYS];   /* the last number that a worker saw */
    atomic_int wanted[KEYS]; /* the last number that was written before an add */
    atomic_int overlaps;
};

static void *work(void *arg)
{
    struct load *load = arg;
    char key[WORKQUEUE_KEY_BYTES];
    while (workqueue_take(load->queue, key)) {
        long at = strtol(key, NULL, 10);
        if (atomic_fetch_add(&load->inside[at], 1) != 0)
            atomic_fetch_add(&load->overlaps, 1);
        atomic_store(&load->seen[at], atomic_load(&load->wanted[at]));
        atomic_fetch_sub(&load->inside[at], 1);
        if (at % 7 == 0)
            workqueue_add_after(load->queue, key, 1);
        workqueue_forget(load->queue, key);
        workqueue_done(load->queue, key);
    }
    return NULL;
}

static void *add(void *arg)
{
    struct load *load = arg;
    char key[16];
    for (int at = 0; at < ADDS; at++) {
        int number = at % KEYS;
        snprintf(key, sizeof key, "%d", number);
        atomic_fetch_add(&load->wanted[number], 1);
        workqueue_add(load->queue, key);
    }
    return NULL;
}

static bool all_seen(struct load *load)
{
    for (int at = 0; at < KEYS; at++)
        if (atomic_load(&load->seen[at]) != atomic_load(&load->wanted[at]))
            return false;
    return true;
}

static void test_threads_never_share_a_key_and_lose_nothing(void **state)
{
    (void)state;
    struct load *load = calloc(1, sizeof *load);
    assert_non_null(load);
    load->queue = workqueue_new("test", 1000);
    pthread_t workers[WORKERS], adders[2];
    for (int at = 0; at < WORKERS; at++)
        pthread_create(&workers[at], NULL, work, load);
    for (int at = 0; at < 2; at++)
        pthread_create(&adders[at], NULL, add, load);
    for (int at = 0; at < 2; at++)
        pthread_join(adders[at], NULL);
    for (int tries = 0; !all_seen(load) && tries < 1000; tries++)
        clock_sleep_ms(5);
    assert_true(all_seen(load));
    assert_int_equal(atomic_load(&load->overlaps), 0);
    workqueue_close(load->queue);
    for (int at = 0; at < WORKERS; at++)
        pthread_join(workers[at], NULL);
    workqueue_free(load->queue);
    free(load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_order_and_deduplicates),
        cmocka_unit_test(test_add_while_processing_comes_again_once),
        cmocka_unit_test(test_add_after_waits_and_keeps_the_soonest),
        cmocka_unit_test(test_ready_key_forgets_its_timer),
        cmocka_unit_test(test_events_go_before_the_clock_but_do_not_starve_it),
        cmocka_unit_test(test_what_is_begun_is_finished_first),
        cmocka_unit_test(test_unfinished_work_grows_by_time_alone),
        cmocka_unit_test(test_timer_set_while_processing_stays),
        cmocka_unit_test(test_backoff_doubles_to_the_cap_and_is_forgotten),
        cmocka_unit_test(test_many_timers_come_in_order_and_not_early),
        cmocka_unit_test(test_paced_key_comes_at_once_and_then_rests),
        cmocka_unit_test(test_paced_key_rests_no_longer_than_that),
        cmocka_unit_test(test_threads_never_share_a_key_and_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
