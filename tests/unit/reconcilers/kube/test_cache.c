/* The cache without a server: what own writes do to it, and how it is read. */
#include "reconcilers/kube/kube.h"

#include "reconcilers/kube/client.h"
#include "server/base/json.h"
#include "tests/unit/test.h"

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
    /* A copy: changing it changes nothing here. */
    json_object_clear(kube_cache_get(ctx, cache, "n", "a"));
    assert_non_null(json_str(kube_cache_get(ctx, cache, "n", "a"), "metadata.uid"));
    kube_cache_drop(cache, "n", "a", "u-a");
    assert_null(kube_cache_get(ctx, cache, "n", "a"));
    kube_cache_put(cache, secret(ctx, "n", "a", "{}"));
    assert_null(kube_cache_get(ctx, cache, "n", "a"));
}

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
        TEST(test_label_is_looked_up_where_it_belongs),
        TEST(test_puts_outside_the_selector),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
