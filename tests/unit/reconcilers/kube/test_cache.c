/* The cache without a server: what own writes do to it, and how it is read. */
#include "reconcilers/kube/kube.h"

#include "reconcilers/kube/client.h"
#include "reconcilers/kube/parsed.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct kube kube = {.target = {.base_url = "http://127.0.0.1:1"}}; /* nobody answers there */
static struct http_io *io;
static struct kube_cache *cache;

static json_t *secret(struct ctx *ctx, const char *namespace, const char *name, const char *labels)
{
    const char *text =
        arena_printf(ctx->arena,
                     "{\"metadata\":{\"namespace\":\"%s\",\"name\":\"%s\",\"uid\":\"u-%s\","
                     "\"resourceVersion\":\"5\",\"labels\":%s}}",
                     namespace, name, name, labels);
    return arena_json(ctx->arena, json_loads(text, 0, NULL));
}

static void open_cache(const char *namespace, const char *label_selector)
{
    struct kube_cache_options options = {
        .kind = KIND_SECRET, .namespace = namespace, .label_selector = label_selector};
    kube_cache_free(cache);
    cache = kube_cache_new(&kube, io, &options);
}

static void test_reading(void **state)
{
    struct ctx *ctx = *state;
    open_cache(NULL, NULL);
    assert_false(kube_cache_synced(cache));
    kube_cache_put(cache, secret(ctx, "n", "a", "{\"x.y/z\":\"1\"}"));
    kube_cache_put(cache, secret(ctx, "n", "b", "{\"x.y/z\":\"2\",\"o\":\"1\"}"));
    kube_cache_put(cache, secret(ctx, "m", "c", "{\"x.y/z\":\"1\"}"));
    assert_int_equal(kube_cache_count(cache), 3);
    assert_string_equal(json_str(kube_cache_get(ctx, cache, "n", "a"), "metadata.uid"), "u-a");
    assert_null(kube_cache_get(ctx, cache, "m", "a"));
    assert_int_equal(json_array_size(kube_cache_list(ctx, cache, NULL, NULL, NULL)), 3);
    assert_int_equal(json_array_size(kube_cache_list(ctx, cache, "n", NULL, NULL)), 2);
    assert_int_equal(json_array_size(kube_cache_list(ctx, cache, NULL, "x.y/z", "1")), 2);
    assert_int_equal(json_array_size(kube_cache_list(ctx, cache, "n", "x.y/z", "1")), 1);
    kube_cache_drop(cache, "n", "a", "u-a");
    assert_null(kube_cache_get(ctx, cache, "n", "a"));
    kube_cache_put(cache, secret(ctx, "n", "a", "{}"));
    assert_null(kube_cache_get(ctx, cache, "n", "a"));
}

/* Readers share one tree; who holds an older one keeps it. */
static void test_what_was_read_is_parsed_once(void **state)
{
    struct ctx *ctx = *state;
    open_cache(NULL, NULL);
    kube_cache_put(cache, secret(ctx, "n", "a", "{\"x\":\"1\"}"));
    json_t *first = kube_cache_get(ctx, cache, "n", "a");
    assert_ptr_equal(kube_cache_get(ctx, cache, "n", "a"), first);
    assert_ptr_equal(json_array_get(kube_cache_list(ctx, cache, "n", NULL, NULL), 0), first);
    json_t *newer = secret(ctx, "n", "a", "{\"x\":\"2\"}");
    json_put(newer, "metadata.resourceVersion", json_string("6"));
    kube_cache_put(cache, newer);
    json_t *second = kube_cache_get(ctx, cache, "n", "a");
    assert_ptr_not_equal(second, first);
    assert_string_equal(json_str(first, "metadata.labels.x"), "1");
    assert_string_equal(json_str(second, "metadata.labels.x"), "2");
    kube_cache_drop(cache, "n", "a", "u-a");
    assert_string_equal(json_str(second, "metadata.labels.x"), "2");
}

/* Objects that as trees take a hundred times as much as their text. */
static const char *empty_members(struct ctx *ctx, int count)
{
    struct str labels;
    str_init(&labels, 1 << 20);
    str_add(&labels, "{\"list\":[{}");
    for (int at = 1; at < count; at++)
        str_add(&labels, ",{}");
    str_add(&labels, "]}");
    const char *copy = arena_strdup(ctx->arena, str_text(&labels));
    str_done(&labels);
    return copy;
}

/* One of each namespace. */
static void read_one(struct ctx *ctx, int number, const char *labels)
{
    const char *place = arena_printf(ctx->arena, "n%d", number);
    kube_cache_put(cache, secret(ctx, place, place, labels));
    assert_string_equal(json_str(kube_cache_get(ctx, cache, place, place), "metadata.name"), place);
}

/* More than may be kept: what was read last is kept, the rest is parsed again, and right. */
static void test_trees_have_a_budget(void **state)
{
    enum { OBJECTS = 40, MEMBERS = 6000 };
    struct ctx *ctx = *state;
    open_cache(NULL, NULL);
    const char *labels = empty_members(ctx, MEMBERS);
    for (int at = 0; at < OBJECTS; at++)
        read_one(ctx, at, labels);
    assert_true(parsed_bytes() > PARSED_MAX_BYTES / 2 && parsed_bytes() <= PARSED_MAX_BYTES);
    for (int at = OBJECTS - 1; at >= 0; at--)
        read_one(ctx, at, labels);
    kube_cache_free(cache);
    cache = NULL;
    assert_int_equal(parsed_bytes(), 0);
}

/* It is read, and not kept. */
static void test_a_tree_that_is_too_large_is_not_kept(void **state)
{
    struct ctx *ctx = *state;
    open_cache(NULL, NULL);
    read_one(ctx, 1, empty_members(ctx, 20000));
    assert_int_equal(parsed_bytes(), 0);
    read_one(ctx, 2, empty_members(ctx, 20));
    assert_true(parsed_bytes() > 0);
}

#ifdef __SANITIZE_ADDRESS__
/* Whoever changes what he was given changes it for all, and does not live to tell. */
static void test_who_changes_a_shared_tree_is_ended(void **state)
{
    struct ctx *ctx = *state;
    open_cache(NULL, NULL);
    kube_cache_put(cache, secret(ctx, "n", "a", "{}"));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        fclose(stderr);
        json_object_clear(kube_cache_get(ctx, cache, "n", "a"));
        kube_cache_get(ctx, cache, "n", "a");
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
#endif

/* A label elsewhere in the object is none. */
static void test_label_is_looked_up_where_it_belongs(void **state)
{
    struct ctx *ctx = *state;
    open_cache(NULL, NULL);
    json_t *object = secret(ctx, "n", "a", "{}");
    json_put(object, "data", json_pack("{s:s}", "app", "x"));
    kube_cache_put(cache, object);
    assert_int_equal(json_array_size(kube_cache_list(ctx, cache, NULL, "app", "x")), 0);
}

static void test_puts_outside_the_selector(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *selector, *labels;
        size_t count;
    } rows[] = {
        {"app=x", "{\"app\":\"x\"}", 1},
        {"app=x", "{\"app\":\"xx\"}", 0},
        {"app=x", "{}", 0},
        {"app=x,b=y", "{\"app\":\"x\",\"b\":\"y\"}", 1},
        {"app=x,b=y", "{\"app\":\"x\"}", 0},
        {"app!=x", "{\"app\":\"y\"}", 0}, /* not understood: the echo will bring it */
        {"app in (x)", "{\"app\":\"x\"}", 0},
        {"app", "{\"app\":\"x\"}", 0},
    };
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        open_cache("n", rows[at].selector);
        kube_cache_put(cache, secret(ctx, "n", "a", rows[at].labels));
        assert_int_equal(kube_cache_count(cache), rows[at].count);
        kube_cache_put(cache, secret(ctx, "other", "b", rows[at].labels));
        assert_int_equal(kube_cache_count(cache), rows[at].count);
    }
}

static int set_up(void **state)
{
    (void)state;
    io = http_io_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kube_cache_free(cache);
    http_io_free(io);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reading),
        TEST(test_what_was_read_is_parsed_once),
        TEST(test_trees_have_a_budget),
        TEST(test_a_tree_that_is_too_large_is_not_kept),
#ifdef __SANITIZE_ADDRESS__
        TEST(test_who_changes_a_shared_tree_is_ended),
#endif
        TEST(test_label_is_looked_up_where_it_belongs),
        TEST(test_puts_outside_the_selector),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
