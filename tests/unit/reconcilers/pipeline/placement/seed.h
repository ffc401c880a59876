/* Random choices that can be repeated: PROOF_SEED. */
#pragma once

#include <stdint.h>
#include <stdlib.h>

static inline uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static inline uint64_t seed_given(void)
{
    return number_from("PROOF_SEED", 1);
}
