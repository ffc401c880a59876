/* How we speak with a Harbor; shared by the harbor*.c files of this folder and by nobody else. */
#pragma once

#include "reconcilers/backends/harbor.h"
#include "server/base/failpoint.h"

#include <jansson.h>
#include <stddef.h>

struct http_pool;

enum {
    HARBOR_PAGE = 100,
    HARBOR_PAGES_MAX = 100,
    HARBOR_SESSION_BYTES = 8 << 20, /* what all answers of one session may hold together */
};

struct harbor {
    const struct harbor_server *server;
    struct http_pool *http;
    struct harbor_login robot;               /* as it is found to be called */
    enum harbor_word told[HARBOR_ADMIN + 1]; /* by who asks */
    int status;                              /* of the last answer; 0 = there was none */
    int changes;
    size_t bytes; /* of all answers so far */
};

struct harbor_request {
    enum call call;
    enum harbor_as as;
    const struct harbor_login *login; /* instead of the server's; NULL = that of `as` */
    const char *method, *path;        /* path with query, encoded */
    const char *body;                 /* JSON; NULL = none */
    bool secret; /* the body holds one: what Harbor says about it is not repeated */
};

struct harbor_answer {
    const char *body;
    size_t bytes;
    const char *location; /* NULL = not sent */
    int64_t total;        /* X-Total-Count; -1 = not sent */
};

/* One request as a named call: failpoints, metric; -ERR_TOO_LARGE past HARBOR_SESSION_BYTES;
 * -ERR_DENIED (HarborUnauthorized), and nothing is sent, where no credential is known or the
 * administrator was refused before.
 * Methods other than GET are changes: they are counted, ask the gate of the lease right before
 * sending, and carry no cookie. */
int harbor_send(struct ctx *ctx, struct harbor *harbor, const struct harbor_request *request,
                struct harbor_answer *ret);
/* A GET whose answer is JSON; an empty body is JSON's null. */
int harbor_get(struct ctx *ctx, struct harbor *harbor, enum call call, enum harbor_as as,
               const char *path, json_t **ret);
/* All elements of a list that comes in pages, each for `take`; one may come twice if the list
 * changes meanwhile. An element lives until `take` returns: what is to stay is copied. Bounded:
 * -ERR_TOO_LARGE past HARBOR_PAGES_MAX pages, or for a page of more than HARBOR_PAGE elements. */
int harbor_each(struct ctx *ctx, struct harbor *harbor, enum call call, enum harbor_as as,
                const char *path, int (*take)(struct ctx *ctx, const json_t *element, void *arg),
                void *arg);
