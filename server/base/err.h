/*
 * Errors. A fallible function returns 0 or -ERR_x; the row in errors.def decides everything else.
 * Details (reason, message) are set once, where the error is first seen, into ctx->err; callers
 * pass the code up with TRY() and may put one prefix before the message with err_wrap().
 * A look-up that finds nothing is a success with NULL.
 */
#pragma once

#include <stdbool.h>

struct ctx;

enum err_code {
    ERR_NONE = 0,
#define ERR(name, http, retry, level, reason, doc) ERR_##name,
#include "server/base/errors.def"
#undef ERR
    ERR_MAX
};

enum retry_class { RETRY_NEVER, RETRY_BACKOFF, RETRY_NOW, RETRY_EVENT };

struct err_row {
    const char *name;
    int http;
    enum retry_class retry;
    int level;
    const char *reason;
    const char *doc;
};

enum { ERR_MESSAGE_BYTES = 512, ERR_REASON_BYTES = 64 };

struct err {
    int code; /* positive enum err_code, 0 = none */
    char reason[ERR_REASON_BYTES];
    char message[ERR_MESSAGE_BYTES];
    const char *file;
    int line;
    int retry_after_ms; /* what the server asked for, 0 = nothing */
};

/* The row of a code; accepts 7 as well as -7. Never NULL: an unknown code has INTERNAL's row. */
const struct err_row *err_row(int code);

/* A finer word for an error; see reasons.def. */
struct err_reason {
    enum err_code code;
    const char *reason, *doc;
};
/* Ends at a row without reason. */
extern const struct err_reason err_reasons[];

/*
 * Records an error and returns -code. `reason` NULL takes the row's. Messages are one line, lower
 * case, without a final dot, and never hold a secret.
 */
#define err_set(ctx, code, reason, ...)                                                            \
    err_negative_(err_set_at((ctx), (code), (reason), __FILE__, __LINE__, __VA_ARGS__))
int err_set_at(struct ctx *ctx, enum err_code code, const char *reason, const char *file, int line,
               const char *format, ...) __attribute__((format(printf, 6, 7), cold));

/* Lets compilers and analyzers know that what err_set() returns is never 0. */
static inline int err_negative_(int rc)
{
    if (rc >= 0)
        __builtin_unreachable();
    return rc;
}

/* Puts "prefix: " before the recorded message and returns rc. */
int err_wrap(struct ctx *ctx, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Forgets the recorded error; for callers that handled it. */
void err_clear(struct ctx *ctx);

#define TRY(expression)                                                                            \
    do {                                                                                           \
        int try_rc_ = (expression);                                                                \
        if (try_rc_ < 0)                                                                           \
            return try_rc_;                                                                        \
    } while (0)
