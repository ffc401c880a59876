/* The splitter must find the same objects however the bytes were cut. */
#include "reconcilers/kube/frames.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

static const char stream[] = "{\"a\":1}\n"
                             "{\"text\":\"}{\\\"]\\\\\",\"list\":[{\"x\":[]},{}]}\n"
                             "  {\"last\":{\"deep\":{\"er\":\"\\u007d\"}}}\r\n{}{\"after\":\"\"}";

static bool collect(void *arg, const char *text, size_t bytes)
{
    str_add_bytes(arg, text, bytes);
    str_add(arg, "|");
    return true;
}

static void expect(const struct str *found)
{
    assert_string_equal(str_text(found), "{\"a\":1}|"
                                         "{\"text\":\"}{\\\"]\\\\\",\"list\":[{\"x\":[]},{}]}|"
                                         "{\"last\":{\"deep\":{\"er\":\"\\u007d\"}}}|{}|"
                                         "{\"after\":\"\"}|");
}

static void test_every_pair_of_splits(void **state)
{
    (void)state;
    size_t length = strlen(stream);
    for (size_t first = 0; first <= length; first++) {
        for (size_t second = first; second <= length; second++) {
            struct frames frames;
            struct str found;
            frames_init(&frames);
            str_init(&found, 4096);
            assert_true(frames_feed(&frames, stream, first, collect, &found));
            assert_true(frames_feed(&frames, stream + first, second - first, collect, &found));
            assert_true(frames_feed(&frames, stream + second, length - second, collect, &found));
            expect(&found);
            str_done(&found);
            frames_done(&frames);
        }
    }
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    struct frames frames;
    struct str found;
    frames_init(&frames);
    str_init(&found, 4096);
    for (size_t at = 0; at < strlen(stream); at++)
        assert_true(frames_feed(&frames, stream + at, 1, collect, &found));
    expect(&found);
    str_done(&found);
    frames_done(&frames);
}

static void test_garbage_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"x", "[1]", "}", "{}]", "{}null", "\xff"};
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        struct frames frames;
        struct str found;
        frames_init(&frames);
        str_init(&found, 4096);
        assert_false(frames_feed(&frames, bad[at], strlen(bad[at]), collect, &found));
        str_done(&found);
        frames_done(&frames);
    }
}

/* What came: the length of each object, and "-" before those without text. */
static bool measure(void *arg, const char *text, size_t bytes)
{
    str_printf(arg, "%s%zu ", text ? "" : "-", bytes);
    return true;
}

static void feed_large(size_t bytes, const char *expected)
{
    struct frames frames;
    struct str found;
    char *text = malloc(bytes + 2);
    assert_non_null(text);
    memset(text, '{', bytes);
    text[1] = text[bytes - 2] = '"';
    text[bytes - 1] = '}';
    memcpy(text + bytes, "{}", 2);
    static const size_t cuts[] = {1, 3, 4099};
    for (size_t cut = 0; cut < sizeof cuts / sizeof *cuts; cut++) {
        size_t piece = (bytes + 2) / cuts[cut];
        frames_init(&frames);
        str_init(&found, 4096);
        for (size_t at = 0; at < bytes + 2; at += piece)
            assert_true(frames_feed(&frames, text + at,
                                    bytes + 2 - at < piece ? bytes + 2 - at : piece, measure,
                                    &found));
        assert_string_equal(str_text(&found), expected);
        assert_true(frames.tail.capacity <= 2 * FRAME_MAX_BYTES + 1024);
        str_done(&found);
        frames_done(&frames);
    }
    free(text);
}

/* One fat object must not end the stream: it is passed over, and what follows is heard. */
static void test_cap(void **state)
{
    (void)state;
    feed_large(FRAME_MAX_BYTES, "16777216 2 ");
    feed_large(FRAME_MAX_BYTES + 1, "-16777217 2 ");
}

/* etcd's largest request, each byte of it written as six. */
static void test_what_etcd_can_hold_is_kept(void **state)
{
    (void)state;
    assert_true((3 << 19) * 6 < FRAME_MAX_BYTES);
    feed_large((3 << 19) * 6, "9437184 2 ");
}

static bool refuse(void *arg, const char *text, size_t bytes)
{
    (void)text;
    (void)bytes;
    (*(int *)arg)++;
    return false;
}

static void test_sink_stops(void **state)
{
    (void)state;
    struct frames frames;
    int calls = 0;
    frames_init(&frames);
    assert_false(frames_feed(&frames, "{}{}", 4, refuse, &calls));
    assert_int_equal(calls, 1);
    frames_done(&frames);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair_of_splits),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_garbage_is_refused),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_sink_stops),
        cmocka_unit_test(test_what_etcd_can_hold_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
