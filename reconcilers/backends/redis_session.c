/*
 * How we speak with a pool's Redis: every call is named in calls.def, counted, and framed by its
 * failpoints. A change asks the lease's gate after its failpoint, so that a worker which hung
 * before sending sends nothing once its lease is lost.
 */
#include "reconcilers/backends/redis_session.h"

#include "reconcilers/backends/gate.h"
#include "server/base/ctx.h"
#include "server/net/metrics.h"

#include <string.h>

static void count_call(enum call call, struct ctx *ctx, int rc)
{
    metric_add(METRIC_EXTERNAL_CALLS, 1, call_row(call)->name, rc == 0 ? "ok" : ctx->err.reason);
}

int redis_session_open(struct ctx *ctx, enum call call, const struct redis_pool *pool,
                       const char *user, const char *password, struct redis_link **ret)
{
    const struct transport_target target = {
        .host = pool->host,
        .port = pool->port,
        .ssl_mode = pool->ssl_mode,
        .ca_pem = pool->ca_pem,
    };
    TRY(FAILPOINT_BEFORE(ctx, call));
    int rc = redis_link_open(ctx, &target, user, password, ret);
    count_call(call, ctx, rc);
    if (rc == 0 && (rc = FAILPOINT_AFTER(ctx, call)) < 0)
        redis_link_close(*ret);
    return rc;
}

int redis_session_enter(struct ctx *ctx, const struct redis_pool *pool, struct redis_link **ret)
{
    TRY(backend_gate_enter(ctx, pool->gates, pool->name));
    int rc = redis_session_open(ctx, CALL_REDIS_CONNECT, pool, pool->user, pool->password, ret);
    if (rc < 0)
        backend_gate_leave(pool->gates, pool->name, rc == -ERR_DENIED);
    return rc;
}

void redis_session_leave(const struct redis_pool *pool, struct redis_link *link)
{
    redis_link_close(link);
    backend_gate_leave(pool->gates, pool->name, true);
}

int redis_session_read(struct ctx *ctx, enum call call, struct redis_link *link,
                       const struct redis_command *command, const struct redis_reply **ret)
{
    TRY(FAILPOINT_BEFORE(ctx, call));
    int rc = redis_link_call(ctx, link, command, ret);
    count_call(call, ctx, rc);
    TRY(rc);
    return FAILPOINT_AFTER(ctx, call);
}

int redis_session_change(struct ctx *ctx, enum call call, struct redis_link *link,
                         const struct redis_command *command, const struct redis_reply **ret)
{
    TRY(FAILPOINT_BEFORE(ctx, call));
    TRY(ctx_may_write(ctx));
    int rc = redis_link_call(ctx, link, command, ret);
    count_call(call, ctx, rc);
    TRY(rc);
    return FAILPOINT_AFTER(ctx, call);
}

static int all_succeeded(struct ctx *ctx, const struct redis_reply *replies)
{
    for (int at = 0; at < replies->count; at++)
        TRY(redis_reply_check(ctx, replies->element[at]));
    return 0;
}

int redis_session_snapshot(struct ctx *ctx, enum call call, struct redis_link *link, int count,
                           const struct redis_command commands[], const struct redis_reply **ret)
{
    TRY(FAILPOINT_BEFORE(ctx, call));
    int rc = redis_link_transaction(ctx, link, count, commands, ret);
    if (rc == 0)
        rc = all_succeeded(ctx, *ret);
    count_call(call, ctx, rc);
    TRY(rc);
    return FAILPOINT_AFTER(ctx, call);
}

static bool has_no_acl_file(const struct redis_reply *saved)
{
    return saved->type == REDIS_ERROR && strstr(saved->text, "not configured to use an ACL file");
}

static int change_and_save(struct ctx *ctx, struct redis_link *link,
                           const struct redis_command *command, const struct redis_command *undo)
{
    const struct redis_command both[] = {*command, REDIS_COMMAND("ACL", "SAVE")};
    const struct redis_reply *replies = NULL;
    TRY(redis_link_transaction(ctx, link, 2, both, &replies));
    const struct redis_reply *saved = replies->element[1];
    TRY(redis_reply_check(ctx, replies->element[0]));
    if (saved->type != REDIS_ERROR || has_no_acl_file(saved))
        return 0;
    /* When this fails, too, the failure of this pass is all that is left to tell. */
    (void)redis_link_call(ctx, link, undo, NULL);
    return err_set(ctx, ERR_REFUSED, "AclNotSaved", "ACL SAVE: %s", saved->text);
}

int redis_session_acl(struct ctx *ctx, enum call call, struct redis_link *link,
                      const struct redis_command *command, const struct redis_command *undo)
{
    TRY(FAILPOINT_BEFORE(ctx, call));
    TRY(ctx_may_write(ctx));
    int rc = change_and_save(ctx, link, command, undo);
    count_call(call, ctx, rc);
    TRY(rc);
    return FAILPOINT_AFTER(ctx, call);
}
