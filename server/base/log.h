/*
 * Log: one JSON object per line on standard error. Libraries return errors and stay silent; the
 * two loops (requests, reconcile passes) write exactly one line per failure.
 */
#pragma once

#include <stdbool.h>

struct ctx;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum { LOG_FIELDS_MAX = 8 };

/* Inherited fields; keys are literals, values live as long as the ctx. */
struct log_fields {
    int count;
    struct {
        const char *key;
        const char *value;
    } field[LOG_FIELDS_MAX];
};

/* From the environment variable FLOTILLA_LOG (debug, info, warn, error); default info. */
void log_init(const char *program);
const char *log_level_name(enum log_level level);

/* Adds a field to all later lines of this ctx; silently ignored beyond LOG_FIELDS_MAX. */
void log_field(struct ctx *ctx, const char *key, const char *value);

/* One line. ctx may be NULL. */
void log_line(enum log_level level, const struct ctx *ctx, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

/* The one line about a failure: level, reason and message from ctx->err. */
void log_failure(const struct ctx *ctx, const char *what);
