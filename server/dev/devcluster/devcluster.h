/*
 * devcluster: an embedded Kubernetes API, in memory, for development and tests. One struct is one
 * cluster on a port of its own; a process may hold many. What it serves behaves as the real API
 * server does; whatever it does not serve is answered 501 by name. TLS only, for kubectl tells no
 * token without it. Whoever has the token may do everything; without it every path answers 401.
 */
#pragma once

struct ctx;
struct devcluster;

struct devcluster_options {
    const char *address; /* "127.0.0.1" */
    int port;            /* 0 = any free one */
    int pod_delay_ms;    /* from a pod's creation to Ready (of a Job: to Succeeded) */
    int history;         /* changes kept per kind; who asks for older ones gets 410. 0 = default */
    /* Texts of the caller that outlive the cluster: */
    const char *token;             /* the bearer token that is asked for; a secret */
    const char *certificate, *key; /* PEM, of the listener */
};

/* -ERR_UNAVAILABLE when the port cannot be had. Stop it with devcluster_stop(). */
int devcluster_start(struct ctx *ctx, const struct devcluster_options *options,
                     struct devcluster **ret);
int devcluster_port(const struct devcluster *cluster);
/* Ends all watches, forgets everything. NULL is fine. */
void devcluster_stop(struct devcluster *cluster);
