/*
 * One connection to a Redis (or Valkey) server, RESP2. hiredis formats commands and reads replies;
 * the bytes travel by transport.h, because hiredis 0.14 knows neither TLS nor deadlines. The gate
 * is asked before each send. A connection whose call timed out, or lost its place in the protocol,
 * is broken and answers nothing more: what became of the command is unknown.
 */
#pragma once

#include "server/adapters/transport.h"

#include <stddef.h>

struct ctx;
struct redis_link;

enum {
    REDIS_OPEN_TIMEOUT_MS = 5000,
    REDIS_DEFAULT_TIMEOUT_MS = 10000,
    REDIS_REPLY_MAX_BYTES = 32 << 20, /* ACL LIST of 20 000 users is 20 MiB */
    REDIS_REPLY_MAX_VALUES = 200000,
};

enum redis_type { REDIS_NIL, REDIS_INTEGER, REDIS_TEXT, REDIS_ERROR, REDIS_ARRAY };

/* A reply, a tree in ctx->arena of the call. */
struct redis_reply {
    enum redis_type type;
    long long integer;
    const char *text; /* of TEXT and ERROR, NUL-terminated; else "" */
    size_t bytes;
    int count; /* of ARRAY; else 0 */
    const struct redis_reply **element;
};

struct redis_command {
    int argc;
    const char *const *argv;
};
/* REDIS_COMMAND("ACL", "GETUSER", name); lives as long as the block it stands in. */
#define REDIS_COMMAND(...)                                                                         \
    ((struct redis_command){                                                                       \
        .argc = (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)),          \
        .argv = (const char *const[]){__VA_ARGS__}})

/*
 * Connects and logs in. -ERR_UNAVAILABLE when the server cannot be reached or does not answer in
 * time, -ERR_DENIED (RedisLoginDenied) when it refuses us. Of what a server says to a log-in only
 * the first word is told: it may quote the password.
 */
int redis_link_open(struct ctx *ctx, const struct transport_target *target, const char *user,
                    const char *password, struct redis_link **ret);
void redis_link_close(struct redis_link *link);

/*
 * One command. An error reply fails the call; its first word decides: WRONGPASS, NOAUTH, NOPERM ->
 * DENIED (RedisLoginDenied, RedisNoPermission); LOADING, BUSY, READONLY, too many clients ->
 * UNAVAILABLE; others -> REFUSED. -ERR_TOO_LARGE: the reply; the connection is broken then.
 */
int redis_link_call(struct ctx *ctx, struct redis_link *link, const struct redis_command *command,
                    const struct redis_reply **ret);
/*
 * MULTI, the commands, EXEC: nobody else's command runs between them. Two round trips.
 * The call fails when nothing was carried out; a command that failed on its own is an element of
 * type REDIS_ERROR in *ret, an ARRAY with as many elements as commands: see redis_reply_check().
 */
int redis_link_transaction(struct ctx *ctx, struct redis_link *link, int count,
                           const struct redis_command commands[], const struct redis_reply **ret);

/* 0, or the error that an error reply stands for. */
int redis_reply_check(struct ctx *ctx, const struct redis_reply *reply);
