/*
 * AES-256-GCM with a random nonce per message. A sealed box is nonce, ciphertext and tag, in this
 * order: whoever has key and AAD needs nothing else to open it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
    AEAD_KEY_BYTES = 32,
    AEAD_NONCE_BYTES = 12,
    AEAD_TAG_BYTES = 16,
    AEAD_BOX_EXTRA_BYTES = AEAD_NONCE_BYTES + AEAD_TAG_BYTES
};

struct aead_bytes {
    const void *data; /* may be NULL when there are none */
    size_t count;
};

/*
 * Writes plain.count + AEAD_BOX_EXTRA_BYTES bytes to `box`. A random nonce of 96 bits bounds a key
 * to 2^32 messages (NIST SP 800-38D, section 8.3). Aborts when the library fails.
 */
void aead_seal(const unsigned char key[AEAD_KEY_BYTES], struct aead_bytes aad,
               struct aead_bytes plain, unsigned char *box);
/* The same with a nonce that is given: for published vectors. Never use one twice with a key. */
void aead_seal_with(const unsigned char key[AEAD_KEY_BYTES],
                    const unsigned char nonce[AEAD_NONCE_BYTES], struct aead_bytes aad,
                    struct aead_bytes plain, unsigned char *box);
/*
 * Writes box.count - AEAD_BOX_EXTRA_BYTES bytes to `plain`. False when the box is too short, or
 * anything in box, AAD or key differs from what was sealed: then `plain` is wiped.
 */
bool aead_open(const unsigned char key[AEAD_KEY_BYTES], struct aead_bytes aad,
               struct aead_bytes box, unsigned char *plain);
