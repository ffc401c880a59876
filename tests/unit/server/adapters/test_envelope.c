/* Key files, good and bad; and what an envelope opens for, and for what it does not. */
#include "tests/unit/test.h"

#include "server/adapters/envelope.h"
#include "server/base/cleanup.h"
#include "server/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_B "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

/* ---- key files ---- */

static char path[] = "/tmp/flotilla-kek-XXXXXX";

static void write_file(const char *text, size_t bytes, mode_t mode)
{
    unlink(path);
    _cleanup_file_ FILE *file = fopen(path, "wxe");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fchmod(fileno(file), mode), 0);
}

static struct kek_ring *ring_of(struct ctx *ctx, const char *text)
{
    struct kek_ring *ring = NULL;
    write_file(text, strlen(text), 0600);
    assert_int_equal(kek_ring_open(ctx, path, &ring), 0);
    return ring;
}

static void kek__reads_keys_in_their_order(void **state)
{
    struct ctx *ctx = *state;
    struct kek_ring *ring = ring_of(ctx, "# newest first\n\nkek-2 " KEY_B "\nkek-1 " KEY_A);
    assert_string_equal(kek_id_at(ring, 0), "kek-2");
    assert_string_equal(kek_id_at(ring, 1), "kek-1");
    assert_null(kek_id_at(ring, 2));
    assert_int_equal(kek_find(ring, "kek-2")[0], 1);
    assert_int_equal(kek_find(ring, "kek-1")[0], 0);
    assert_null(kek_find(ring, "kek-3"));
    assert_null(kek_find(ring, NULL));
    kek_ring_free(ring);
}

static const struct bad {
    const char *what, *text, *says; /* part of the message */
} bad[] = {
    {"empty", "", ":1: there is no key"},
    {"comments only", "# none\n", ":2: there is no key"},
    {"an id alone", "kek-1\n", ":1: is not"},
    {"a key alone", KEY_A "\n", ":1: is not"},
    {"upper case in the id", "Kek " KEY_A, ":1: the id"},
    {"no id", " " KEY_A, ":1: the id"},
    {"a long id", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa " KEY_A, ":1: the id"},
    {"two blanks", "kek  " KEY_A, ":1: the key"},
    {"a tab", "kek\t" KEY_A, ":1: is not"},
    {"CRLF", "kek " KEY_A "\r\n", ":1: the key"},
    {"16 bytes", "kek AAAAAAAAAAAAAAAAAAAAAA==", ":1: the key"},
    {"33 bytes", "kek AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ":1: the key"},
    {"no base64", "kek AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA*=", ":1: the key"},
    {"base64 of the URL's alphabet", "kek ____________________________________________", "the key"},
    {"a word behind", "kek " KEY_A " x", ":1: the key"},
    {"twice", "# x\nkek " KEY_A "\nkek " KEY_B, ":3: this id"},
};

static void kek__says_what_is_wrong_and_never_a_key(void **state)
{
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(bad); at++) {
        struct kek_ring *ring = NULL;
        write_file(bad[at].text, strlen(bad[at].text), 0600);
        if (kek_ring_open(ctx, path, &ring) != -ERR_CONFIG ||
            !strstr(ctx->err.message, bad[at].says))
            fail_msg("%s: %s", bad[at].what, ctx->err.message);
        assert_string_equal(ctx->err.reason, "KekFileInvalid");
        assert_null(strstr(ctx->err.message, "AAAA"));
    }
}

static void kek__bounds_the_file(void **state)
{
    struct ctx *ctx = *state;
    struct kek_ring *ring = NULL;
    _cleanup_str_ struct str text;
    str_init(&text, 1 << 20);
    for (int key = 0; key <= KEK_MAX; key++)
        str_printf(&text, "kek-%d " KEY_A "\n", key);
    write_file(str_text(&text), text.length, 0600);
    assert_int_equal(kek_ring_open(ctx, path, &ring), -ERR_CONFIG);
    assert_non_null(strstr(ctx->err.message, ":17: more than 16 keys"));
    str_clear(&text);
    for (int line = 0; line <= KEK_FILE_MAX_BYTES; line++)
        str_add(&text, "#");
    write_file(str_text(&text), text.length, 0600);
    assert_int_equal(kek_ring_open(ctx, path, &ring), -ERR_CONFIG);
    assert_non_null(strstr(ctx->err.message, "larger than 8192 bytes"));
    write_file("kek " KEY_A "\n\0", sizeof "kek " KEY_A "\n\0" - 1, 0600);
    assert_int_equal(kek_ring_open(ctx, path, &ring), -ERR_CONFIG);
    assert_non_null(strstr(ctx->err.message, "NUL"));
}

static void kek__wants_a_private_file(void **state)
{
    struct ctx *ctx = *state;
    struct kek_ring *ring = NULL;
    static const char text[] = "kek " KEY_A "\n";
    const mode_t open[] = {0604, 0602, 0601, 0620, 0660, 0610, 0644};
    for (size_t at = 0; at < ARRAY_SIZE(open); at++) {
        write_file(text, sizeof text - 1, open[at]);
        assert_int_equal(kek_ring_open(ctx, path, &ring), -ERR_CONFIG);
        assert_non_null(strstr(ctx->err.message, "mode"));
    }
    write_file(text, sizeof text - 1, 0640); /* a group may read what root owns */
    assert_int_equal(kek_ring_open(ctx, path, &ring), geteuid() == 0 ? 0 : -ERR_CONFIG);
    kek_ring_free(geteuid() == 0 ? ring : NULL);
    assert_int_equal(kek_ring_open(ctx, "/tmp", &ring), -ERR_CONFIG);
    assert_non_null(strstr(ctx->err.message, "regular"));
    assert_int_equal(kek_ring_open(ctx, "/nonexistent/kek", &ring), -ERR_CONFIG);
    assert_string_equal(ctx->err.reason, "KekFileMissing");
    assert_int_equal(kek_ring_open(ctx, "", &ring), -ERR_CONFIG);
    assert_string_equal(ctx->err.reason, "KekFileMissing");
}

/* ---- envelopes ---- */

static const struct envelope_label label = {"tn_1", "registry/reg_1", "admin-password", "sec_1"};

static void envelope__opens_what_it_sealed(void **state)
{
    struct ctx *ctx = *state;
    struct kek_ring *ring = ring_of(ctx, "kek-1 " KEY_A);
    const char *const secrets[] = {"", "x", "Passw0rd", "a text of more than one block of AES"};
    for (size_t at = 0; at < ARRAY_SIZE(secrets); at++) {
        struct envelope one, two;
        char *back;
        assert_int_equal(envelope_seal(ctx, ring, &label, secrets[at], &one), 0);
        assert_int_equal(envelope_seal(ctx, ring, &label, secrets[at], &two), 0);
        assert_string_equal(one.kek, "kek-1");
        assert_string_not_equal(one.sealed, two.sealed);
        assert_string_not_equal(one.wrapped_dek, two.wrapped_dek);
        assert_int_equal(envelope_open(ctx, ring, &label, &one, &back), 0);
        assert_string_equal(back, secrets[at]);
    }
    kek_ring_free(ring);
}

/* Whatever is not as it was: SealBroken, and no byte of the secret. */
static void expect_broken(struct ctx *ctx, const struct kek_ring *ring,
                          const struct envelope_label *of, const struct envelope *envelope)
{
    char *back = NULL;
    struct envelope wrapped;
    assert_int_equal(envelope_open(ctx, ring, of, envelope, &back), -ERR_INTERNAL);
    assert_string_equal(ctx->err.reason, "SealBroken");
    assert_null(back);
    if (of != &label || !envelope->wrapped_dek)
        assert_int_equal(envelope_rewrap(ctx, ring, of, envelope, &wrapped), -ERR_INTERNAL);
}

static void envelope__is_its_owners_alone(void **state)
{
    struct ctx *ctx = *state;
    struct kek_ring *ring = ring_of(ctx, "kek-1 " KEY_A);
    struct envelope envelope;
    assert_int_equal(envelope_seal(ctx, ring, &label, "Passw0rd", &envelope), 0);
    const struct envelope_label others[] = {
        {"tn_2", "registry/reg_1", "admin-password", "sec_1"},
        {"tn_1", "registry/reg_2", "admin-password", "sec_1"},
        {"tn_1", "registry/reg_1", "robot", "sec_1"},
        {"tn_1", "registry/reg_1", "admin-password", "sec_2"},
        {"tn_1|registry/reg_1", "admin-password", "sec_1", "x"}, /* '|' is refused */
        {"tn_1", "", "admin-password", "sec_1"},
        {"tn_1", NULL, "admin-password", "sec_1"},
    };
    for (size_t at = 0; at < ARRAY_SIZE(others); at++)
        expect_broken(ctx, ring, &others[at], &envelope);
    kek_ring_free(ring);
}

static char *cut(struct ctx *ctx, const char *text, size_t length)
{
    return arena_strndup(ctx->arena, text, length);
}

static char *changed(struct ctx *ctx, const char *text, size_t at)
{
    char *copy = arena_strdup(ctx->arena, text);
    copy[at] = copy[at] == 'A' ? 'B' : 'A';
    return copy;
}

static void envelope__notices_every_change(void **state)
{
    struct ctx *ctx = *state;
    struct kek_ring *ring = ring_of(ctx, "kek-1 " KEY_A "\nkek-2 " KEY_A);
    struct envelope good, other;
    assert_int_equal(envelope_seal(ctx, ring, &label, "Passw0rd", &good), 0);
    assert_int_equal(envelope_seal(ctx, ring, &label, "Passw0rd", &other), 0);
    const struct envelope mixed[] = {
        {good.kek, other.wrapped_dek, good.sealed}, {good.kek, good.wrapped_dek, other.sealed},
        {"kek-2", good.wrapped_dek, good.sealed}, /* the same key by another name */
        {good.kek, good.sealed, good.wrapped_dek},  {good.kek, NULL, good.sealed},
        {good.kek, good.wrapped_dek, NULL},         {good.kek, "", good.sealed},
        {good.kek, good.wrapped_dek, ""},           {good.kek, "*", "*"},
    };
    for (size_t at = 0; at < ARRAY_SIZE(mixed); at++)
        expect_broken(ctx, ring, &label, &mixed[at]);
    for (size_t at = 0; at < strlen(good.wrapped_dek); at++) {
        expect_broken(
            ctx, ring, &label,
            &(struct envelope){good.kek, changed(ctx, good.wrapped_dek, at), good.sealed});
        expect_broken(ctx, ring, &label,
                      &(struct envelope){good.kek, cut(ctx, good.wrapped_dek, at), good.sealed});
    }
    for (size_t at = 0; at < strlen(good.sealed); at++) {
        expect_broken(
            ctx, ring, &label,
            &(struct envelope){good.kek, good.wrapped_dek, changed(ctx, good.sealed, at)});
        expect_broken(ctx, ring, &label,
                      &(struct envelope){good.kek, good.wrapped_dek, cut(ctx, good.sealed, at)});
    }
    kek_ring_free(ring);
}

static void envelope__moves_to_another_key(void **state)
{
    struct ctx *ctx = *state;
    struct kek_ring *old = ring_of(ctx, "kek-1 " KEY_A);
    struct kek_ring *both = ring_of(ctx, "kek-2 " KEY_B "\nkek-1 " KEY_A);
    struct kek_ring *new = ring_of(ctx, "kek-2 " KEY_B);
    struct envelope sealed, moved, again;
    char *back;
    assert_int_equal(envelope_seal(ctx, old, &label, "Passw0rd", &sealed), 0);
    assert_int_equal(envelope_open(ctx, new, &label, &sealed, &back), -ERR_CONFIG);
    assert_string_equal(ctx->err.reason, "KekUnknown");
    assert_int_equal(envelope_rewrap(ctx, new, &label, &sealed, &moved), -ERR_CONFIG);
    assert_int_equal(envelope_rewrap(ctx, both, &label, &sealed, &moved), 0);
    assert_string_equal(moved.kek, "kek-2");
    assert_string_equal(moved.sealed, sealed.sealed);
    assert_int_equal(envelope_open(ctx, new, &label, &moved, &back), 0);
    assert_string_equal(back, "Passw0rd");
    assert_int_equal(envelope_open(ctx, old, &label, &moved, &back), -ERR_CONFIG);
    assert_int_equal(envelope_rewrap(ctx, both, &label, &moved, &again), 0);
    assert_int_equal(envelope_open(ctx, new, &label, &again, &back), 0);
    kek_ring_free(old);
    kek_ring_free(both);
    kek_ring_free(new);
}

static int make_path(void **state)
{
    (void)state;
    int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(kek__reads_keys_in_their_order), TEST(kek__says_what_is_wrong_and_never_a_key),
        TEST(kek__bounds_the_file),           TEST(kek__wants_a_private_file),
        TEST(envelope__opens_what_it_sealed), TEST(envelope__is_its_owners_alone),
        TEST(envelope__notices_every_change), TEST(envelope__moves_to_another_key),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
