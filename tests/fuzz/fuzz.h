/*
 * A fuzz target says what holds for any bytes that a stranger may choose: fuzz_one() in
 * tests/fuzz/<path of the room>/test_<parser>.c. It is linked with replay.c for the gate, and in
 * the preset "fuzz" with libFuzzer.
 */
#pragma once

#include "server/base/ctx.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* `text` ends with a NUL behind its last byte, and its memory there. The arena is this call's. */
void fuzz_one(struct ctx *ctx, const char *text, size_t bytes);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A path under which a parser that opens files reads these bytes; valid until the next call. */
const char *fuzz_file(const char *text, size_t bytes);

/* libFuzzer's entry: it calls this for each input. */
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes);
