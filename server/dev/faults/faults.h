/*
 * The fault table: what goes wrong, and when. PUT of FAULTS_PATH takes rows, a list of
 *   {"client", "verb", "resource", "namespace", "name", "nth", "action", "reason", "seconds", "ms"}
 * GET tells them with `seen`, how often each fitted, and `hit`, whether it fired, and `met`, how
 * often each "CLIENT VERB RESOURCE NAMESPACE" came since the table was put; "CLIENT created
 * RESOURCE NAMESPACE": what was made (devcluster only: a real API server keeps a log). A row fires
 * at its nth fit (default 1), stale and reorder at the first one from there on whose answer is
 * another one by it, and then never again; absent keys fit everything, and what is no key or no
 * verb is refused. Of several that would fire at once the first one does, the others are spent.
 *
 * client: its User-Agent, up to the slash of its version.
 * namespace: a glob; "" is one of what has none, and of a look at all of them.
 * verb: get, list, watch, create, update, patch, delete, deletecollection; or event, one of a
 * watch, without those that tell what was there when the watch began.
 * action of a request: refuse (with `reason` of reasons.def, and Retry-After `seconds`), slow (`ms`
 * before it is looked at), cut (the answer ends in the middle), stale (a read of what was before
 * the last change, so that what was deleted is there; a list has the last few of those, and tells
 * the version that it had then; of a watch what it begins with, and only devcluster can that),
 * reorder (a list backwards). Of an event: drop (it is not sent; with `ms` the stream ends with 410
 * so much later, and who lists anew sees what he missed), expire (410 in its place, and the stream
 * ends), cut (the stream ends in the middle of it).
 */
#pragma once

#include "server/base/json.h"

#define FAULTS_PATH "/flotilla/faults"

enum fault_action {
    FAULT_NONE,
    FAULT_REFUSE,
    FAULT_SLOW,
    FAULT_CUT,
    FAULT_STALE,
    FAULT_REORDER,
    FAULT_DROP,
    FAULT_EXPIRE,
};

struct fault {
    enum fault_action action;
    const char *reason; /* of a refusal; the caller's arena owns it */
    int http;           /* its status */
    int retry_after_s;  /* 0 = not said */
    size_t row;         /* for faults_hit */
    int ms; /* how slow, or how long after a dropped event the stream ends; 0 = not said */
};

/* Guarded by its owner. */
struct faults;
struct faults *faults_new(void);
void faults_free(struct faults *faults);

/* GET tells the table, PUT replaces it and tells what was met until then; *answer is the arena's.
 * -ERR_INVALID leaves it as it was.
 */
int faults_serve(struct ctx *ctx, struct faults *faults, const char *method, const char *body,
                 size_t bytes, json_t **answer);

/* A flag of a query as Kubernetes reads it: absent, "0" and "false", in any case, are no, and
 * whatever else is yes (apimachinery, Convert_Slice_string_To_bool). */
bool faults_flag(const char *value);
/* The verb of a request for a resource. */
const char *faults_verb(const char *method, bool named, bool watched);
/* What the table has for a request, or for an event ("event"). */
struct occasion {
    const char *client; /* the whole User-Agent, or NULL */
    const char *verb, *resource;
    const char *namespace, *name; /* or NULL */
};
struct fault faults_meet(struct arena *arena, struct faults *faults,
                         const struct occasion *occasion);
/* It has made an object. */
void faults_created(struct arena *arena, struct faults *faults, const struct occasion *occasion);
/* FAULT_STALE and FAULT_REORDER: the answer is another one by it. False: it has fired meanwhile, so
 * that the true one is to be told. */
bool faults_hit(struct faults *faults, const struct fault *fault);
