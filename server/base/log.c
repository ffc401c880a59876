#include "server/base/log.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192, MESSAGE_MAX_BYTES = 2048 };

static enum log_level threshold = LOG_INFO;
static const char *program_name = "flotillad";

static const char *const names[] = {"debug", "info", "warn", "error"};

const char *log_level_name(enum log_level level)
{
    return names[level];
}

void log_init(const char *program)
{
    program_name = program;
    const char *wanted = getenv("FLOTILLA_LOG");
    for (int level = LOG_DEBUG; wanted && level <= LOG_ERROR; level++)
        if (strcmp(wanted, names[level]) == 0)
            threshold = (enum log_level)level;
}

static bool enabled(enum log_level level)
{
    return level >= threshold;
}

void log_field(struct ctx *ctx, const char *key, const char *value)
{
    if (!value || ctx->log.count >= LOG_FIELDS_MAX)
        return;
    ctx->log.field[ctx->log.count].key = key;
    ctx->log.field[ctx->log.count].value = value;
    ctx->log.count++;
}

/* Escapes so that one event is always one line of pure ASCII, whatever the text holds. */
static void add_escaped(struct str *line, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            str_printf(line, "\\%c", *p);
        else if (*p < 0x20 || *p >= 0x7f)
            str_printf(line, "\\u%04x", *p);
        else
            str_add_bytes(line, p, 1);
    }
}

static void add_field(struct str *line, const char *key, const char *value)
{
    str_printf(line, ",\"%s\":\"", key);
    add_escaped(line, value);
    str_add(line, "\"");
}

void log_line(enum log_level level, const struct ctx *ctx, const char *format, ...)
{
    if (!enabled(level))
        return;
    char message[MESSAGE_MAX_BYTES], time[CLOCK_RFC3339_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    _cleanup_str_ struct str line;
    str_init(&line, (size_t)LINE_MAX_BYTES * 8);
    str_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\"",
               clock_rfc3339(time, clock_wall_ms(), 6), names[level], program_name);
    add_field(&line, "msg", message);
    for (int at = 0; ctx && at < ctx->log.count; at++)
        add_field(&line, ctx->log.field[at].key, ctx->log.field[at].value);
    str_add(&line, "}\n");
    /* One write() per line keeps lines of several threads and processes apart. */
    ssize_t written = write(STDERR_FILENO, str_text(&line), line.length);
    (void)written; /* nowhere to report it */
}

void log_failure(const struct ctx *ctx, const char *what)
{
    const struct err_row *row = err_row(ctx->err.code);
    if (!enabled((enum log_level)row->level))
        return;
    struct ctx copy = *ctx;
    log_field(&copy, "reason", ctx->err.reason);
    log_field(&copy, "error", row->name);
    const char *file = ctx->err.file ? strrchr(ctx->err.file, '/') : NULL;
    log_line((enum log_level)row->level, &copy, "%s: %s (%s:%d)", what, ctx->err.message,
             file ? file + 1 : "?", ctx->err.line);
}
