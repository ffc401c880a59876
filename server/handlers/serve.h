/* serve: the process that answers HTTP. It speaks to PostgreSQL and to nothing else. */
#pragma once

#include <stdbool.h>

struct ctx;
struct serve;

/* Defaults and bounds stand in server/config.def. */
struct serve_options {
    const char *conninfo; /* of the role flotilla_serve */
    const char *kek_file; /* see server/adapters/kek.h */
    const char *address;  /* to listen on */
    int port;             /* 0 = any free one */
    int workers;          /* as many database sessions, and two more */
    int connections_per_address;
    int requests_per_second; /* 0 = no limit */
    int writes_per_second;   /* the same */
};

/* -ERR_CONFIG when the key file is no good, or the database was not migrated as far as this binary
 * needs (SchemaTooOld). */
int serve_start(struct ctx *ctx, const struct serve_options *options, struct serve **ret);
int serve_port(const struct serve *serve);
/* Ends waiting requests early, lets running ones end, frees everything. NULL is fine. */
void serve_stop(struct serve *serve);

/* A new API key of the provider; `conninfo` is the owner's. The text is in ctx->arena, and nowhere
 * else: show it once. */
int bootstrap_key_create(struct ctx *ctx, const char *conninfo, const char **ret_text);
