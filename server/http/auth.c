/* Looks API keys up, compares in constant time, and remembers what it found for a while. */
#include "server/http/auth.h"

#include "server/adapters/crypto.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEY_START "flk_"
#define BASE32 "abcdefghijklmnopqrstuvwxyz234567"

enum { SETS = 1024, WAYS = 4 };

struct slot {
    char prefix[AUTH_PREFIX_LENGTH + 1];
    int64_t expires_ms;
    struct principal principal;
};

/* Sets of a few slots, placed by the prefix's hash: a set that is full costs a look-up more. */
struct auth {
    auth_finder find;
    void *app;
    int cache_ms;
    pthread_mutex_t lock; /* guards the slots */
    struct slot slot[SETS][WAYS];
};

struct auth *auth_new(auth_finder find, void *app, int cache_ms)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (!auth)
        abort();
    auth->find = find;
    auth->app = app;
    auth->cache_ms = cache_ms;
    pthread_mutex_init(&auth->lock, NULL);
    return auth;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    pthread_mutex_destroy(&auth->lock);
    free(auth);
}

static struct slot *set_of(struct auth *auth, const char *prefix)
{
    return auth->slot[str_hash(prefix) % SETS];
}

/* The slot of this prefix, expired or not, or NULL. */
static struct slot *slot_of(struct auth *auth, const char *prefix)
{
    struct slot *set = set_of(auth, prefix);
    for (int way = 0; way < WAYS; way++)
        if (strcmp(set[way].prefix, prefix) == 0)
            return &set[way];
    return NULL;
}

static bool recall(struct auth *auth, const char *prefix, struct principal *ret)
{
    pthread_mutex_lock(&auth->lock);
    const struct slot *slot = slot_of(auth, prefix);
    bool known = slot && slot->expires_ms > clock_boottime_ms();
    if (known)
        *ret = slot->principal;
    pthread_mutex_unlock(&auth->lock);
    return known;
}

/* How many slots of a set the tenant would have, the newcomer's among them. */
static int crowd(const struct slot *set, const char *tenant, const char *newcomer)
{
    int count = strcmp(tenant, newcomer) == 0;
    for (int way = 0; way < WAYS; way++)
        count += strcmp(set[way].principal.tenant, tenant) == 0;
    return count;
}

/*
 * Who makes room in a full set: one of the tenant that has most of it, so that a tenant with many
 * keys crowds out itself; among equals what expires first.
 */
static struct slot *victim_of(struct slot *set, const char *newcomer)
{
    int64_t now_ms = clock_boottime_ms();
    struct slot *victim = &set[0];
    int most = 0;
    for (int way = 0; way < WAYS; way++) {
        if (set[way].expires_ms <= now_ms)
            return &set[way];
        int count = crowd(set, set[way].principal.tenant, newcomer);
        if (count > most || (count == most && set[way].expires_ms < victim->expires_ms)) {
            victim = &set[way];
            most = count;
        }
    }
    return victim;
}

static void remember(struct auth *auth, const char *prefix, const struct principal *principal)
{
    pthread_mutex_lock(&auth->lock);
    struct slot *slot = slot_of(auth, prefix);
    if (!slot)
        slot = victim_of(set_of(auth, prefix), principal->tenant);
    memcpy(slot->prefix, prefix, sizeof slot->prefix);
    slot->expires_ms = clock_boottime_ms() + auth->cache_ms;
    slot->principal = *principal;
    pthread_mutex_unlock(&auth->lock);
}

static void forget(struct auth *auth, const char *prefix)
{
    pthread_mutex_lock(&auth->lock);
    struct slot *slot = slot_of(auth, prefix);
    if (slot)
        *slot = (struct slot){0};
    pthread_mutex_unlock(&auth->lock);
}

static int refuse(struct ctx *ctx)
{
    return err_set(ctx, ERR_UNAUTHENTICATED, NULL,
                   "a valid API key is wanted: Authorization: Bearer flk_...");
}

/* The secret's part of the text, or NULL; the prefix is copied out. */
static const char *split(const char *header, char prefix[AUTH_PREFIX_LENGTH + 1])
{
    static const size_t start = sizeof KEY_START - 1;
    if (!header || strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    const char *key = header + 7;
    if (strlen(key) != start + AUTH_PREFIX_LENGTH + 1 + AUTH_SECRET_LENGTH ||
        !str_starts(key, KEY_START) || key[start + AUTH_PREFIX_LENGTH] != '_')
        return NULL;
    memcpy(prefix, key + start, AUTH_PREFIX_LENGTH);
    prefix[AUTH_PREFIX_LENGTH] = '\0';
    if (strspn(prefix, BASE32) != AUTH_PREFIX_LENGTH)
        return NULL;
    return key + start + AUTH_PREFIX_LENGTH + 1;
}

/* An empty hash, that of a principal who was not found, matches nothing. */
static bool is_secret_of(const struct principal *principal, const char *secret)
{
    char hash[SHA256_HEX_BYTES];
    crypto_sha256_hex(secret, AUTH_SECRET_LENGTH, hash);
    return crypto_equal(hash, principal->secret_hash, SHA256_HEX_BYTES - 1);
}

int auth_check(struct ctx *ctx, struct auth *auth, const char *header, struct principal *ret)
{
    char prefix[AUTH_PREFIX_LENGTH + 1];
    const char *secret = split(header, prefix);
    if (!secret)
        return refuse(ctx);
    struct principal principal = {0};
    if (!recall(auth, prefix, &principal)) {
        bool found = false;
        TRY(auth->find(ctx, auth->app, prefix, &principal, &found));
        if (found)
            remember(auth, prefix, &principal);
        else
            forget(auth, prefix);
    }
    if (!is_secret_of(&principal, secret))
        return refuse(ctx);
    *ret = principal;
    return 0;
}

struct auth_key auth_key_make(struct arena *arena)
{
    const char *prefix = crypto_random_base32(arena, AUTH_PREFIX_LENGTH);
    const char *secret = crypto_random_base32(arena, AUTH_SECRET_LENGTH);
    char *hash = arena_alloc(arena, SHA256_HEX_BYTES);
    crypto_sha256_hex(secret, AUTH_SECRET_LENGTH, hash);
    return (struct auth_key){.prefix = prefix,
                             .secret_hash = hash,
                             .text = arena_printf(arena, KEY_START "%s_%s", prefix, secret)};
}
