/* What Harbor's answers say. Pure, and made for texts that a stranger wrote: customers administer
 * their Harbor, and may have put something else in its place. */
#pragma once

#include "reconcilers/backends/harbor.h"

#include <jansson.h>
#include <stddef.h>

struct ctx;

enum {
    HARBOR_ANSWER_MAX_BYTES = 1 << 20,
    HARBOR_VALUES_MAX = 4096,   /* of one answer's JSON: each costs up to 300 bytes of memory */
    HARBOR_PAGE_VALUES = 65536, /* of one page of a list */
    HARBOR_COMPONENTS_MAX = 32,
    HARBOR_WHAT_BYTES = 200 /* of a message of Harbor's that we repeat */
};

/* JSON of at most `values_max` values; what is empty is null. -ERR_PROTOCOL, -ERR_TOO_LARGE. */
int harbor_parse_bounded(struct ctx *ctx, const char *body, size_t bytes, size_t values_max,
                         json_t **ret);
/* The same, of at most HARBOR_VALUES_MAX. */
int harbor_parse(struct ctx *ctx, const char *body, size_t bytes, json_t **ret);

/* The answer to /health into healthy, components, unhealthy. -ERR_PROTOCOL: no such answer. */
int harbor_parse_health(struct ctx *ctx, const char *body, size_t bytes,
                        struct harbor_serving *ret);
/* Does the answer to /service/token hold a token, three parts of base64url? */
bool harbor_parse_token(struct ctx *ctx, const char *body, size_t bytes);
/* harbor_version of /systeminfo; NULL = not told, or no version. */
const char *harbor_parse_version(const json_t *info);

/* The first message of {"errors": [{code, message}]}, one line of at most HARBOR_WHAT_BYTES; "" =
 * none. Records no error. */
const char *harbor_parse_complaint(struct ctx *ctx, const char *body, size_t bytes);
/* The session in Set-Cookie lines, parted by '\n'; false = none, or of another form. */
bool harbor_parse_session(const char *cookies, struct harbor_cookie *ret);

/* A schedule of garbage collection; null, or one of no cron, is none. */
void harbor_parse_gc_schedule(struct ctx *ctx, const json_t *answer,
                              struct harbor_gc_schedule *ret);
/* A run, as history lists it. -ERR_PROTOCOL: one without number or status. */
int harbor_parse_gc_run(struct ctx *ctx, const json_t *answer, struct harbor_gc_run *ret);
/* Six fields of what cron knows, the first 0. */
bool harbor_is_cron(const char *cron);
