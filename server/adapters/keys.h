/* What is expensive to make, and so made once and kept: an RSA key, a bcrypt hash. */
#pragma once

struct arena;

enum { RSA_BITS = 2048, BCRYPT_COST = 5 };

/*
 * A new RSA key of RSA_BITS as PEM in PKCS#1 form ("BEGIN RSA PRIVATE KEY"), not in the PKCS#8 form
 * that OpenSSL prefers. Takes 50 to 500 ms. Aborts when the system has no randomness.
 */
char *keys_rsa_pkcs1(struct arena *arena);
/*
 * "$2b$05$...": bcrypt of a password of at most 72 bytes. The low cost is enough for what we hash,
 * 160 random bits, and its reader checks it on every request.
 */
char *keys_bcrypt(struct arena *arena, const char *password);
