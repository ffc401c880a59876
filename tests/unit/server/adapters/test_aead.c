/* AES-256-GCM against published vectors, and every bit of a box turned over. */
#include "tests/unit/test.h"

#include "server/adapters/aead.h"
#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"

#include <string.h>

/*
 * gcm-spec: McGrew, Viega: The Galois/Counter Mode of Operation, appendix B, test cases 13 to 16.
 * cavp: NIST CAVP, gcmEncryptExtIV256.rsp, the first row of its section.
 */
static const struct vector {
    const char *source, *key, *nonce, *aad, *plain, *cipher, *tag;
} vectors[] = {
    {"gcm-spec 13", "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"gcm-spec 14", "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "", "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
    {"gcm-spec 15", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"gcm-spec 16", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"cavp PTlen = 0, AADlen = 0",
     "b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4", "516c33929df5a3284ff463d7",
     "", "", "", "bdc1ac884d332457a1d2664f168c76f0"},
    {"cavp PTlen = 128, AADlen = 0",
     "31bdadd96698c204aa9ce1448ea94ae1fb4a9a0b3c9d773b51bb1822666b8f22", "0d18e06c7c725ac9e362e1ce",
     "", "2db5168e932556f8089a0622981d017d", "fa4362189661d163fcd6a56d8bf0405a",
     "d636ac1bbedd5cc3ee727dc2ab4a9489"},
};

static unsigned char *unhex(struct ctx *ctx, const char *text, size_t *ret_count)
{
    *ret_count = strlen(text) / 2;
    unsigned char *out = arena_alloc(ctx->arena, *ret_count + 1);
    for (size_t at = 0; at < *ret_count; at++) {
        const char digits[] = {text[at * 2], text[at * 2 + 1], '\0'};
        out[at] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return out;
}

static struct aead_bytes unhexed(struct ctx *ctx, const char *text)
{
    struct aead_bytes bytes;
    bytes.data = unhex(ctx, text, &bytes.count);
    return bytes;
}

static void aead__matches_the_published_vectors(void **state)
{
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(vectors); at++) {
        const struct vector *row = &vectors[at];
        const unsigned char *key = unhexed(ctx, row->key).data;
        struct aead_bytes plain = unhexed(ctx, row->plain), aad = unhexed(ctx, row->aad);
        struct aead_bytes wanted =
            unhexed(ctx, arena_printf(ctx->arena, "%s%s%s", row->nonce, row->cipher, row->tag));
        unsigned char *box = arena_alloc(ctx->arena, plain.count + AEAD_BOX_EXTRA_BYTES);
        unsigned char *back = arena_alloc(ctx->arena, plain.count + 1);
        aead_seal_with(key, unhexed(ctx, row->nonce).data, aad, plain, box);
        assert_int_equal(wanted.count, plain.count + AEAD_BOX_EXTRA_BYTES);
        if (memcmp(box, wanted.data, wanted.count) != 0)
            fail_msg("%s: another box", row->source);
        assert_true(aead_open(key, aad, wanted, back));
        assert_memory_equal(back, plain.data, plain.count);
    }
}

static const struct aead_bytes aad = {"whose it is", 11};
static const char secret[] = "the secret itself";
enum { SECRET_BYTES = sizeof secret - 1, BOX_BYTES = SECRET_BYTES + AEAD_BOX_EXTRA_BYTES };

static void seal(unsigned char key[AEAD_KEY_BYTES], unsigned char box[BOX_BYTES])
{
    crypto_random(key, AEAD_KEY_BYTES);
    aead_seal(key, aad, (struct aead_bytes){secret, SECRET_BYTES}, box);
}

static void aead__refuses_every_bit_that_differs(void **state)
{
    (void)state;
    unsigned char key[AEAD_KEY_BYTES], box[BOX_BYTES], plain[SECRET_BYTES];
    static const unsigned char wiped[SECRET_BYTES];
    seal(key, box);
    assert_true(aead_open(key, aad, (struct aead_bytes){box, sizeof box}, plain));
    assert_memory_equal(plain, secret, SECRET_BYTES);
    for (size_t bit = 0; bit < sizeof box * 8; bit++) { /* nonce, text and tag */
        box[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_false(aead_open(key, aad, (struct aead_bytes){box, sizeof box}, plain));
        assert_memory_equal(plain, wiped, sizeof plain);
        box[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < sizeof key * 8; bit++) {
        key[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_false(aead_open(key, aad, (struct aead_bytes){box, sizeof box}, plain));
        key[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    assert_true(aead_open(key, aad, (struct aead_bytes){box, sizeof box}, plain));
}

static void aead__refuses_another_label_and_every_cut(void **state)
{
    (void)state;
    unsigned char key[AEAD_KEY_BYTES], box[BOX_BYTES], plain[SECRET_BYTES];
    seal(key, box);
    const struct aead_bytes labels[] = {{"whose it iz", 11}, {"whose it i", 10}, {NULL, 0}};
    for (size_t at = 0; at < ARRAY_SIZE(labels); at++)
        assert_false(aead_open(key, labels[at], (struct aead_bytes){box, sizeof box}, plain));
    for (size_t count = 0; count < sizeof box; count++)
        assert_false(aead_open(key, aad, (struct aead_bytes){box, count}, plain));
}

static void aead__never_seals_alike(void **state)
{
    (void)state;
    unsigned char key[AEAD_KEY_BYTES], one[BOX_BYTES], two[BOX_BYTES];
    seal(key, one);
    aead_seal(key, aad, (struct aead_bytes){secret, SECRET_BYTES}, two);
    assert_memory_not_equal(one, two, AEAD_NONCE_BYTES);
    assert_memory_not_equal(one + AEAD_NONCE_BYTES, two + AEAD_NONCE_BYTES, SECRET_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(aead__matches_the_published_vectors),
        TEST(aead__refuses_every_bit_that_differs),
        TEST(aead__refuses_another_label_and_every_cut),
        TEST(aead__never_seals_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
