/* What the files of the client share: the cluster, and one way to send. Internal to this room. */
#pragma once

#include "reconcilers/kube/kube.h"
#include "reconcilers/kube/token.h"
#include "server/adapters/curl.h"

struct arena;

/*
 * The server leaves managedFields out where it can (KEP-5958, alpha in 1.36: others ignore the
 * parameter); client_parse() cuts them off anyway.
 */
#define CLIENT_ACCEPT "application/json; drop=metadata.managedFields"

struct kube {
    struct arena *arena; /* owns the strings of target and the token's path */
    struct http_target target;
    struct http_pool *pool;
    struct token token;
};

struct client_request {
    const char *method;
    const char *path; /* with query */
    const char *content_type;
    const json_t *body; /* NULL = none */
    const char *what;   /* "apply Pod x/y", for messages */
    enum call call;
    size_t *budget;    /* bytes that answers may still have together; NULL = no bound of its own */
    bool is_write;     /* ask the gate; count a conflict as a stale write */
    bool absent_is_ok; /* 404 is success with NULL */
};

/* One exchange between the failpoints of request->call. *ret is the parsed answer, stripped; owned
 * by ctx->arena. `ret` may be NULL. */
int client_send(struct ctx *ctx, struct kube *kube, const struct client_request *request,
                json_t **ret);

/* "verb Kind namespace/name" */
char *client_what(struct ctx *ctx, const char *verb, enum kube_kind kind, const char *namespace,
                  const char *name);
/* As json_text(), for bodies of writes: see text.c. */
char *client_text(struct ctx *ctx, const json_t *value);
/* As json_parse_foreign(), of what the server sent: without managedFields, see managed.c. */
int client_parse(struct ctx *ctx, const char *text, size_t bytes, size_t max_bytes, json_t **ret);
/* Removes metadata.managedFields of one object, which may have come with blanks in it. */
void client_strip(json_t *object);
/* Fills in apiVersion and kind, which items of a built-in list lack. */
void client_name_kind(json_t *object, enum kube_kind kind);
