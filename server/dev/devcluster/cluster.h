/* What the files of one cluster share. Everything here is guarded by cluster->lock, but for what a
 * call owns itself. */
#pragma once

#include "server/base/ctx.h"
#include "server/dev/devcluster/devcluster.h"
#include "server/dev/faults/faults.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <uthash.h>

/* ---- kinds and their objects ---- */

enum kind_flag {
    NAMESPACED = 1,
    STATUS = 2,     /* has the subresource */
    SCALE = 4,      /* has the subresource */
    GENERATION = 8, /* metadata.generation counts changes of the spec */
    CUSTOM = 16,    /* by a CustomResourceDefinition */
    RETURNED = 32,  /* DELETE answers with the object, not with a Status */
};

/* A stored object is never changed: a write puts a new tree in its place. */
struct object {
    char *key; /* "namespace/name" */
    json_t *value;
    json_t *told; /* {text, metadata: {namespace, name, labels}}: see store.h */
    UT_hash_handle hh;
};

struct change {
    uint64_t version;
    const char *type;       /* ADDED, MODIFIED, DELETED */
    json_t *before, *after; /* told; before: NULL for ADDED; after a deletion: the last state */
    size_t bytes;           /* of the text after */
    struct change *prev, *next;
};

struct kind {
    const char *group, *version, *plural, *singular, *name, *api_version;
    const char *short_names, *categories; /* words with a blank between them */
    unsigned flags;
    json_t *definition; /* the served version of a CRD: schema, columns, subresources; or NULL */
    struct kind *home;  /* whose objects these are: itself, but for core Events */
    bool served;
    struct object *objects;
    struct change *changes; /* oldest first */
    size_t changed, bytes;  /* how many, and of what length */
    uint64_t forgotten;     /* the newest version that `changes` does not have any more */
    pthread_cond_t news;    /* for its watches; a cluster has some twenty, and most are quiet */
    struct kind *next;
};

/* ---- one cluster ---- */

struct snapshot;
struct task;

struct devcluster {
    struct devcluster_options options;
    void *daemon;
    int port;
    pthread_mutex_t lock;
    pthread_cond_t news; /* for the controllers: something changed, or stopping */
    bool stopping;
    struct arena *arena; /* of what lives as long as the cluster */
    struct kind *kinds;
    uint64_t version;
    struct snapshot *snapshots; /* lists that somebody reads by pages */
    struct task *tasks;         /* what the controllers look at, and when */
    json_t *owners;             /* who has children: owned.h */
    struct faults *faults;      /* what goes wrong: faulty.h */
    pthread_t controllers;
};

/* ---- one request ---- */

enum { WARNINGS_MAX = 8 };

struct watch;

struct call {
    struct ctx ctx;
    struct devcluster *cluster;
    void *connection;
    const char *method, *path, *body;
    size_t body_bytes;
    struct kind *kind; /* NULL: none of a resource */
    const char *namespace, *name, *subresource;
    json_t *causes;      /* details.causes of a refusal; or NULL */
    json_t *details;     /* of a refusal that is not about the object; or NULL */
    int retry_after_s;   /* of a refusal; 0 = not said */
    int status;          /* of the answer */
    json_t *answer;      /* in the arena; or */
    const char *text;    /* that, as it is */
    const char *type;    /* Content-Type */
    struct watch *watch; /* the answer is a stream */
    struct fault fault;  /* what the table has for it */
    const char *warning[WARNINGS_MAX];
    int warnings;
};

/* Borrowed, or NULL. */
const char *call_query(const struct call *call, const char *name);
const char *call_header(const struct call *call, const char *name);
bool call_query_is(const struct call *call, const char *name, const char *value);
bool call_flag(const struct call *call, const char *name);
void call_warn(struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The body as an object; -ERR_INVALID when it is none. */
int call_body(struct call *call, json_t **ret);
