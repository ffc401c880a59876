#include "server/base/err.h"

#include "server/base/ctx.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NEVER RETRY_NEVER
#define BACKOFF RETRY_BACKOFF
#define NOW RETRY_NOW
#define EVENT RETRY_EVENT
#define DEBUG LOG_DEBUG
#define INFO LOG_INFO
#define WARN LOG_WARN
#define ERROR LOG_ERROR
static const struct err_row rows[ERR_MAX] = {
#define ERR(name, http, retry, level, reason, doc)                                                 \
    [ERR_##name] = {#name, http, retry, level, reason, doc},
#include "server/base/errors.def"
#undef ERR
};

const struct err_reason err_reasons[] = {
#define REASON(name, reason, doc) {ERR_##name, reason, doc},
#include "server/base/reasons.def"
#undef REASON
    {0},
};

const struct err_row *err_row(int code)
{
    int index = code < 0 ? -code : code;
    return index > 0 && index < ERR_MAX ? &rows[index] : &rows[ERR_INTERNAL];
}

int err_set_at(struct ctx *ctx, enum err_code code, const char *reason, const char *file, int line,
               const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct err err = {.code = (int)code, .file = file, .line = line};
    vsnprintf(err.message, sizeof err.message, format, args);
    va_end(args);
    snprintf(err.reason, sizeof err.reason, "%s", reason ? reason : err_row((int)code)->reason);
    ctx->err = err;
    return -(int)code;
}

int err_wrap(struct ctx *ctx, int rc, const char *format, ...)
{
    char prefix[ERR_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    char message[ERR_MESSAGE_BYTES * 2 + 4];
    snprintf(message, sizeof message, "%s: %s", prefix, ctx->err.message);
    memcpy(ctx->err.message, message, sizeof ctx->err.message - 1);
    ctx->err.message[sizeof ctx->err.message - 1] = '\0';
    return rc;
}

void err_clear(struct ctx *ctx)
{
    ctx->err = (struct err){0};
}
