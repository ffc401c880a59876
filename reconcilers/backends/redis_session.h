/* Connections to a pool, shared by the redis*.c files of this folder and by nobody else. */
#pragma once

#include "reconcilers/backends/redis.h"
#include "server/adapters/redis_link.h"
#include "server/base/failpoint.h"

struct redis {
    const struct redis_pool *pool;
    const char *identity, *name, *mark;
    int index;
    bool own_index; /* by the caller's records */
    const char *index_text;
    struct redis_link *admin;
    int changes;
};

/* Gate and login as administrator; ended by redis_session_leave(). */
int redis_session_enter(struct ctx *ctx, const struct redis_pool *pool, struct redis_link **ret);
void redis_session_leave(const struct redis_pool *pool, struct redis_link *link);
/* redis_link_open as a named call. */
int redis_session_open(struct ctx *ctx, enum call call, const struct redis_pool *pool,
                       const char *user, const char *password, struct redis_link **ret);

/* One command as a named call: failpoints, metric. */
int redis_session_read(struct ctx *ctx, enum call call, struct redis_link *link,
                       const struct redis_command *command, const struct redis_reply **ret);
/* A change: asks the gate of the lease right before sending. */
int redis_session_change(struct ctx *ctx, enum call call, struct redis_link *link,
                         const struct redis_command *command, const struct redis_reply **ret);
/* A transaction that changes nothing when it is over; each command must succeed. */
int redis_session_snapshot(struct ctx *ctx, enum call call, struct redis_link *link, int count,
                           const struct redis_command commands[], const struct redis_reply **ret);
/*
 * A change of an ACL user, and ACL SAVE, in one transaction: had the process died between the two,
 * the next pass would find everything as wanted and never save it, and a restart of the server
 * would bring back what was closed or removed. When the server cannot save (a full disk), `undo` is
 * sent, which makes the difference visible to the next pass, and the call fails: -ERR_REFUSED
 * (AclNotSaved). A server without an ACL file never saves, which is no failure here: the pool's
 * health tells it.
 */
int redis_session_acl(struct ctx *ctx, enum call call, struct redis_link *link,
                      const struct redis_command *command, const struct redis_command *undo);

/* In redis_observe.c: -ERR_TAKEN when another user may select our index. */
int redis_observe_neighbours(struct ctx *ctx, struct redis *rd);
