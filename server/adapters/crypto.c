#include "server/adapters/crypto.h"

#include "server/base/arena.h"
#include "server/base/clock.h"
#include "server/base/str.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_DIGITS = 26, ID_PREFIX_MAX = 8 };

static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
static const char base32hex_digits[] = "0123456789abcdefghijklmnopqrstuv";

void crypto_sha256(const void *bytes, size_t count, unsigned char out[SHA256_BYTES])
{
    if (EVP_Digest(bytes, count, out, NULL, EVP_sha256(), NULL) != 1)
        abort();
}

static void hex(const unsigned char digest[SHA256_BYTES], char out[SHA256_HEX_BYTES])
{
    for (size_t at = 0; at < SHA256_BYTES; at++)
        snprintf(out + at * 2, 3, "%02x", digest[at]);
}

void crypto_sha256_hex(const void *bytes, size_t count, char out[SHA256_HEX_BYTES])
{
    unsigned char digest[SHA256_BYTES];
    crypto_sha256(bytes, count, digest);
    hex(digest, out);
}

/* OpenSSL's context, under a name that headers may say. */
static EVP_MD_CTX *context_of(const struct crypto_sum *sum)
{
    return (EVP_MD_CTX *)(uintptr_t)sum;
}

struct crypto_sum *crypto_sum_new(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        abort();
    return (struct crypto_sum *)(void *)context;
}

void crypto_sum_add(struct crypto_sum *sum, const void *bytes, size_t count)
{
    if (EVP_DigestUpdate(context_of(sum), bytes, count) != 1)
        abort();
}

void crypto_sum_hex(const struct crypto_sum *sum, char out[SHA256_HEX_BYTES])
{
    unsigned char digest[SHA256_BYTES];
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    if (!copy || EVP_MD_CTX_copy_ex(copy, context_of(sum)) != 1 ||
        EVP_DigestFinal_ex(copy, digest, NULL) != 1)
        abort();
    EVP_MD_CTX_free(copy);
    hex(digest, out);
}

void crypto_sum_free(struct crypto_sum *sum)
{
    EVP_MD_CTX_free(context_of(sum));
}

void crypto_random(void *out, size_t bytes)
{
    if (RAND_bytes(out, (int)bytes) != 1)
        abort();
}

bool crypto_equal(const void *a, const void *b, size_t bytes)
{
    return CRYPTO_memcmp(a, b, bytes) == 0;
}

void crypto_wipe(void *bytes, size_t count)
{
    OPENSSL_cleanse(bytes, count);
}

static void wipe_text(void *text)
{
    OPENSSL_cleanse(text, strlen(text));
}

void crypto_wipe_later(struct arena *arena, char *text)
{
    arena_defer(arena, wipe_text, text);
}

/* Five bits at a time, most significant first; the last group is filled with zero bits. */
static void base32(const unsigned char *bytes, size_t count, const char *digits, char *out,
                   size_t length)
{
    for (size_t at = 0; at < length; at++) {
        size_t bit = at * 5;
        unsigned pair = bit / 8 < count ? (unsigned)bytes[bit / 8] << 8 : 0;
        if (bit / 8 + 1 < count)
            pair |= bytes[bit / 8 + 1];
        out[at] = digits[(pair >> (11 - bit % 8)) & 31];
    }
    out[length] = '\0';
}

char *crypto_random_base32(struct arena *arena, size_t length)
{
    size_t count = (length * 5 + 7) / 8;
    unsigned char *bytes = arena_alloc(arena, count);
    crypto_random(bytes, count);
    char *out = arena_alloc(arena, length + 1);
    base32(bytes, count, base32_digits, out, length);
    crypto_wipe(bytes, count);
    return out;
}

/* Bytes of the last, incomplete turn of the alphabet are thrown away: each character is as likely.
 */
static void random_alnum(char *out, size_t length)
{
    enum { DIGITS = sizeof alnum - 1, FAIR = 256 / DIGITS * DIGITS };
    for (size_t at = 0; at < length;) {
        unsigned char byte;
        crypto_random(&byte, 1);
        if (byte < FAIR)
            out[at++] = alnum[byte % DIGITS];
    }
}

static bool has_each_class(const char *text)
{
    bool upper = false, lower = false, digit = false;
    for (; *text; text++) {
        upper = upper || (*text >= 'A' && *text <= 'Z');
        lower = lower || (*text >= 'a' && *text <= 'z');
        digit = digit || (*text >= '0' && *text <= '9');
    }
    return upper && lower && digit;
}

/* Drawn anew until it fits: to put a digit into its place would favour some passwords. */
char *crypto_random_password(struct arena *arena, size_t length)
{
    char *out = arena_alloc(arena, length + 1);
    crypto_wipe_later(arena, out);
    do
        random_alnum(out, length);
    while (!has_each_class(out));
    return out;
}

char *crypto_base32_of(struct arena *arena, const char *text, size_t length)
{
    unsigned char digest[SHA256_BYTES];
    crypto_sha256(text, strlen(text), digest);
    if (length > SHA256_BYTES * 8 / 5)
        length = SHA256_BYTES * 8 / 5;
    char *out = arena_alloc(arena, length + 1);
    base32(digest, sizeof digest, base32_digits, out, length);
    return out;
}

char *crypto_id(struct arena *arena, const char *prefix)
{
    unsigned char uuid[16];
    crypto_random(uuid, sizeof uuid);
    uint64_t now = (uint64_t)clock_wall_ms();
    for (int at = 0; at < 6; at++)
        uuid[at] = (unsigned char)(now >> (40 - 8 * at));
    uuid[6] = (unsigned char)((uuid[6] & 0x0f) | 0x70);
    uuid[8] = (unsigned char)((uuid[8] & 0x3f) | 0x80);
    char text[ID_DIGITS + 1];
    base32(uuid, sizeof uuid, base32hex_digits, text, ID_DIGITS);
    return arena_printf(arena, "%s_%s", prefix, text);
}

bool crypto_is_id(const char *text)
{
    const char *digits = strrchr(text, '_');
    return digits && digits - text <= ID_PREFIX_MAX &&
           str_matches(digits + 1, base32hex_digits, ID_DIGITS, ID_DIGITS);
}

char *crypto_base64(struct arena *arena, const void *bytes, size_t count)
{
    char *out = arena_alloc(arena, (count + 2) / 3 * 4 + 1);
    EVP_EncodeBlock((unsigned char *)out, bytes, (int)count);
    return out;
}

char *crypto_unbase64(struct arena *arena, const char *text, size_t *ret_count)
{
    size_t length = strlen(text);
    if (length % 4 || length > (1u << 24))
        return NULL;
    unsigned char *out = arena_alloc(arena, length / 4 * 3 + 1);
    int count = EVP_DecodeBlock(out, (const unsigned char *)text, (int)length);
    if (count < 0)
        return NULL;
    /* EVP_DecodeBlock counts the padding as bytes. */
    for (size_t at = length; at > 0 && text[at - 1] == '=' && count > 0; at--)
        count--;
    out[count] = '\0';
    *ret_count = (size_t)count;
    return (char *)out;
}

static void hmac(const unsigned char key[SHA256_BYTES], const char *text,
                 unsigned char out[SHA256_BYTES])
{
    unsigned length = 0;
    if (!HMAC(EVP_sha256(), key, SHA256_BYTES, (const unsigned char *)text, strlen(text), out,
              &length))
        abort();
}

char *crypto_scram_verifier(struct arena *arena, const char *password, const unsigned char salt[16])
{
    enum { ITERATIONS = 4096 };
    unsigned char salted[SHA256_BYTES], client[SHA256_BYTES], stored[SHA256_BYTES],
        server[SHA256_BYTES];
    if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, 16, ITERATIONS, EVP_sha256(),
                          SHA256_BYTES, salted) != 1)
        abort();
    hmac(salted, "Client Key", client);
    crypto_sha256(client, sizeof client, stored);
    hmac(salted, "Server Key", server);
    char *out = arena_printf(
        arena, "SCRAM-SHA-256$%d:%s$%s:%s", ITERATIONS, crypto_base64(arena, salt, 16),
        crypto_base64(arena, stored, sizeof stored), crypto_base64(arena, server, sizeof server));
    crypto_wipe(salted, sizeof salted);
    crypto_wipe(client, sizeof client);
    return out;
}
