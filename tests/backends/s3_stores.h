/* The two stores of the tests, as fixtures of a group. Included by one file of a program only. */
#pragma once

#include "tests/backends/s3_test.h"

struct store store;
static struct servers stack;
static pid_t radosgw;

static inline int start_versitygw(void **state)
{
    (void)state;
    static const char *const without[] = {"kube",    "kwok",       "pg-fleet",
                                          "pg-pool", "redis-pool", NULL};
    struct ctx ctx = ctx_make(arena_new(), "test");
    if (servers_up(&stack, without) < 0)
        return -1;
    store = (struct store){.driver = "versitygw", .gates = backend_gates_new(4)};
    store.port = (int)strtol(servers_value(&ctx, &stack, "POOL_S3_PORT"), NULL, 10);
    snprintf(store.host, sizeof store.host, "%s", servers_value(&ctx, &stack, "POOL_S3_HOST"));
    snprintf(store.region, sizeof store.region, "%s",
             servers_value(&ctx, &stack, "POOL_S3_REGION"));
    snprintf(store.access, sizeof store.access, "%s",
             servers_file(&ctx, servers_value(&ctx, &stack, "POOL_S3_ADMIN_ACCESS_FILE")));
    snprintf(store.secret, sizeof store.secret, "%s",
             servers_file(&ctx, servers_value(&ctx, &stack, "POOL_S3_ADMIN_SECRET_FILE")));
    arena_free(ctx.arena);
    return 0;
}

static inline int stop_versitygw(void **state)
{
    (void)state;
    backend_gates_free(store.gates);
    return servers_down(&stack);
}

static inline int start_radosgw(void **state)
{
    (void)state;
    static const char *const argv[] = {"/usr/bin/python3", "tests/backends/radosgw.py", NULL};
    char line[64];
    store = (struct store){.driver = "radosgw",
                           .host = "127.0.0.1",
                           .region = "default",
                           .access = "administrator",
                           .secret = "administrators-secret",
                           .gates = backend_gates_new(4)};
    radosgw = servers_spawn(argv, line, sizeof line);
    store.port = (int)strtol(line, NULL, 10);
    return radosgw > 0 && store.port > 0 ? 0 : -1;
}

static inline int stop_radosgw(void **state)
{
    (void)state;
    backend_gates_free(store.gates);
    kill(radosgw, SIGTERM);
    return waitpid(radosgw, NULL, 0) == radosgw ? 0 : -1;
}
