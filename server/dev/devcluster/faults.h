/*
 * The fault table: what goes wrong, and when. PUT /devcluster/faults takes rows, a list of
 *   {"verb", "resource", "name", "nth", "action", "reason", "seconds", "ms"}
 * GET tells them with `seen`, how often each fitted. A row fires at its nth fit (default 1) and
 * then never again; absent keys fit everything.
 *
 * verb: get, list, watch, create, update, patch, delete; or event, one of a watch.
 * action of a request: refuse (with `reason`, and Retry-After `seconds`), slow (`ms` before it is
 * looked at), cut (the answer ends in the middle), stale (a read of what was before the last
 * change), reorder (a list backwards). Of an event: drop (it is not sent), expire (410 in its
 * place, and the stream ends).
 */
#pragma once

#include "server/dev/devcluster/cluster.h"

/* GET and PUT of the table. */
int faults_table(struct call *call);
/* What the table has for this request: refuses, waits, or marks the call. */
int faults_request(struct call *call);
/* The action for an event that is about to be sent, or NULL. */
const char *faults_event(struct devcluster *cluster, const struct kind *kind, const json_t *object);
/* The object as it was before its last change that is remembered; itself when none is. */
json_t *faults_stale(const struct kind *kind, json_t *object);
