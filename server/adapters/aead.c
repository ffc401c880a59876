#include "server/adapters/aead.h"

#include "server/adapters/crypto.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Lengths are int to OpenSSL; what we seal is far below. */
enum { AEAD_MAX_BYTES = 1 << 24 };

/* A failure here is no matter of the input: no memory, or a library without AES. */
static void must(int result)
{
    if (result != 1)
        abort();
}

static EVP_CIPHER_CTX *begin(const unsigned char *key, const unsigned char *nonce, bool seals)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (!cipher)
        abort();
    must(EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce, seals));
    return cipher;
}

/* AAD goes in with no output; of an empty text nothing goes in. */
static void update(EVP_CIPHER_CTX *cipher, unsigned char *out, struct aead_bytes in)
{
    int written;
    if (in.count > AEAD_MAX_BYTES)
        abort();
    if (in.count > 0)
        must(EVP_CipherUpdate(cipher, out, &written, in.data, (int)in.count));
}

void aead_seal_with(const unsigned char key[AEAD_KEY_BYTES],
                    const unsigned char nonce[AEAD_NONCE_BYTES], struct aead_bytes aad,
                    struct aead_bytes plain, unsigned char *box)
{
    int written;
    unsigned char *text = box + AEAD_NONCE_BYTES, *tag = text + plain.count;
    EVP_CIPHER_CTX *cipher = begin(key, nonce, true);
    memcpy(box, nonce, AEAD_NONCE_BYTES);
    update(cipher, NULL, aad);
    update(cipher, text, plain);
    must(EVP_CipherFinal_ex(cipher, tag, &written));
    must(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, tag));
    EVP_CIPHER_CTX_free(cipher); /* wipes the key schedule */
}

void aead_seal(const unsigned char key[AEAD_KEY_BYTES], struct aead_bytes aad,
               struct aead_bytes plain, unsigned char *box)
{
    unsigned char nonce[AEAD_NONCE_BYTES];
    crypto_random(nonce, sizeof nonce);
    aead_seal_with(key, nonce, aad, plain, box);
}

bool aead_open(const unsigned char key[AEAD_KEY_BYTES], struct aead_bytes aad,
               struct aead_bytes box, unsigned char *plain)
{
    if (box.count < AEAD_BOX_EXTRA_BYTES)
        return false;
    int written;
    const unsigned char *bytes = box.data, *text = bytes + AEAD_NONCE_BYTES;
    size_t count = box.count - AEAD_BOX_EXTRA_BYTES;
    unsigned char tag[AEAD_TAG_BYTES]; /* OpenSSL's interface takes no pointer to const */
    memcpy(tag, text + count, sizeof tag);
    EVP_CIPHER_CTX *cipher = begin(key, bytes, false);
    update(cipher, NULL, aad);
    update(cipher, plain, (struct aead_bytes){text, count});
    must(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, tag));
    bool is_genuine = EVP_CipherFinal_ex(cipher, plain + count, &written) == 1;
    EVP_CIPHER_CTX_free(cipher);
    if (!is_genuine)
        crypto_wipe(plain, count);
    return is_genuine;
}
