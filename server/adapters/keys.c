#include "server/adapters/keys.h"

#include "server/adapters/crypto.h"
#include "server/base/arena.h"

#include <crypt.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

enum { SALT_BYTES = 16, SETTING_BYTES = CRYPT_GENSALT_OUTPUT_SIZE };

char *keys_rsa_pkcs1(struct arena *arena)
{
    EVP_PKEY *key = EVP_RSA_gen(RSA_BITS);
    BIO *memory = BIO_new(BIO_s_secmem());
    char *text = NULL;
    if (!key || !memory ||
        PEM_write_bio_PrivateKey_traditional(memory, key, NULL, NULL, 0, NULL, NULL) != 1)
        abort();
    long bytes = BIO_get_mem_data(memory, &text);
    char *pem = arena_strndup(arena, text, (size_t)bytes);
    BIO_free(memory);
    EVP_PKEY_free(key);
    return pem;
}

char *keys_bcrypt(struct arena *arena, const char *password)
{
    char salt[SALT_BYTES], setting[SETTING_BYTES];
    struct crypt_data *work = arena_alloc(arena, sizeof *work); /* 32 KiB: too much for a stack */
    crypto_random(salt, sizeof salt);
    if (!crypt_gensalt_rn("$2b$", BCRYPT_COST, salt, sizeof salt, setting, sizeof setting))
        abort();
    const char *hash = crypt_r(password, setting, work);
    if (!hash || *hash != '$')
        abort();
    char *copy = arena_strdup(arena, hash);
    crypto_wipe(work, sizeof *work);
    return copy;
}
