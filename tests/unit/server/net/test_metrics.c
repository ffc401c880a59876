/* The exposition format, bounds on series, and counting from many threads. */
#include "server/net/metrics.h"

#include "server/base/str.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct str text;

static bool shows(const char *line)
{
    str_clear(&text);
    metrics_write(&text);
    assert_false(text.overflow);
    return strstr(str_text(&text), line);
}

static void test_counter_and_gauge(void **state)
{
    (void)state;
    metric_add(METRIC_REST_REQUESTS, 1, "200", "GET");
    metric_add(METRIC_REST_REQUESTS, 2, "200", "GET");
    metric_add(METRIC_REST_REQUESTS, 1, "409", "PUT");
    assert_true(shows("\n# TYPE rest_client_requests_total counter\n"
                      "rest_client_requests_total{code=\"200\",method=\"GET\"} 3\n"
                      "rest_client_requests_total{code=\"409\",method=\"PUT\"} 1\n"));
    assert_true(shows("\nflotilla_shard_leases_held 0\n")); /* without labels: always there */
    metric_set(METRIC_LEASES_HELD, 33);
    assert_true(shows("# HELP flotilla_shard_leases_held Shard Leases that this process holds\n"
                      "# TYPE flotilla_shard_leases_held gauge\n"
                      "flotilla_shard_leases_held 33\n"));
    metric_set(METRIC_LEASES_HELD, 0.5);
    assert_true(shows("\nflotilla_shard_leases_held 0.5\n"));
}

static void test_histogram(void **state)
{
    (void)state;
    metric_observe(METRIC_RECONCILE_TIME, 0.005, "nginx"); /* a bound belongs to its bucket */
    metric_observe(METRIC_RECONCILE_TIME, 0.2, "nginx");
    metric_observe(METRIC_RECONCILE_TIME, 100, "nginx");
    assert_true(shows("# TYPE controller_runtime_reconcile_time_seconds histogram\n"));
    assert_true(shows("_time_seconds_bucket{controller=\"nginx\",le=\"0.001\"} 0\n"));
    assert_true(shows("_time_seconds_bucket{controller=\"nginx\",le=\"0.005\"} 1\n"));
    assert_true(shows("_time_seconds_bucket{controller=\"nginx\",le=\"0.25\"} 2\n"));
    assert_true(shows("_time_seconds_bucket{controller=\"nginx\",le=\"60\"} 2\n"));
    assert_true(
        shows("_time_seconds_bucket{controller=\"nginx\",le=\"+Inf\"} 3\n"
              "controller_runtime_reconcile_time_seconds_sum{controller=\"nginx\"} 100.205\n"
              "controller_runtime_reconcile_time_seconds_count{controller=\"nginx\"} 3\n"));
}

static void test_labels_are_escaped(void **state)
{
    (void)state;
    metric_add(METRIC_HTTP_PROBLEMS, 1, "a\"b\\c\nd");
    assert_true(shows("flotilla_http_problems_total{reason=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

static void test_series_are_bounded(void **state)
{
    (void)state;
    char cell[16];
    for (int at = 0; at < METRICS_SERIES_MAX + 50; at++) {
        snprintf(cell, sizeof cell, "c%d", at);
        metric_add(METRIC_COLLECTED, 1, cell);
    }
    assert_true(shows("flotilla_fleet_collected_total{cell=\"c999\"} 1\n"));
    assert_false(shows("flotilla_fleet_collected_total{cell=\"c1000\"}"));
    assert_true(shows("flotilla_fleet_collected_total{cell=\"other\"} 50\n"));
}

static void test_process(void **state)
{
    (void)state;
    static const char *const names[] = {
        "\nprocess_cpu_seconds_total ", "\nprocess_resident_memory_bytes ", "\nprocess_open_fds ",
        "\nprocess_max_fds ",           "\nprocess_start_time_seconds 1",   "\nprocess_threads 1\n",
    };
    for (size_t at = 0; at < sizeof names / sizeof *names; at++)
        assert_true(shows(names[at]));
}

static void *count_many(void *arg)
{
    for (int at = 0; at < 20000; at++) {
        metric_add(METRIC_QUEUE_ADDS, 1, arg);
        metric_observe(METRIC_QUEUE_WAIT, 0.01, "shared");
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    static char names[4][2] = {"a", "b", "a", "b"};
    for (int at = 0; at < 4; at++)
        assert_int_equal(pthread_create(&threads[at], NULL, count_many, names[at]), 0);
    for (int at = 0; at < 4; at++)
        pthread_join(threads[at], NULL);
    assert_true(shows("workqueue_adds_total{name=\"a\"} 40000\n"));
    assert_true(shows("workqueue_adds_total{name=\"b\"} 40000\n"));
    assert_true(shows("workqueue_queue_duration_seconds_count{name=\"shared\"} 80000\n"));
}

static int set_up(void **state)
{
    (void)state;
    str_init(&text, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    str_done(&text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter_and_gauge),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_labels_are_escaped),
        cmocka_unit_test(test_series_are_bounded),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
