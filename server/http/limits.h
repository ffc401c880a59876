/*
 * limits: token buckets by name (a tenant, an address), in memory, per process. `burst` tokens at
 * most, `rate` per second come back. A fixed table of sets of four: a fifth name takes over the
 * fullest bucket as it is, so that names which alternate share a bucket and never find it new.
 */
#pragma once

#include "server/net/http_server.h"

struct ctx;
struct limits;

/* rate 0: no limit. `what` is counted, for the message: "requests"; a literal. */
struct limits *limits_new(const char *what, int rate, int burst);
void limits_free(struct limits *limits);
/*
 * -ERR_RATE_LIMITED with err.retry_after_ms when the bucket is empty. Adds the RateLimit headers
 * (draft-ietf-httpapi-ratelimit-headers) to `response`, unless NULL. Takes nothing.
 */
int limits_check(struct ctx *ctx, struct limits *limits, const char *name,
                 struct response *response);
void limits_take(struct limits *limits, const char *name);
