/* A certificate of one's own, for servers on loopback whose clients are told to trust exactly it.
 */
#pragma once

struct arena;

enum { CERTIFICATE_DAYS = 30 };

/*
 * A new P-256 key and a certificate for 127.0.0.1 and localhost that it signed itself, as PEM,
 * valid from an hour ago on. The key is wiped with the arena. Aborts when the system has no
 * randomness.
 */
void certificate_loopback(struct arena *arena, const char *name, const char **ret_certificate,
                          const char **ret_key);
