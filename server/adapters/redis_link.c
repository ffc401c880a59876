/* See redis_link.h. Replies are built in the arena by hiredis' own hooks, which also bound them. */
#include "server/adapters/redis_link.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { RECEIVE_BYTES = 16384, ERROR_TEXT_MAX = 300 };

struct redis_link {
    struct transport *transport;
    redisReader *reader;
    bool broken;
    /* While a reply is read: */
    struct arena *arena;
    int values;
    size_t bytes;
    bool too_large;
};

/* The first row whose prefix fits counts. */
static const struct {
    const char *prefix;
    enum err_code code;
    const char *reason;
} refusals[] = {
    {"WRONGPASS", ERR_DENIED, "RedisLoginDenied"},
    {"NOAUTH", ERR_DENIED, "RedisLoginDenied"},
    {"DENIED", ERR_DENIED, "RedisLoginDenied"}, /* protected mode */
    {"NOPERM", ERR_DENIED, "RedisNoPermission"},
    {"LOADING", ERR_UNAVAILABLE, NULL},
    {"BUSY", ERR_UNAVAILABLE, NULL},       /* a script runs for long */
    {"MASTERDOWN", ERR_UNAVAILABLE, NULL}, /* a replica; the failover is not over */
    {"READONLY", ERR_UNAVAILABLE, NULL},
    {"ERR max number of clients", ERR_UNAVAILABLE, NULL},
    {"", ERR_REFUSED, NULL},
};

static const struct redis_reply nothing = {.type = REDIS_NIL, .text = ""};

/* ---- replies ---- */

static struct redis_reply *add(const redisReadTask *task, enum redis_type type)
{
    struct redis_link *link = task->privdata;
    if (link->values++ >= REDIS_REPLY_MAX_VALUES) {
        link->too_large = true;
        return NULL;
    }
    struct redis_reply *reply = arena_alloc(link->arena, sizeof *reply);
    reply->type = type;
    reply->text = "";
    if (task->parent) {
        const struct redis_reply *parent = task->parent->obj;
        parent->element[task->idx] = reply;
    }
    return reply;
}

static void *add_text(const redisReadTask *task, char *text, size_t bytes)
{
    struct redis_reply *reply =
        add(task, task->type == REDIS_REPLY_ERROR ? REDIS_ERROR : REDIS_TEXT);
    const struct redis_link *link = task->privdata;
    if (reply) {
        reply->text = arena_strndup(link->arena, text, bytes);
        reply->bytes = bytes;
    }
    return reply;
}

static void *add_array(const redisReadTask *task, int elements)
{
    struct redis_link *link = task->privdata;
    if (elements < 0 || elements > REDIS_REPLY_MAX_VALUES - link->values) {
        link->too_large = true; /* before memory is taken for what was only announced */
        return NULL;
    }
    struct redis_reply *reply = add(task, REDIS_ARRAY);
    if (reply) {
        reply->count = elements;
        reply->element = arena_alloc(link->arena, (size_t)elements * sizeof *reply->element);
    }
    return reply;
}

static void *add_integer(const redisReadTask *task, long long value)
{
    struct redis_reply *reply = add(task, REDIS_INTEGER);
    if (reply)
        reply->integer = value;
    return reply;
}

static void *add_nil(const redisReadTask *task)
{
    return add(task, REDIS_NIL);
}

static void leave_to_arena(void *reply)
{
    (void)reply;
}

static redisReplyObjectFunctions builders = {
    .createString = add_text,
    .createArray = add_array,
    .createInteger = add_integer,
    .createNil = add_nil,
    .freeObject = leave_to_arena,
};

static int unreadable(struct ctx *ctx, const struct redis_link *link)
{
    if (link->too_large)
        return err_set(ctx, ERR_TOO_LARGE, NULL,
                       "redis: a reply of more than %d bytes or %d values", REDIS_REPLY_MAX_BYTES,
                       REDIS_REPLY_MAX_VALUES);
    return err_set(ctx, ERR_PROTOCOL, NULL, "redis: %s", link->reader->errstr);
}

static int receive_more(struct ctx *ctx, struct redis_link *link, int64_t deadline_ms)
{
    char piece[RECEIVE_BYTES];
    size_t count = 0;
    TRY(transport_receive(ctx, link->transport, piece, sizeof piece, deadline_ms, &count));
    link->bytes += count;
    link->too_large = link->bytes > REDIS_REPLY_MAX_BYTES;
    if (link->too_large || redisReaderFeed(link->reader, piece, count) != REDIS_OK)
        return unreadable(ctx, link);
    return 0;
}

static int receive(struct ctx *ctx, struct redis_link *link, int64_t deadline_ms,
                   const struct redis_reply **ret)
{
    void *reply = NULL;
    link->arena = ctx->arena;
    link->reader->privdata = link;
    link->values = 0;
    link->bytes = 0;
    for (;;) {
        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK)
            return unreadable(ctx, link);
        if (reply)
            break;
        TRY(receive_more(ctx, link, deadline_ms));
    }
    *ret = reply;
    return 0;
}

static int refused(struct ctx *ctx, const struct redis_reply *reply, size_t told)
{
    size_t row = 0;
    while (!str_starts(reply->text, refusals[row].prefix))
        row++;
    return err_set(ctx, refusals[row].code, refusals[row].reason, "redis: %.*s", (int)told,
                   reply->text);
}

int redis_reply_check(struct ctx *ctx, const struct redis_reply *reply)
{
    return reply->type == REDIS_ERROR ? refused(ctx, reply, ERROR_TEXT_MAX) : 0;
}

/* ---- commands ---- */

static int send_commands(struct ctx *ctx, struct redis_link *link, int count,
                         const struct redis_command commands[], int64_t deadline_ms)
{
    struct str out;
    str_init(&out, REDIS_REPLY_MAX_BYTES);
    for (int at = 0; at < count; at++) {
        char *text = NULL;
        const char **argv = (const char **)(uintptr_t)commands[at].argv; /* it changes none */
        int bytes = redisFormatCommandArgv(&text, commands[at].argc, argv, NULL);
        if (bytes < 0)
            abort();
        str_add_bytes(&out, text, (size_t)bytes);
        explicit_bzero(text, (size_t)bytes); /* one of them is a password */
        redisFreeCommand(text);
    }
    int rc = transport_send(ctx, link->transport, out.data, out.length, deadline_ms);
    explicit_bzero(out.data, out.length);
    str_done(&out);
    return rc;
}

/* All replies, in order, into `replies`. Whatever fails here leaves the connection out of step. */
static int exchange(struct ctx *ctx, struct redis_link *link, int count,
                    const struct redis_command commands[], int64_t deadline_ms,
                    const struct redis_reply *replies[])
{
    if (link->broken)
        return err_set(ctx, ERR_UNAVAILABLE, NULL, "redis: the connection is broken");
    TRY(ctx_may_write(ctx));
    int rc = send_commands(ctx, link, count, commands, deadline_ms);
    for (int at = 0; rc == 0 && at < count; at++)
        rc = receive(ctx, link, deadline_ms, &replies[at]);
    link->broken = rc < 0;
    return rc;
}

static int64_t deadline_of(const struct ctx *ctx, int cap_ms)
{
    return clock_boottime_ms() + ctx_left_ms(ctx, cap_ms);
}

int redis_link_call(struct ctx *ctx, struct redis_link *link, const struct redis_command *command,
                    const struct redis_reply **ret)
{
    const struct redis_reply *reply = &nothing;
    TRY(exchange(ctx, link, 1, command, deadline_of(ctx, REDIS_DEFAULT_TIMEOUT_MS), &reply));
    TRY(redis_reply_check(ctx, reply));
    if (ret)
        *ret = reply;
    return 0;
}

/* MULTI is waited for: where it is refused, what follows would run command by command. */
int redis_link_transaction(struct ctx *ctx, struct redis_link *link, int count,
                           const struct redis_command commands[], const struct redis_reply **ret)
{
    const int all = count + 1;
    struct redis_command *queued = arena_alloc(ctx->arena, (size_t)all * sizeof *queued);
    const struct redis_reply **replies = arena_alloc(ctx->arena, (size_t)all * sizeof *replies);
    TRY(redis_link_call(ctx, link, &REDIS_COMMAND("MULTI"), NULL));
    memcpy(queued, commands, (size_t)count * sizeof *queued);
    queued[count] = REDIS_COMMAND("EXEC");
    TRY(exchange(ctx, link, all, queued, deadline_of(ctx, REDIS_DEFAULT_TIMEOUT_MS), replies));
    /* What was refused while it was queued says why; EXEC itself only that it was. */
    for (int at = 0; at < all; at++)
        TRY(redis_reply_check(ctx, replies[at]));
    if (replies[count]->type != REDIS_ARRAY || replies[count]->count != count)
        return err_set(ctx, ERR_PROTOCOL, NULL, "redis: EXEC did not answer each command");
    *ret = replies[count];
    return 0;
}

/* ---- connections ---- */

static int log_in(struct ctx *ctx, struct redis_link *link, const char *user, const char *password,
                  int64_t deadline_ms)
{
    const struct redis_reply *reply = &nothing;
    int rc = exchange(ctx, link, 1, &REDIS_COMMAND("AUTH", user, password), deadline_ms, &reply);
    if (rc == -ERR_TIMEOUT)
        return err_set(ctx, ERR_UNAVAILABLE, NULL, "redis: no answer to the log-in in time");
    TRY(rc);
    return reply->type == REDIS_ERROR ? refused(ctx, reply, strcspn(reply->text, " ")) : 0;
}

int redis_link_open(struct ctx *ctx, const struct transport_target *target, const char *user,
                    const char *password, struct redis_link **ret)
{
    int64_t deadline_ms = deadline_of(ctx, REDIS_OPEN_TIMEOUT_MS);
    struct transport *transport = NULL;
    TRY(ctx_may_write(ctx));
    TRY(transport_open(ctx, target, deadline_ms, &transport));
    struct redis_link *link = calloc(1, sizeof *link);
    if (!link)
        abort();
    link->transport = transport;
    link->reader = redisReaderCreateWithFunctions(&builders);
    if (!link->reader)
        abort();
    int rc = log_in(ctx, link, user, password, deadline_ms);
    if (rc < 0) {
        redis_link_close(link);
        return rc;
    }
    *ret = link;
    return 0;
}

void redis_link_close(struct redis_link *link)
{
    if (!link)
        return;
    redisReaderFree(link->reader);
    transport_close(link->transport);
    free(link);
}
