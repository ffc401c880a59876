/* The state machine of list and watch, fed by hand: what it asks next, and what the store holds. */
#include "reconcilers/kube/reflector.h"

#include "reconcilers/kube/store.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define OBJECT(name, version)                                                                      \
    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"namespace\":\"n\",\"name\":\"" name   \
    "\",\"uid\":\"u-" name "\",\"resourceVersion\":\"" version                                     \
    "\",\"managedFields\":[{\"manager\":\"m\"}]}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define ADDED(name, version) EVENT("ADDED", OBJECT(name, version))
#define DELETED(name, version) EVENT("DELETED", OBJECT(name, version))
#define BOOKMARK(version)                                                                          \
    EVENT("BOOKMARK", "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"" version "\"}}")
#define MARKER(version)                                                                            \
    EVENT("BOOKMARK", "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"" version             \
                      "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")
#define ERROR_EVENT(code) EVENT("ERROR", "{\"kind\":\"Status\",\"code\":" code "}")

static struct {
    struct reflector reflector;
    struct store *store;
    char path[1024];
    int delay_ms, connects, synced;
    enum kube_change change; /* of what was heard last */
    struct str heard;        /* "+name " and "-name " */
} world;

static void connect_stream(void *arg, const char *path, int delay_ms)
{
    (void)arg;
    snprintf(world.path, sizeof world.path, "%s", path);
    world.delay_ms = delay_ms;
    world.connects++;
}

static void hear(void *arg, enum kube_kind kind, const json_t *object, enum kube_change change)
{
    (void)arg;
    assert_int_equal(kind, KIND_POD);
    assert_null(json_at(object, "metadata.managedFields"));
    assert_string_equal(json_str(object, "kind"), "Pod");
    world.change = change;
    str_printf(&world.heard, "%c%s ", "++-"[change], json_str(object, "metadata.name"));
}

static void mark_synced(void *arg)
{
    (void)arg;
    world.synced++;
}

static void expect_heard(const char *text)
{
    assert_string_equal(str_text(&world.heard), text);
    str_clear(&world.heard);
}

static bool feed(const char *text)
{
    return reflector_data(&world.reflector, text, strlen(text));
}

/* The connection ends. */
static void end(int status, const char *body, const char *what)
{
    reflector_end(&world.reflector, status, body, what);
}

static bool asks(const char *part)
{
    return strstr(world.path, part);
}

static bool asks_to_sync(void)
{
    return asks("watch=1") && asks("sendInitialEvents=true") &&
           asks("resourceVersionMatch=NotOlderThan") && !asks("resourceVersion=");
}

static void sync_at_ten(void)
{
    assert_true(asks_to_sync());
    assert_true(feed(ADDED("a", "5") ADDED("b", "6")));
    assert_int_equal(world.synced, 0);
    assert_int_equal(store_count(world.store), 0); /* only whole lists are shown */
    assert_true(feed(MARKER("10")));
    assert_int_equal(world.synced, 1);
    expect_heard("+a +b ");
}

static void test_stream_goes_live(void **state)
{
    (void)state;
    assert_string_equal(world.reflector.options.label_selector, "x=y");
    assert_true(asks("/api/v1/namespaces/n/pods?labelSelector=x%3Dy&"));
    assert_true(asks("allowWatchBookmarks=true&timeoutSeconds="));
    sync_at_ten();
    assert_true(feed(ADDED("c", "11") DELETED("a", "12") BOOKMARK("20")));
    expect_heard("+c -a ");
    assert_int_equal(store_count(world.store), 2);
    end(200, "", NULL);
    assert_true(asks("&resourceVersion=20"));
    assert_false(asks("sendInitialEvents"));
    assert_int_equal(world.delay_ms, 0);
}

static void test_changes_before_the_marker(void **state)
{
    (void)state;
    assert_true(feed(ADDED("a", "5") EVENT("MODIFIED", OBJECT("a", "7")) ADDED("b", "6")
                         DELETED("b", "8") MARKER("10")));
    expect_heard("+a ");
    assert_int_equal(store_count(world.store), 1);
}

/* Kubernetes takes a NUL in an annotation; whoever writes one must not blind us for the others. */
static void test_nul_in_a_stranger_is_read(void **state)
{
    (void)state;
    static const char nul[] =
        EVENT("ADDED", "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"namespace\":\"n\","
                       "\"name\":\"z\",\"uid\":\"u-z\",\"resourceVersion\":\"7\","
                       "\"annotations\":{\"x\":\"a\\u0000b\"}}}");
    assert_true(feed(ADDED("a", "5")));
    assert_true(feed(nul));
    assert_true(feed(MARKER("10") ADDED("b", "11")));
    expect_heard("+a +z +b ");
}

static void test_every_split(void **state)
{
    (void)state;
    static const char text[] = ADDED("a", "5") MARKER("10") ADDED("b", "11") BOOKMARK("12");
    for (size_t at = 0; at < sizeof text; at++) {
        struct store *store = store_new("home");
        struct reflector_options options = world.reflector.options;
        struct reflector reflector;
        options.store = store;
        reflector_init(&reflector, &options);
        reflector_start(&reflector);
        assert_true(reflector_data(&reflector, text, at));
        assert_true(reflector_data(&reflector, text + at, sizeof text - 1 - at));
        assert_string_equal(reflector.version, "12");
        expect_heard("+a +b ");
        reflector_done(&reflector);
        store_free(store);
    }
}

static void test_falls_back_to_pages(void **state)
{
    (void)state;
    end(422, "{\"kind\":\"Status\",\"code\":422}", NULL);
    assert_true(asks("limit=500"));
    assert_false(asks("continue"));
    assert_true(feed("{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"10\",\"continue\":"
                     "\"t=1\"},\"items\":[{\"metadata\":{\"namespace\":\"n\",\"na"));
    assert_true(feed("me\":\"a\",\"uid\":\"u\",\"resourceVersion\":\"5\"}}]}"));
    end(200, "", NULL);
    assert_true(asks("&continue=t%3D1"));
    assert_int_equal(world.synced, 0);
    assert_true(
        feed("{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" OBJECT("b", "6") "]}"));
    end(200, "", NULL);
    assert_int_equal(world.synced, 1);
    expect_heard("+a +b ");
    assert_true(asks("watch=1") && asks("&resourceVersion=10"));
    assert_int_equal(world.delay_ms, 0);
}

static void feed_too_large_a_page(void)
{
    static char piece[1 << 20];
    memset(piece, ' ', sizeof piece);
    for (int sent = 0; sent < REFLECTOR_PAGE_MAX_BYTES >> 20; sent++)
        assert_true(reflector_data(&world.reflector, piece, sizeof piece));
    assert_false(feed("x"));
    end(200, "", "stopped by us");
}

static void test_a_page_that_is_too_large_is_halved(void **state)
{
    (void)state;
    end(422, "{\"kind\":\"Status\",\"code\":422}", NULL);
    feed_too_large_a_page();
    assert_true(asks("limit=250") && !asks("continue"));
    assert_int_equal(world.delay_ms, 0);
    assert_true(feed("{\"metadata\":{\"resourceVersion\":\"10\",\"continue\":\"t\"},\"items\":"
                     "[" OBJECT("a", "5") "]}"));
    end(200, "", NULL);
    assert_true(asks("limit=500&continue=t")); /* others are small */
    feed_too_large_a_page();
    feed_too_large_a_page();
    assert_true(asks("limit=125&continue=t"));
    assert_true(
        feed("{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" OBJECT("b", "6") "]}"));
    end(200, "", NULL);
    expect_heard("+a +b ");
}

static void test_server_that_ignores_the_marker(void **state)
{
    (void)state;
    assert_false(feed(ADDED("a", "5") BOOKMARK("10")));
    end(200, "", "stopped by us");
    assert_true(asks("limit=500"));
}

static void test_expired_as_event_and_as_status(void **state)
{
    (void)state;
    sync_at_ten();
    assert_false(feed(ERROR_EVENT("410")));
    end(200, "", "stopped by us");
    assert_true(asks_to_sync());
    assert_int_equal(world.delay_ms, 0);
    assert_int_equal(store_count(world.store), 2); /* old data stays readable */
    assert_true(feed(ADDED("b", "6") MARKER("30")));
    expect_heard("-a "); /* a deletion that no event told */
    assert_string_equal(world.reflector.cause, "expired");
    end(410, "", NULL);
    assert_true(asks_to_sync());
}

static void test_rollback_by_bookmark(void **state)
{
    (void)state;
    sync_at_ten();
    assert_true(feed(ADDED("c", "11")));
    assert_false(feed(BOOKMARK("9")));
    end(200, "", "stopped by us");
    assert_true(asks_to_sync());
    /* even though the server is past our version again by now */
    assert_true(feed(ADDED("a", "5") MARKER("15")));
    expect_heard("+c -b -c ");
    assert_int_equal(store_count(world.store), 1);
}

static void test_rollback_by_probe(void **state)
{
    (void)state;
    sync_at_ten();
    end(0, "", "refused");
    assert_true(asks("limit=1"));
    assert_true(world.delay_ms > 0);
    end(0, "", "refused");
    assert_true(asks("limit=1"));
    assert_true(feed("{\"metadata\":{\"resourceVersion\":\"8\"},\"items\":[]}"));
    end(200, "", NULL);
    assert_true(asks_to_sync());
    assert_true(feed(ADDED("a", "4") MARKER("8")));
    expect_heard("-b +a ");
}

/* A proxy answers while the server behind it is away. */
static void test_rollback_behind_a_proxy(void **state)
{
    (void)state;
    metric_clear(METRIC_CACHE_RELISTS);
    sync_at_ten();
    end(503, "no server is available", NULL);
    assert_true(asks("limit=1"));
    end(403, "{\"kind\":\"Status\",\"code\":403}", NULL); /* its rights are not read yet */
    assert_true(asks("limit=1"));
    assert_true(feed("{\"metadata\":{\"resourceVersion\":\"8\"},\"items\":[]}"));
    end(200, "", NULL);
    assert_true(asks_to_sync());
    assert_true(
        feed(ADDED("a", "4") MARKER("11"))); /* past our version by now, with other content */
    expect_heard("-b +a ");
    struct str metrics;
    str_init(&metrics, 1 << 20);
    metrics_write(&metrics);
    assert_non_null(strstr(str_text(&metrics), "{kind=\"Pod\",cause=\"start\"} 1\n"));
    assert_non_null(strstr(str_text(&metrics), "{kind=\"Pod\",cause=\"HistorySetBack\"} 1\n"));
    str_done(&metrics);
}

static void test_server_was_away(void **state)
{
    (void)state;
    sync_at_ten();
    end(0, "", "refused");
    assert_true(
        feed("{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" OBJECT("z", "9") "]}"));
    end(200, "", NULL);
    assert_true(asks("&resourceVersion=10"));
    assert_int_equal(world.delay_ms, 0);
    assert_int_equal(store_count(world.store), 2); /* what a probe lists is not for the store */
    assert_true(feed(ADDED("c", "11")));
    expect_heard("+c ");
}

static void test_undecodable_events(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\"type\":\"ADDED\",\"object\":{]}}\n", "no json\n",
                                      "{\"type\":\"WHAT\",\"object\":{}}\n",
                                      "{\"type\":\"ADDED\",\"object\":{}}\n", "{}\n"};
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        if (at)
            assert_true(feed(MARKER("10")));
        else
            sync_at_ten();
        str_clear(&world.heard);
        assert_false(feed(bad[at]));
        end(200, "", "stopped by us");
        assert_true(asks("&resourceVersion=10")); /* once: from the same version */
        assert_false(feed(bad[at]));
        end(200, "", "stopped by us");
        assert_true(asks_to_sync()); /* twice: all anew */
    }
}

static void test_back_off(void **state)
{
    (void)state;
    int last = 0;
    for (int tries = 0; tries < 12; tries++) {
        end(403, "{\"message\":\"no\"}", NULL);
        assert_true(world.delay_ms <= world.reflector.options.timing->backoff_max_ms);
        assert_true(world.delay_ms >= last || world.delay_ms > 500);
        last = world.delay_ms;
    }
    assert_true(last > 500);
    assert_true(asks_to_sync());
    sync_at_ten();
}

static void test_quick_ends_do_not_spin(void **state)
{
    (void)state;
    sync_at_ten();
    int delayed = 0;
    for (int tries = 0; tries < 10; tries++) {
        end(410, "", NULL);
        delayed += world.delay_ms > 0;
    }
    assert_true(delayed >= 6);
    assert_int_equal(world.connects, 11);
}

static void test_silence_leads_to_a_full_list(void **state)
{
    (void)state;
    sync_at_ten();
    end(200, "", "no byte within the idle timeout");
    assert_true(asks("&resourceVersion=10")); /* it had spoken before */
    end(200, "", "no byte within the idle timeout");
    assert_true(asks_to_sync());
}

/* ---- objects that are too large to be read ---- */

/* One event of so many bytes, fed in two pieces; true: the stream goes on. */
static bool feed_fat(size_t bytes)
{
    static const char head[] =
        "{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"n\","
        "\"name\":\"a\",\"uid\":\"u-a\",\"resourceVersion\":\"12\"},\"x\":\"";
    static const char foot[] = "\"}}\n";
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, 'x', bytes);
    for (size_t at = sizeof head - 1; at + 12 < bytes; at += 6)
        memcpy(text + at, "\\u003c", 6); /* as "<" is sent */
    memcpy(text, head, sizeof head - 1);
    memcpy(text + bytes - sizeof foot + 1, foot, sizeof foot - 1);
    bool more = reflector_data(&world.reflector, text, bytes / 2) &&
                reflector_data(&world.reflector, text + bytes / 2, bytes - bytes / 2);
    free(text);
    return more;
}

static void test_nine_megabytes_are_read(void **state)
{
    (void)state;
    sync_at_ten();
    assert_true(feed_fat(9 << 20));
    expect_heard("+a ");
    assert_int_equal(store_count(world.store), 2);
}

static void test_what_is_too_large_is_passed_over_in_a_list(void **state)
{
    (void)state;
    assert_true(feed(ADDED("b", "6")));
    assert_true(feed_fat(FRAME_MAX_BYTES + 10));
    assert_true(feed(MARKER("10") ADDED("c", "11")));
    expect_heard("+b +c ");
    assert_int_equal(world.synced, 1);
}

/* The store holds an old copy of it: it must not stay for ever. */
static void test_what_grew_too_large_leaves_the_store(void **state)
{
    (void)state;
    sync_at_ten();
    assert_true(feed_fat(FRAME_MAX_BYTES + 10));
    assert_true(feed(ADDED("c", "13"))); /* the others go on */
    expect_heard("+c ");
    assert_int_equal(store_count(world.store), 3);
    world.reflector.synced_ms -= world.reflector.options.timing->resync_ms; /* time passes */
    assert_false(feed(BOOKMARK("14")));
    end(200, "", "stopped by us");
    assert_true(asks_to_sync());
    assert_int_equal(world.delay_ms, 0);
    assert_true(feed(ADDED("b", "6") ADDED("c", "13")));
    assert_true(feed_fat(FRAME_MAX_BYTES + 10));
    assert_true(feed(MARKER("14")));
    expect_heard("-a ");
    assert_string_equal(world.reflector.cause, "skipped");
    world.reflector.synced_ms -= world.reflector.options.timing->resync_ms;
    assert_true(feed(BOOKMARK("15"))); /* the list itself skipped it: nothing can be outdated */
}

static void test_what_has_no_room_is_left_out_and_looked_for_later(void **state)
{
    (void)state;
    static char fat[4 << 20];
    memset(fat, 'y', sizeof fat - 1);
    sync_at_ten();
    assert_true(
        feed("{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\","
             "\"namespace\":\"n\",\"uid\":\"u-a\",\"resourceVersion\":\"11\"},\"y\":\""));
    assert_true(feed(fat));
    assert_true(feed("\"}}\n" ADDED("c", "12")));
    expect_heard("+a +c "); /* who looks for it finds nothing */
    assert_int_equal(store_count(world.store), 2);
    end(200, "", NULL);
    assert_true(asks_to_sync());
}

/* It may have shrunk, or there may be room for it now. */
static void test_a_store_that_lacks_something_is_listed_anew(void **state)
{
    (void)state;
    assert_true(feed_fat(FRAME_MAX_BYTES + 10));
    assert_true(feed(MARKER("10") BOOKMARK("20")));
    end(200, "", NULL);
    assert_true(asks_to_sync());
    assert_true(feed(ADDED("a", "21") MARKER("22")));
    expect_heard("+a ");
    end(200, "", NULL);
    assert_true(asks("&resourceVersion=22"));
}

/* What a list finds may be an old state: who takes it for his own last write must know. */
static void test_what_a_list_finds_is_told_as_such(void **state)
{
    (void)state;
    assert_true(feed(ADDED("a", "10") ADDED("b", "11") MARKER("12")));
    assert_int_equal(world.change, KUBE_LISTED);
    assert_true(feed(ADDED("a", "13")));
    assert_int_equal(world.change, KUBE_CHANGED);
    assert_true(feed(DELETED("a", "14")));
    assert_int_equal(world.change, KUBE_DELETED);
    expect_heard("+a +b +a -a ");
}

static int set_up(void **state)
{
    static const struct reflector_timing timing = {.backoff_ms = 10,
                                                   .backoff_max_ms = 1000,
                                                   .healthy_ms = 60000,
                                                   .watch_min_s = 300,
                                                   .watch_max_s = 600,
                                                   .resync_ms = 60000};
    (void)state;
    memset(&world, 0, sizeof world);
    str_init(&world.heard, 4096);
    world.store = store_new("home");
    struct reflector_options options = {.kind = KIND_POD,
                                        .namespace = "n",
                                        .label_selector = "x=y",
                                        .store = world.store,
                                        .timing = &timing,
                                        .on_event = hear,
                                        .connect = connect_stream,
                                        .on_synced = mark_synced};
    reflector_init(&world.reflector, &options);
    reflector_start(&world.reflector);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reflector_done(&world.reflector);
    store_free(world.store);
    str_done(&world.heard);
    return 0;
}

#define REFLECTOR_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REFLECTOR_TEST(test_stream_goes_live),
        REFLECTOR_TEST(test_changes_before_the_marker),
        REFLECTOR_TEST(test_nul_in_a_stranger_is_read),
        REFLECTOR_TEST(test_every_split),
        REFLECTOR_TEST(test_falls_back_to_pages),
        REFLECTOR_TEST(test_a_page_that_is_too_large_is_halved),
        REFLECTOR_TEST(test_server_that_ignores_the_marker),
        REFLECTOR_TEST(test_expired_as_event_and_as_status),
        REFLECTOR_TEST(test_rollback_by_bookmark),
        REFLECTOR_TEST(test_rollback_by_probe),
        REFLECTOR_TEST(test_rollback_behind_a_proxy),
        REFLECTOR_TEST(test_server_was_away),
        REFLECTOR_TEST(test_undecodable_events),
        REFLECTOR_TEST(test_back_off),
        REFLECTOR_TEST(test_quick_ends_do_not_spin),
        REFLECTOR_TEST(test_silence_leads_to_a_full_list),
        REFLECTOR_TEST(test_nine_megabytes_are_read),
        REFLECTOR_TEST(test_what_is_too_large_is_passed_over_in_a_list),
        REFLECTOR_TEST(test_what_grew_too_large_leaves_the_store),
        REFLECTOR_TEST(test_what_has_no_room_is_left_out_and_looked_for_later),
        REFLECTOR_TEST(test_a_store_that_lacks_something_is_listed_anew),
        REFLECTOR_TEST(test_what_a_list_finds_is_told_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
