/* Keys in the form that their readers take: PKCS#1, because Harbor's core signs with nothing else,
 * and bcrypt, because Harbor's registry reads nothing else. */
#include "tests/unit/test.h"

#include "server/adapters/keys.h"

#include <crypt.h>
#include <openssl/pem.h>
#include <string.h>

static void rsa__is_pkcs1_of_2048_bits(void **state)
{
    struct ctx *ctx = *state;
    const char *pem = keys_rsa_pkcs1(ctx->arena);
    assert_int_equal(strncmp(pem, "-----BEGIN RSA PRIVATE KEY-----\n", 32), 0);
    BIO *memory = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(memory, NULL, NULL, NULL);
    assert_non_null(key);
    assert_int_equal(EVP_PKEY_get_bits(key), RSA_BITS);
    EVP_PKEY_free(key);
    BIO_free(memory);
    assert_string_not_equal(pem, keys_rsa_pkcs1(ctx->arena));
}

static void bcrypt__verifies_the_password_and_no_other(void **state)
{
    struct ctx *ctx = *state;
    const char *hash = keys_bcrypt(ctx->arena, "a password");
    struct crypt_data *work = arena_alloc(ctx->arena, sizeof *work);
    assert_int_equal(strncmp(hash, "$2b$05$", 7), 0);
    assert_int_equal(strlen(hash), 60);
    assert_string_equal(crypt_r("a password", hash, work), hash);
    assert_string_not_equal(crypt_r("another one", hash, work), hash);
    assert_string_not_equal(keys_bcrypt(ctx->arena, "a password"), hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rsa__is_pkcs1_of_2048_bits),
        TEST(bcrypt__verifies_the_password_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
