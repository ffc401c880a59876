/* What is parsed of a server's answer: everything but managedFields. */
#include "reconcilers/kube/client.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "tests/unit/test.h"

#include <string.h>

#define FIELDS                                                                                     \
    "\"managedFields\":[{\"fieldsV1\":{\"f:a]\":{},\"f:\\\"b\":[{}]},\"time\":\"\\\\\"},{}]"

static void test_is_cut_out(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *text, *left;
    } rows[] = {
        {"{\"metadata\":{" FIELDS "}}", "{\"metadata\":{}}"},
        {"{\"metadata\":{" FIELDS ",\"name\":\"x\"}}", "{\"metadata\":{\"name\":\"x\"}}"},
        {"{\"metadata\":{\"a\":1," FIELDS "},\"z\":2}", "{\"metadata\":{\"a\":1},\"z\":2}"},
        {"{\"metadata\":{\"a\":1," FIELDS ",\"name\":\"x\"}}",
         "{\"metadata\":{\"a\":1,\"name\":\"x\"}}"},
        {"{\"items\":[{\"metadata\":{" FIELDS "}},{\"metadata\":{\"a\":1," FIELDS "}}]}",
         "{\"items\":[{\"metadata\":{}},{\"metadata\":{\"a\":1}}]}"},
        /* Text of somebody, and other members: */
        {"{\"a\":\"{\\\"managedFields\\\":[1]}\"}", "{\"a\":\"{\\\"managedFields\\\":[1]}\"}"},
        {"{\"{\\\"managedFields\":[1]}", "{\"{\\\"managedFields\":[1]}"},
        {"{\"a\":\",\",\"b\":\"managedFields\"}", "{\"a\":\",\",\"b\":\"managedFields\"}"},
        {"{\"managedFields\":{\"a\":[1]}}", "{\"managedFields\":{\"a\":[1]}}"},
        {"{\"managedFields\":[1] ,\"a\":1}", "{\"a\":1}"},
        {"{\"a\":1,\"managedFields\":[1]\n}", "{\"a\":1}"},
        /* With blanks, as no server sends it: the slow way takes it off, client_strip(). */
        {"{\"managedFields\": [1]}", "{\"managedFields\":[1]}"},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        json_t *value = NULL;
        assert_int_equal(client_parse(ctx, rows[at].text, strlen(rows[at].text), 1000, &value), 0);
        assert_string_equal(json_text(ctx->arena, value), rows[at].left);
    }
}

static void test_what_is_no_json_stays_none(void **state)
{
    struct ctx *ctx = *state;
    const char *const rows[] = {
        "{\"metadata\":{" FIELDS, "{\"managedFields\":[{]", "{\"managedFields\":[",
        "\"managedFields\":[1]",  "{\"managedFields\":[1]", "{\"a\":1,,\"managedFields\":[1]}",
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        json_t *value = NULL;
        char *text = strdup(rows[at]); /* ASan sees who reads on */
        assert_int_equal(client_parse(ctx, text, strlen(text), 1000, &value), -ERR_INVALID);
        err_clear(ctx);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_is_cut_out),
        TEST(test_what_is_no_json_stays_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
