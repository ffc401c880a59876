/*
 * waiters: requests that wait for an operation to end (?wait=). They hold no worker and no database
 * session: a thread asks for all of them with one statement every 100 ms, and only while there are
 * any, and hands each back to the listener when its operation has ended or its time is over.
 */
#pragma once

#include "server/net/http_server.h"

struct ctx;
struct waiters;

/* Each waiter is a connection: one owner must not have them all, nor all owners together. */
enum { WAITERS_MAX = 500, WAITERS_PER_OWNER = 100, WAITERS_PERIOD_MS = 100 };

/* Sets ended[at] for each id that has ended. */
typedef int (*waiters_finder)(struct ctx *ctx, void *app, const char *const ids[], int count,
                              bool ended[]);

struct waiters *waiters_new(waiters_finder find, void *app);
/* False when there are too many, or too many of this owner: answer at once. The caller parks the
 * request when it is true. */
bool waiters_add(struct waiters *waiters, const struct request *request, const char *owner,
                 const char *id, int64_t until_ms);
/* Hands all of them back and takes no more. Before http_server_stop(). */
void waiters_stop(struct waiters *waiters);
void waiters_free(struct waiters *waiters);
