/*
 * Replies of a Redis: the input is what a server sends, whatever it was asked. The first byte says
 * in how large pieces it comes. transport.h is implemented here: there is no network.
 */
#include "reconcilers/backends/redis_rules.h"
#include "server/base/str.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

struct transport {
    const char *at, *end;
    size_t piece;
};

static struct transport stream;

int transport_open(struct ctx *ctx, const struct transport_target *target, int64_t deadline_ms,
                   struct transport **ret)
{
    (void)ctx;
    (void)target;
    (void)deadline_ms;
    *ret = &stream;
    return 0;
}

void transport_close(struct transport *transport)
{
    (void)transport;
}

int transport_send(struct ctx *ctx, struct transport *transport, const void *bytes, size_t count,
                   int64_t deadline_ms)
{
    (void)ctx;
    (void)transport;
    (void)deadline_ms;
    MUST(count && bytes);
    return 0;
}

int transport_receive(struct ctx *ctx, struct transport *transport, void *out, size_t size,
                      int64_t deadline_ms, size_t *ret_count)
{
    size_t left = (size_t)(transport->end - transport->at), count = transport->piece;
    (void)deadline_ms;
    if (!left)
        return err_set(ctx, ERR_UNAVAILABLE, NULL, "the stream has ended");
    count = count < left ? count : left;
    count = count < size ? count : size;
    memcpy(out, transport->at, count);
    transport->at += count;
    *ret_count = count;
    return 0;
}

static void walk(struct ctx *ctx, const struct redis_reply *reply, int *values)
{
    MUST(++*values <= REDIS_REPLY_MAX_VALUES);
    MUST(reply->text && reply->text[reply->bytes] == '\0');
    const char *word = redis_rules_word(ctx, reply->text, "select|", false);
    MUST(!word || strstr(reply->text, word));
    for (int at = 0; at < reply->count; at++)
        walk(ctx, reply->element[at], values);
}

static void judge(struct ctx *ctx, const struct redis_reply *reply)
{
    const struct redis_reply *flags = redis_rules_field(reply, "flags");
    int values = 0;
    walk(ctx, reply, &values);
    if (flags)
        (void)redis_rules_has(flags, "on");
    (void)redis_rules_is_unsaved(reply);
    (void)redis_rules_same(reply,
                           reply); /* false where a field stands twice: then it is set anew */
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    const struct redis_command commands[] = {{2, (const char *const[]){"GET", "a"}},
                                             {2, (const char *const[]){"GET", "b"}}};
    const struct transport_target nowhere = {.host = "pool", .ssl_mode = "disable"};
    const struct redis_reply *reply = NULL;
    struct redis_link *link = NULL;
    if (!bytes)
        return;
    stream = (struct transport){text + 1, text + bytes, (unsigned char)*text % 16 + 1};
    if (redis_link_open(ctx, &nowhere, "admin", "secret-password", &link) < 0) {
        MUST(ctx->err.message[0]);
        return;
    }
    if (redis_link_call(ctx, link, &REDIS_COMMAND("ACL", "GETUSER", "t_a"), &reply) == 0)
        judge(ctx, reply);
    if (redis_link_transaction(ctx, link, 2, commands, &reply) == 0)
        MUST(reply->type == REDIS_ARRAY && reply->count == 2);
    redis_link_close(link);
}
