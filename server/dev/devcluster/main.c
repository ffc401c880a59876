/*
 * flotilla-dev: Kubernetes clusters in one process, for development and tests.
 *   flotilla-dev DIRECTORY [--clusters N] [--port P] [--pod-delay-ms MS] [--history N]
 * Each cluster listens on a port of its own on loopback (P, P+1, ...; 0 = free ones) and has its
 * kubeconfig in DIRECTORY: cluster-1.kubeconfig ..., which alone holds the token that it asks for.
 * Ends on SIGTERM or SIGINT.
 */
#include "server/adapters/certificate.h"
#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/log.h"
#include "server/base/signals.h"
#include "server/base/str.h"
#include "server/dev/devcluster/devcluster.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/ctx.h"

enum { CLUSTERS_MAX = 1000, TOKEN_LENGTH = 52 };

struct arguments {
    const char *directory;
    int64_t clusters, port, pod_delay_ms, history;
};

static bool parse(int argc, char **argv, struct arguments *ret)
{
    *ret = (struct arguments){.clusters = 1, .pod_delay_ms = 100};
    const struct {
        const char *name;
        int64_t max, *value;
    } options[] = {{"--clusters", CLUSTERS_MAX, &ret->clusters},
                   {"--port", 65535, &ret->port},
                   {"--pod-delay-ms", 3600000, &ret->pod_delay_ms},
                   {"--history", 1000000, &ret->history}};
    for (int at = 1; at < argc; at++) {
        size_t option = 0;
        while (option < ARRAY_SIZE(options) && !str_equal(options[option].name, argv[at]))
            option++;
        if (option == ARRAY_SIZE(options) && (ret->directory || *argv[at] == '-'))
            return false;
        if (option == ARRAY_SIZE(options))
            ret->directory = argv[at];
        else if (++at == argc ||
                 !str_to_int(argv[at], 0, options[option].max, options[option].value))
            return false;
    }
    return ret->directory;
}

/* Nobody else's, and new: what an interrupted start left may have any mode. */
static FILE *open_private(const char *path)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd < 0 ? NULL : fdopen(fd, "w");
}

/* In one piece: whoever finds the file may use it. */
static int write_kubeconfig(struct ctx *ctx, const char *directory, int number, int port,
                            const struct devcluster_options *options)
{
    const char *path = arena_printf(ctx->arena, "%s/cluster-%d.kubeconfig", directory, number);
    const char *made = arena_printf(ctx->arena, "%s.new", path);
    FILE *file = open_private(made);
    if (!file)
        return err_set(ctx, ERR_CONFIG, NULL, "%s cannot be written", made);
    fprintf(file,
            "apiVersion: v1\nkind: Config\ncurrent-context: dev\n"
            "clusters: [{name: dev, cluster: {server: \"https://127.0.0.1:%d\", "
            "certificate-authority-data: \"%s\"}}]\n"
            "users: [{name: dev, user: {token: \"%s\"}}]\n"
            "contexts: [{name: dev, context: {cluster: dev, user: dev}}]\n",
            port, crypto_base64(ctx->arena, options->certificate, strlen(options->certificate)),
            options->token);
    if (fclose(file) != 0 || rename(made, path) != 0)
        return err_set(ctx, ERR_CONFIG, NULL, "%s cannot be written", path);
    return 0;
}

static int start(struct ctx *ctx, const struct arguments *arguments, struct devcluster **clusters)
{
    for (int at = 0; at < arguments->clusters; at++) {
        struct devcluster_options options = {
            .address = "127.0.0.1",
            .port = arguments->port ? (int)arguments->port + at : 0,
            .pod_delay_ms = (int)arguments->pod_delay_ms,
            .history = (int)arguments->history,
            .token = crypto_random_base32(ctx->arena, TOKEN_LENGTH),
        };
        certificate_loopback(ctx->arena, "flotilla-dev", &options.certificate, &options.key);
        TRY(devcluster_start(ctx, &options, &clusters[at]));
        TRY(write_kubeconfig(ctx, arguments->directory, at + 1, devcluster_port(clusters[at]),
                             &options));
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct devcluster *clusters[CLUSTERS_MAX];
    struct arguments arguments;
    if (!parse(argc, argv, &arguments)) {
        fputs("usage: flotilla-dev DIRECTORY [--clusters N] [--port P] [--pod-delay-ms MS] "
              "[--history N]\n",
              stderr);
        return 2;
    }
    log_init("flotilla-dev");
    json_object_seed(0); /* before threads: jansson's seed is global */
    signal(SIGPIPE, SIG_IGN);
    signals_block();
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "devcluster");
    int rc = start(&ctx, &arguments, clusters);
    if (rc == 0) {
        log_info(&ctx, "%d clusters serve", (int)arguments.clusters);
        signals_wait();
    } else {
        log_failure(&ctx, "start");
    }
    for (int at = 0; at < CLUSTERS_MAX; at++)
        devcluster_stop(clusters[at]);
    arena_free(arena);
    return rc == 0 ? 0 : 1;
}
