/*
 * The signer against signatures that were published with their requests: the examples of Amazon's
 * S3 reference ("Signature Calculations for the Authorization Header", "Authenticating Requests:
 * Using Query Parameters") and cases of the AWS Signature Version 4 test suite.
 */
#include "server/adapters/sigv4.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "tests/unit/test.h"

#include <string.h>

enum { PAIRS_MAX = 8, S3_TIME_S = 1369353600, SUITE_TIME_S = 1440938160 };

#define S3_HEADERS(hash)                                                                           \
    {"Host", "examplebucket.s3.amazonaws.com"}, {"X-Amz-Content-Sha256", hash},                    \
    {                                                                                              \
        "X-Amz-Date", "20130524T000000Z"                                                           \
    }
#define SUITE_HEADERS                                                                              \
    {"Host", "example.amazonaws.com"},                                                             \
    {                                                                                              \
        "X-Amz-Date", "20150830T123600Z"                                                           \
    }
#define NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define WELCOME "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define FORM "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"

static const struct sigv4_request s3_example = {.method = "GET",
                                                .path = "/",
                                                .payload_hash = NOTHING,
                                                .time_s = S3_TIME_S,
                                                .region = "us-east-1",
                                                .service = "s3",
                                                .access_key = "AKIAIOSFODNN7EXAMPLE",
                                                .secret_key =
                                                    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
static const struct sigv4_request suite = {.method = "GET",
                                           .path = "/",
                                           .payload_hash = NOTHING,
                                           .time_s = SUITE_TIME_S,
                                           .region = "us-east-1",
                                           .service = "service",
                                           .access_key = "AKIDEXAMPLE",
                                           .secret_key =
                                               "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};

static const struct {
    const char *name;
    const struct sigv4_request *base;
    const char *method, *path, *payload_hash; /* NULL = the base's */
    struct sigv4_pair query[PAIRS_MAX], headers[PAIRS_MAX];
    const char *signed_headers, *signature;
} rows[] = {
    {"S3: GET Object",
     &s3_example,
     NULL,
     "/test.txt",
     NULL,
     {{0}},
     {S3_HEADERS(NOTHING), {"Range", "bytes=0-9"}},
     "host;range;x-amz-content-sha256;x-amz-date",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"S3: PUT Object",
     &s3_example,
     "PUT",
     "/test$file.text",
     WELCOME,
     {{0}},
     {S3_HEADERS(WELCOME),
      {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
      {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
     "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"S3: GET Bucket Lifecycle",
     &s3_example,
     NULL,
     NULL,
     NULL,
     {{"lifecycle", NULL}},
     {S3_HEADERS(NOTHING)},
     "host;x-amz-content-sha256;x-amz-date",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"S3: GET Bucket (List Objects)",
     &s3_example,
     NULL,
     NULL,
     NULL,
     {{"prefix", "J"}, {"max-keys", "2"}},
     {S3_HEADERS(NOTHING)},
     "host;x-amz-content-sha256;x-amz-date",
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    {"S3: presigned GET",
     &s3_example,
     NULL,
     "/test.txt",
     "UNSIGNED-PAYLOAD",
     {{"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
      {"X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"},
      {"X-Amz-Date", "20130524T000000Z"},
      {"X-Amz-Expires", "86400"},
      {"X-Amz-SignedHeaders", "host"}},
     {{"Host", "examplebucket.s3.amazonaws.com"}},
     "host",
     "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"},
    {"suite: get-vanilla",
     &suite,
     NULL,
     NULL,
     NULL,
     {{0}},
     {SUITE_HEADERS},
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"suite: post-vanilla",
     &suite,
     "POST",
     NULL,
     NULL,
     {{0}},
     {SUITE_HEADERS},
     "host;x-amz-date",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"suite: get-vanilla-query-order-key-case",
     &suite,
     NULL,
     NULL,
     NULL,
     {{"Param2", "value2"}, {"Param1", "value1"}},
     {SUITE_HEADERS},
     "host;x-amz-date",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"suite: get-vanilla-empty-query-key",
     &suite,
     NULL,
     NULL,
     NULL,
     {{"Param1", "value1"}},
     {SUITE_HEADERS},
     "host;x-amz-date",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"suite: get-header-key-duplicate",
     &suite,
     NULL,
     NULL,
     NULL,
     {{0}},
     {{"Host", "example.amazonaws.com"},
      {"My-Header1", "value2"},
      {"My-Header1", "value2"},
      {"My-Header1", "value1"},
      {"X-Amz-Date", "20150830T123600Z"}},
     "host;my-header1;x-amz-date",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"suite: get-header-value-trim",
     &suite,
     NULL,
     NULL,
     NULL,
     {{0}},
     {{"Host", "example.amazonaws.com"},
      {"My-Header1", " value1"},
      {"My-Header2", " \"a   b   c\""},
      {"X-Amz-Date", "20150830T123600Z"}},
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"suite: get-space",
     &suite,
     NULL,
     "/example space/",
     NULL,
     {{0}},
     {SUITE_HEADERS},
     "host;x-amz-date",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"suite: post-x-www-form-urlencoded",
     &suite,
     "POST",
     NULL,
     FORM,
     {{0}},
     {{"Content-Type", "application/x-www-form-urlencoded"}, SUITE_HEADERS},
     "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
};

static size_t count_pairs(const struct sigv4_pair *pairs)
{
    size_t count = 0;
    while (count < PAIRS_MAX && pairs[count].name)
        count++;
    return count;
}

static struct sigv4_request request_of(size_t at)
{
    struct sigv4_request request = *rows[at].base;
    request.method = rows[at].method ? rows[at].method : request.method;
    request.path = rows[at].path ? rows[at].path : request.path;
    request.payload_hash = rows[at].payload_hash ? rows[at].payload_hash : request.payload_hash;
    request.query = rows[at].query;
    request.query_count = count_pairs(rows[at].query);
    request.headers = rows[at].headers;
    request.header_count = count_pairs(rows[at].headers);
    return request;
}

static void published_signatures(void **state)
{
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        struct sigv4_request request = request_of(at);
        struct sigv4_signature signature;
        sigv4_sign(ctx->arena, &request, &signature);
        if (strcmp(signature.hex, rows[at].signature) != 0)
            fail_msg("%s: %s", rows[at].name, signature.hex);
        assert_string_equal(signature.signed_headers, rows[at].signed_headers);
    }
}

static void authorization_header(void **state)
{
    struct ctx *ctx = *state;
    struct sigv4_request request = request_of(0);
    assert_string_equal(
        sigv4_authorization(ctx->arena, &request),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void encodings(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *path, *encoded;
    } paths[] = {
        {"", "/"},
        {"/a b+c~/\xc3\xa9", "/a%20b%2Bc~/%C3%A9"},
        {"/b//./../k", "/b//./../k"}, /* parts of a name, not of a file system */
        {"/100%41", "/100%2541"},
        {"/!'()*$&,:;=@?#[]", "/%21%27%28%29%2A%24%26%2C%3A%3B%3D%40%3F%23%5B%5D"},
    };
    for (size_t at = 0; at < ARRAY_SIZE(paths); at++)
        assert_string_equal(sigv4_path(ctx->arena, paths[at].path), paths[at].encoded);
    static const struct sigv4_pair query[] = {
        {"b", "2"}, {"a", "z"}, {"a", "/ +"}, {"acl", NULL}, {"A", "1"}, {"a-b", "=&"},
    };
    assert_string_equal(sigv4_query(ctx->arena, query, ARRAY_SIZE(query)),
                        "A=1&a=%2F%20%2B&a=z&a-b=%3D%26&acl=&b=2");
    assert_string_equal(sigv4_query(ctx->arena, NULL, 0), "");
}

static void times(void **state)
{
    (void)state;
    char text[SIGV4_TIME_BYTES];
    assert_string_equal(sigv4_time(text, 0), "19700101T000000Z");
    assert_string_equal(sigv4_time(text, 1709164800), "20240229T000000Z");
    assert_string_equal(sigv4_time(text, SUITE_TIME_S), "20150830T123600Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(published_signatures),
        TEST(authorization_header),
        TEST(encodings),
        TEST(times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
