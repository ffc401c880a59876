/* How to reach a cluster, from a kubeconfig file or from inside a pod. Internal to this room. */
#pragma once

#include <stdbool.h>

struct ctx;

#define KUBECONFIG_SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* Owned by ctx->arena; PEM texts, not paths. */
struct kubeconfig {
    const char *server; /* without a slash at the end */
    const char *ca_pem, *client_cert_pem, *client_key_pem;
    const char *token, *token_file;
    bool insecure;
};

/* The current context of the file. What we do not support is refused by name, never ignored. */
int kubeconfig_read(struct ctx *ctx, const char *path, struct kubeconfig *ret);
/* `folder` is KUBECONFIG_SERVICE_ACCOUNT but in tests. */
int kubeconfig_in_cluster(struct ctx *ctx, const char *folder, struct kubeconfig *ret);
