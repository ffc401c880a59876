/*
 * kek: the key-encryption keys, read once from a file. The first one seals, all of them open, so
 * that a key can be changed under running servers (docs/operations.md, "Keys of sealed secrets").
 * The keys stay in one block that is kept out of the swap and wiped at the end.
 *
 * The file: a line per key, "<id> <base64 of 32 bytes>"; empty lines and lines that begin with '#'
 * are skipped. It is our own or root's, and nobody else may read it (root's: but our group).
 */
#pragma once

#include "server/adapters/aead.h"

struct ctx;
struct kek_ring;

enum { KEK_MAX = 16, KEK_ID_BYTES = 33, KEK_FILE_MAX_BYTES = 8192 };

/* -ERR_CONFIG with the line and what is wrong with it; the message never quotes a key. `path` ""
 * is refused, too: there is no default key. */
int kek_ring_open(struct ctx *ctx, const char *path, struct kek_ring **ret);
/* NULL is fine. */
void kek_ring_free(struct kek_ring *ring);

/* The ids in the order of the file, the sealing one first; NULL behind the last. */
const char *kek_id_at(const struct kek_ring *ring, size_t index);
/* AEAD_KEY_BYTES bytes, or NULL when the ring has no such key. */
const unsigned char *kek_find(const struct kek_ring *ring, const char *id);
