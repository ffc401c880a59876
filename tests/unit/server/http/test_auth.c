/* What a process remembers of keys, and that one tenant's keys cannot take that from the others. */
#include "tests/unit/test.h"

#include "server/adapters/crypto.h"
#include "server/base/clock.h"
#include "server/http/auth.h"

#include <string.h>

enum { OTHERS = 100, FLOOD = 20000 };
/* Longer than any machine takes for a flood: what is missing then was crowded out. */
enum { FOR_EVER_MS = 3600000, SHORT_MS = 30 };

/* Secrets are all the same; the key's name says whose it is. */
static const char secret[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

struct finder {
    int look_ups;
    const char *tenant;
};

static int find(struct ctx *ctx, void *app, const char *prefix, struct principal *ret,
                bool *ret_found)
{
    struct finder *finder = app;
    (void)ctx;
    finder->look_ups++;
    snprintf(ret->key, sizeof ret->key, "key_%s", prefix);
    snprintf(ret->tenant, sizeof ret->tenant, "%s", finder->tenant);
    crypto_sha256_hex(secret, AUTH_SECRET_LENGTH, ret->secret_hash);
    *ret_found = true;
    return 0;
}

/* A recall of key number `number`, without HTTP in between. */
static void use(struct ctx *ctx, struct auth *auth, int number)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    char header[] = "Bearer flk_xxxxxxxx_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct principal principal;
    for (int at = 0; at < AUTH_PREFIX_LENGTH; at++, number /= 32)
        header[11 + at] = digits[number % 32];
    assert_int_equal(auth_check(ctx, auth, header, &principal), 0);
}

static void test_a_key_is_remembered(void **state)
{
    struct ctx *ctx = *state;
    struct finder finder = {.tenant = "tn_a"};
    struct auth *auth = auth_new(find, &finder, FOR_EVER_MS);
    use(ctx, auth, 1);
    use(ctx, auth, 1);
    assert_int_equal(finder.look_ups, 1);
    auth_free(auth);
}

static void test_no_longer_than_it_may_be(void **state)
{
    struct ctx *ctx = *state;
    struct finder finder = {.tenant = "tn_a"};
    struct auth *auth = auth_new(find, &finder, SHORT_MS);
    use(ctx, auth, 1);
    clock_sleep_ms(SHORT_MS + 1);
    use(ctx, auth, 1);
    assert_int_equal(finder.look_ups, 2);
    auth_free(auth);
}

static void test_a_tenant_with_many_keys_evicts_its_own(void **state)
{
    struct ctx *ctx = *state;
    struct finder finder = {0};
    struct auth *auth = auth_new(find, &finder, FOR_EVER_MS);
    for (int number = 0; number < OTHERS; number++) {
        finder.tenant = arena_printf(ctx->arena, "tn_%d", number);
        use(ctx, auth, number);
    }
    finder.tenant = "tn_flood";
    for (int number = OTHERS; number < FLOOD; number++)
        use(ctx, auth, number);
    finder.look_ups = 0;
    for (int number = 0; number < OTHERS; number++)
        use(ctx, auth, number);
    assert_int_equal(finder.look_ups, 0);
    auth_free(auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_key_is_remembered),
        TEST(test_no_longer_than_it_may_be),
        TEST(test_a_tenant_with_many_keys_evicts_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
