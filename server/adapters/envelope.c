#include "server/adapters/envelope.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <string.h>

enum { DEK_BOX_BYTES = AEAD_KEY_BYTES + AEAD_BOX_EXTRA_BYTES };

static struct aead_bytes bytes_of(const char *text)
{
    return (struct aead_bytes){text, strlen(text)};
}

/* ---- labels ---- */

/* Without this two labels could read the same: "a|b" and "c" as "a" and "b|c". */
static int check_label(struct ctx *ctx, const struct envelope_label *label)
{
    const char *const members[] = {label->tenant, label->owner, label->purpose, label->id};
    for (size_t at = 0; at < ARRAY_SIZE(members); at++)
        if (!members[at] || !*members[at] || strchr(members[at], '|'))
            return err_set(ctx, ERR_INTERNAL, "SealBroken",
                           "a sealed secret's label is empty or ambiguous");
    return 0;
}

static const char *label_text(struct ctx *ctx, const struct envelope_label *label)
{
    return arena_printf(ctx->arena, "v1|%s|%s|%s|%s", label->tenant, label->owner, label->purpose,
                        label->id);
}

/* What a wrapped DEK is bound to. */
static const char *wrap_text(struct ctx *ctx, const struct envelope_label *label, const char *kek)
{
    return arena_printf(ctx->arena, "%s|%s", label_text(ctx, label), kek);
}

static int broken(struct ctx *ctx, const struct envelope_label *label, const char *part)
{
    return err_set(ctx, ERR_INTERNAL, "SealBroken",
                   "%s of sealed secret %s was changed, or belongs to another row", part,
                   label->id);
}

/* NULL when there is none (a shredded row) or it is no base64. */
static const char *unbox(struct ctx *ctx, const char *text, size_t *ret_count)
{
    return text ? crypto_unbase64(ctx->arena, text, ret_count) : NULL;
}

/* ---- the data key ---- */

static const char *wrap(struct ctx *ctx, const unsigned char *kek, const char *aad,
                        const unsigned char dek[AEAD_KEY_BYTES])
{
    unsigned char box[DEK_BOX_BYTES];
    aead_seal(kek, bytes_of(aad), (struct aead_bytes){dek, AEAD_KEY_BYTES}, box);
    return crypto_base64(ctx->arena, box, sizeof box);
}

static int unwrap(struct ctx *ctx, const struct kek_ring *ring, const struct envelope_label *label,
                  const struct envelope *envelope, unsigned char ret_dek[AEAD_KEY_BYTES])
{
    const unsigned char *kek = kek_find(ring, envelope->kek);
    if (!kek)
        return err_set(ctx, ERR_CONFIG, "KekUnknown",
                       "sealed secret %s is wrapped by key '%.32s', which --kek-file lacks",
                       label->id, envelope->kek ? envelope->kek : "");
    size_t count = 0;
    const char *box = unbox(ctx, envelope->wrapped_dek, &count);
    if (!box || count != DEK_BOX_BYTES ||
        !aead_open(kek, bytes_of(wrap_text(ctx, label, envelope->kek)),
                   (struct aead_bytes){box, count}, ret_dek))
        return broken(ctx, label, "the wrapped key");
    return 0;
}

/* ---- the secret ---- */

int envelope_seal(struct ctx *ctx, const struct kek_ring *ring, const struct envelope_label *label,
                  const char *secret, struct envelope *ret)
{
    TRY(check_label(ctx, label));
    struct aead_bytes plain = bytes_of(secret);
    if (plain.count > ENVELOPE_SECRET_MAX_BYTES)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "a secret of more than %d bytes",
                       ENVELOPE_SECRET_MAX_BYTES);
    unsigned char dek[AEAD_KEY_BYTES];
    unsigned char *box = arena_alloc(ctx->arena, plain.count + AEAD_BOX_EXTRA_BYTES);
    const char *kek = kek_id_at(ring, 0);
    crypto_random(dek, sizeof dek);
    aead_seal(dek, bytes_of(label_text(ctx, label)), plain, box);
    *ret = (struct envelope){
        .kek = arena_strdup(ctx->arena, kek),
        .wrapped_dek = wrap(ctx, kek_find(ring, kek), wrap_text(ctx, label, kek), dek),
        .sealed = crypto_base64(ctx->arena, box, plain.count + AEAD_BOX_EXTRA_BYTES),
    };
    crypto_wipe(dek, sizeof dek);
    return 0;
}

int envelope_open(struct ctx *ctx, const struct kek_ring *ring, const struct envelope_label *label,
                  const struct envelope *envelope, char **ret)
{
    unsigned char dek[AEAD_KEY_BYTES];
    TRY(check_label(ctx, label));
    TRY(unwrap(ctx, ring, label, envelope, dek));
    size_t count = 0;
    const char *box = unbox(ctx, envelope->sealed, &count);
    char *secret = arena_alloc(ctx->arena, box ? count + 1 : 1); /* zeroed: ends with NUL */
    crypto_wipe_later(ctx->arena, secret);
    bool is_genuine = box && aead_open(dek, bytes_of(label_text(ctx, label)),
                                       (struct aead_bytes){box, count}, (unsigned char *)secret);
    crypto_wipe(dek, sizeof dek);
    if (!is_genuine)
        return broken(ctx, label, "the text");
    *ret = secret;
    return 0;
}

int envelope_rewrap(struct ctx *ctx, const struct kek_ring *ring,
                    const struct envelope_label *label, const struct envelope *envelope,
                    struct envelope *ret)
{
    unsigned char dek[AEAD_KEY_BYTES];
    const char *kek = kek_id_at(ring, 0);
    TRY(check_label(ctx, label));
    TRY(unwrap(ctx, ring, label, envelope, dek));
    *ret = (struct envelope){
        .kek = arena_strdup(ctx->arena, kek),
        .wrapped_dek = wrap(ctx, kek_find(ring, kek), wrap_text(ctx, label, kek), dek),
        .sealed = envelope->sealed,
    };
    crypto_wipe(dek, sizeof dek);
    return 0;
}
