#include "tests/unit/test.h"

#include "server/adapters/crypto.h"
#include "server/base/str.h"

#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static void sha256__matches_the_published_vector(void **state)
{
    (void)state;
    char hex[SHA256_HEX_BYTES];
    crypto_sha256_hex("abc", 3, hex); /* FIPS 180-2, appendix B.1 */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void base32__has_length_and_alphabet(void **state)
{
    struct ctx *ctx = *state;
    char *one = crypto_random_base32(ctx->arena, 16), *two = crypto_random_base32(ctx->arena, 16);
    assert_true(str_matches(one, "abcdefghijklmnopqrstuvwxyz234567", 16, 16));
    assert_string_not_equal(one, two);
    assert_string_equal(crypto_base32_of(ctx->arena, "x", 16),
                        crypto_base32_of(ctx->arena, "x", 16));
    /* SHA-256("abc") starts ba7816bf 8f: RFC 4648 base32 of these five bytes. */
    assert_string_equal(crypto_base32_of(ctx->arena, "abc", 8), "xj4bnp4p");
}

static void id__sorts_by_time(void **state)
{
    struct ctx *ctx = *state;
    char *id = crypto_id(ctx->arena, "reg");
    assert_true(str_starts(id, "reg_"));
    assert_true(str_matches(id + 4, "0123456789abcdefghijklmnopqrstuv", 26, 26));
}

static void is_id__knows_ids_by_their_form(void **state)
{
    struct ctx *ctx = *state;
    assert_true(crypto_is_id(crypto_id(ctx->arena, "reg")) &&
                crypto_is_id(crypto_id(ctx->arena, "tn")));
    static const char *const others[] = {
        "",
        "reg_",
        "reg_06h261b25loed80ne5jgga9i8",
        "reg_06h261b25loed80ne5jgga9i8s0",
        "password",
        "flk_aaaaaaaa",
        "reg_06h261b25loed80ne5jgga9iXs",
        "apasswordindeed_06h261b25loed80ne5jgga9i8s",
    };
    for (size_t at = 0; at < sizeof others / sizeof *others; at++)
        assert_false(crypto_is_id(others[at]));
}

static void base64__round_trips(void **state)
{
    struct ctx *ctx = *state;
    for (size_t count = 0; count < 70; count++) {
        unsigned char bytes[70];
        crypto_random(bytes, sizeof bytes);
        size_t back = 0;
        char *out = crypto_unbase64(ctx->arena, crypto_base64(ctx->arena, bytes, count), &back);
        assert_int_equal(back, count);
        assert_memory_equal(out, bytes, count);
    }
    size_t count;
    assert_null(crypto_unbase64(ctx->arena, "abc", &count));
    assert_null(crypto_unbase64(ctx->arena, "a*cd", &count));
}

static void scram__is_repeatable_and_well_formed(void **state)
{
    struct ctx *ctx = *state;
    /* RFC 7677 section 3: password "pencil", salt W22ZaJ0SNY7soEsUEjb6gQ==, 4096 iterations; the
     * keys below follow from its exchange and PostgreSQL accepts this verifier. */
    size_t count;
    const char *salt = crypto_unbase64(ctx->arena, "W22ZaJ0SNY7soEsUEjb6gQ==", &count);
    const char *verifier = crypto_scram_verifier(ctx->arena, "pencil", (const unsigned char *)salt);
    assert_string_equal(verifier, "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                                  "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                                  "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

static bool holds_one_of(const char *text, const char *set)
{
    return text[strcspn(text, set)] != '\0';
}

/* Harbor wants 8 to 128 characters with an upper and a lower case letter and a digit. */
static void password__passes_every_policy(void **state)
{
    struct ctx *ctx = *state;
    char *before = crypto_random_password(ctx->arena, 24);
    bool seen[128] = {false};
    for (int round = 0; round < 2000; round++) {
        char *password = crypto_random_password(ctx->arena, round % 2 ? 24 : 8);
        assert_true(str_matches(password, LOWER UPPER DIGITS, round % 2 ? 24 : 8, 24));
        assert_true(holds_one_of(password, LOWER) && holds_one_of(password, UPPER) &&
                    holds_one_of(password, DIGITS));
        assert_string_not_equal(password, before);
        before = password;
        for (const char *at = password; *at; at++)
            seen[(unsigned char)*at] = true;
    }
    for (const char *at = LOWER UPPER DIGITS; *at; at++)
        assert_true(seen[(unsigned char)*at]);
}

static void wipe_later__wipes_with_the_arena(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    char *text = arena_strdup(arena, "Passw0rd"); /* in the first block, which a reset keeps */
    crypto_wipe_later(arena, text);
    arena_reset(arena);
    for (size_t at = 0; at < sizeof "Passw0rd"; at++)
        assert_int_equal(text[at], 0);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sha256__matches_the_published_vector),
        TEST(base32__has_length_and_alphabet),
        TEST(id__sorts_by_time),
        TEST(is_id__knows_ids_by_their_form),
        TEST(base64__round_trips),
        TEST(scram__is_repeatable_and_well_formed),
        TEST(password__passes_every_policy),
        TEST(wipe_later__wipes_with_the_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
