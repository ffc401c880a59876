/* Small things from OpenSSL: digests, randomness, encodings, identifiers, SCRAM verifiers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

enum { SHA256_BYTES = 32, SHA256_HEX_BYTES = 65 };

void crypto_sha256(const void *bytes, size_t count, unsigned char out[SHA256_BYTES]);
void crypto_sha256_hex(const void *bytes, size_t count, char out[SHA256_HEX_BYTES]);
/* A SHA-256 over pieces. */
struct crypto_sum;
struct crypto_sum *crypto_sum_new(void);
void crypto_sum_add(struct crypto_sum *sum, const void *bytes, size_t count);
/* Of all pieces so far. */
void crypto_sum_hex(const struct crypto_sum *sum, char out[SHA256_HEX_BYTES]);
void crypto_sum_free(struct crypto_sum *sum);
/* Aborts when the system has no randomness. */
void crypto_random(void *out, size_t bytes);
/* Constant time. */
bool crypto_equal(const void *a, const void *b, size_t bytes);
void crypto_wipe(void *bytes, size_t count);
/* Wipes a text of the arena when that is reset or freed. */
void crypto_wipe_later(struct arena *arena, char *text);

/* `length` characters of [a-z2-7], each 5 random bits (RFC 4648 base32, lower case). */
char *crypto_random_base32(struct arena *arena, size_t length);
/* A password that every policy takes: `length` (at least 8) random characters of [A-Za-z0-9] with
 * an upper and a lower case letter and a digit among them; 5.95 bits each. Wiped with the arena. */
char *crypto_random_password(struct arena *arena, size_t length);
/* The first `length` characters of the base32 form of SHA-256(text). */
char *crypto_base32_of(struct arena *arena, const char *text, size_t length);
/*
 * "<prefix>_" + 26 characters of [0-9a-v]: the 128 bits of a UUIDv7 (RFC 9562 section 5.7) in
 * base32hex, so that ids sort by the time they were made. Valid inside a DNS label without prefix.
 */
char *crypto_id(struct arena *arena, const char *prefix);
/* Does the text have that form? */
bool crypto_is_id(const char *text);

char *crypto_base64(struct arena *arena, const void *bytes, size_t count);
/* NULL when the text is not base64. The result is NUL-terminated behind *ret_count bytes. */
char *crypto_unbase64(struct arena *arena, const char *text, size_t *ret_count);

/*
 * PostgreSQL's SCRAM-SHA-256 verifier (RFC 5803 form, 4096 iterations) of an ASCII password:
 * the server stores it as it is and never sees the password.
 * `salt` makes the verifier repeatable: 16 bytes.
 */
char *crypto_scram_verifier(struct arena *arena, const char *password,
                            const unsigned char salt[16]);
