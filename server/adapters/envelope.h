/*
 * envelope: a secret at rest. Each secret has a random data key (DEK) of its own, which a KEK of
 * the ring wraps; to change the KEK only the DEK is wrapped anew. Whose secret it is (the label) is
 * authenticated with both boxes, so that neither opens for another row. Everything is text: boxes
 * are base64 of what aead.h makes.
 */
#pragma once

#include "server/adapters/kek.h"

struct arena;
struct ctx;

enum { ENVELOPE_SECRET_MAX_BYTES = 1 << 20 };

/* "v1|tenant|owner|purpose|id"; no member may hold '|'. */
struct envelope_label {
    const char *tenant;
    const char *owner; /* "registry/reg_x" */
    const char *purpose;
    const char *id;
};

struct envelope {
    const char *kek;         /* id of the key that wraps */
    const char *wrapped_dek; /* bound to the label and to the id of the KEK */
    const char *sealed;      /* bound to the label */
};

/* With the ring's first key. The result is in ctx->arena. */
int envelope_seal(struct ctx *ctx, const struct kek_ring *ring, const struct envelope_label *label,
                  const char *secret, struct envelope *ret);
/*
 * The secret in ctx->arena, which wipes it when it is reset. -ERR_CONFIG (KekUnknown) when the ring
 * lacks the key, -ERR_INTERNAL (SealBroken) when anything was changed or belongs to another label.
 */
int envelope_open(struct ctx *ctx, const struct kek_ring *ring, const struct envelope_label *label,
                  const struct envelope *envelope, char **ret);
/* The same secret under the ring's first key; ret->sealed is envelope->sealed. Errors as above. */
int envelope_rewrap(struct ctx *ctx, const struct kek_ring *ring,
                    const struct envelope_label *label, const struct envelope *envelope,
                    struct envelope *ret);
