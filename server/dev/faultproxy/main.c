/*
 * flotilla-faultproxy: stands before a real kube-apiserver and applies the fault table.
 *   flotilla-faultproxy DIRECTORY --upstream URL --ca FILE [--cert FILE --key FILE | --token FILE]
 *                       [--port P]
 * Listens on loopback with a certificate made at start; DIRECTORY gets ca.crt and
 * faultproxy.kubeconfig. Requests go on with the given credential, else with the bearer token that
 * the client sent. Ends on SIGTERM or SIGINT.
 */
#include "server/adapters/certificate.h"
#include "server/base/cleanup.h"
#include "server/base/log.h"
#include "server/base/signals.h"
#include "server/dev/faultproxy/proxy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 1 << 20 };

struct arguments {
    const char *directory, *upstream, *ca, *cert, *key, *token, *port;
};

static bool parse(int argc, char **argv, struct arguments *ret)
{
    *ret = (struct arguments){.port = "0"};
    const struct {
        const char *name, **value;
    } options[] = {{"--upstream", &ret->upstream}, {"--ca", &ret->ca},
                   {"--cert", &ret->cert},         {"--key", &ret->key},
                   {"--token", &ret->token},       {"--port", &ret->port}};
    for (int at = 1; at < argc; at++) {
        size_t option = 0;
        while (option < ARRAY_SIZE(options) && !str_equal(options[option].name, argv[at]))
            option++;
        if (option < ARRAY_SIZE(options) && ++at < argc)
            *options[option].value = argv[at];
        else if (option == ARRAY_SIZE(options) && *argv[at] != '-' && !ret->directory)
            ret->directory = argv[at];
        else
            return false;
    }
    return ret->directory && ret->upstream && ret->ca && !ret->cert == !ret->key &&
           !(ret->cert && ret->token);
}

/* NULL where no file is named. */
static int read_file(struct ctx *ctx, const char *path, const char **ret)
{
    _cleanup_file_ FILE *file = path ? fopen(path, "re") : NULL;
    if (path && !file)
        return err_set(ctx, ERR_CONFIG, NULL, "%s cannot be read", path);
    char *text = file ? arena_alloc(ctx->arena, FILE_MAX_BYTES) : NULL;
    if (text)
        text[fread(text, 1, FILE_MAX_BYTES - 1, file)] = '\0';
    *ret = text;
    return 0;
}

static int write_file(struct ctx *ctx, const char *directory, const char *name, const char *text)
{
    const char *path = arena_printf(ctx->arena, "%s/%s", directory, name);
    const char *made = arena_printf(ctx->arena, "%s.new", path);
    FILE *file = fopen(made, "we");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0 || rename(made, path) != 0)
        return err_set(ctx, ERR_CONFIG, NULL, "%s cannot be written", path);
    return 0;
}

/* In one piece: whoever finds the file may use it. */
static int write_kubeconfig(struct ctx *ctx, const char *directory, const char *certificate,
                            int port)
{
    TRY(write_file(ctx, directory, "ca.crt", certificate));
    return write_file(
        ctx, directory, "faultproxy.kubeconfig",
        arena_printf(ctx->arena,
                     "apiVersion: v1\nkind: Config\ncurrent-context: proxy\n"
                     "clusters: [{name: proxy, cluster: {server: \"https://127.0.0.1:%d\", "
                     "certificate-authority: \"%s/ca.crt\"}}]\n"
                     "users: [{name: proxy, user: {}}]\n"
                     "contexts: [{name: proxy, context: {cluster: proxy, user: proxy}}]\n",
                     port, directory));
}

static void give_token(void *arg, char out[HTTP_BEARER_BYTES])
{
    const char *token = arg;
    snprintf(out, HTTP_BEARER_BYTES, "%.*s", (int)strcspn(token, "\r\n"), token);
}

static int start(struct ctx *ctx, const struct arguments *arguments, struct proxy **ret)
{
    struct proxy_options options = {
        .upstream = {.base_url = arguments->upstream, .user_agent = "flotilla-faultproxy"}};
    struct http_target *upstream = &options.upstream;
    const char *token;
    int64_t port;
    if (!str_to_int(arguments->port, 0, UINT16_MAX, &port))
        return err_set(ctx, ERR_CONFIG, NULL, "'%s' is no port", arguments->port);
    TRY(read_file(ctx, arguments->ca, &upstream->ca_pem));
    TRY(read_file(ctx, arguments->cert, &upstream->client_cert_pem));
    TRY(read_file(ctx, arguments->key, &upstream->client_key_pem));
    TRY(read_file(ctx, arguments->token, &token));
    if (token) {
        upstream->bearer = give_token;
        upstream->bearer_arg = (void *)(uintptr_t)token;
    }
    options.port = (int)port;
    certificate_loopback(ctx->arena, "flotilla-faultproxy", &options.certificate, &options.key);
    TRY(proxy_start(ctx, &options, ret));
    return write_kubeconfig(ctx, arguments->directory, options.certificate, proxy_port(*ret));
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct proxy *proxy = NULL;
    if (!parse(argc, argv, &arguments)) {
        fputs("usage: flotilla-faultproxy DIRECTORY --upstream URL --ca FILE "
              "[--cert FILE --key FILE | --token FILE] [--port P]\n",
              stderr);
        return 2;
    }
    log_init("flotilla-faultproxy");
    json_object_seed(0); /* before threads: jansson's seed is global */
    signal(SIGPIPE, SIG_IGN);
    signals_block();
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "faultproxy");
    int rc = start(&ctx, &arguments, &proxy);
    if (rc == 0) {
        log_info(&ctx, "serves at port %d", proxy_port(proxy));
        signals_wait();
    } else {
        log_failure(&ctx, "start");
    }
    proxy_stop(proxy);
    arena_free(arena);
    return rc == 0 ? 0 : 1;
}
