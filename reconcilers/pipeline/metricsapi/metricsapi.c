#include "reconcilers/pipeline/metricsapi/metricsapi_private.h"

#include "server/adapters/crypto.h"
#include "server/adapters/tls_server.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    HTTP_WORKERS = 2, /* nothing here waits for anybody */
    REQUEST_MS = 10000,
    RECEIVE_MS = 20000,
    READ_MS = 5000,
};

static void take(void *arg, int fd, const struct sockaddr *from, socklen_t from_bytes,
                 const struct tls_client *client)
{
    struct metricsapi *api = arg;
    http_server_take(api->http, fd, from, from_bytes, client->certified ? client->name : NULL);
}

/* Who is refused anyway is no more to the listener than one without a certificate. */
static bool allows(void *arg, const struct tls_client *client)
{
    struct metricsapi *api = arg;
    pthread_mutex_lock(&api->lock);
    bool allowed =
        api->trust.client_ca && !api->changing && trust_allows(&api->trust, client->name);
    pthread_mutex_unlock(&api->lock);
    return allowed;
}

/* ---- certificates and trust, read anew ---- */

static int read_file(struct ctx *ctx, const char *option, const char *path, const char **ret)
{
    _cleanup_file_ FILE *file = fopen(path, "re");
    if (!file)
        return err_set(ctx, ERR_CONFIG, "TlsTermsInvalid", "%s: %s: %s", option, path,
                       strerror(errno));
    char *text = arena_alloc(ctx->arena, METRICSAPI_FILE_MAX_BYTES + 1);
    size_t bytes = fread(text, 1, METRICSAPI_FILE_MAX_BYTES + 1, file);
    crypto_wipe_later(ctx->arena, text);
    if (bytes > METRICSAPI_FILE_MAX_BYTES || memchr(text, 0, bytes))
        return err_set(ctx, ERR_CONFIG, "TlsTermsInvalid", "%s: %s is no PEM of at most 256 KiB",
                       option, path);
    text[bytes] = '\0';
    *ret = text;
    return 0;
}

static int read_files(struct ctx *ctx, const struct metricsapi *api, struct tls_terms *ret)
{
    TRY(read_file(ctx, "--metrics-api-cert", api->options.certificate_file, &ret->certificate));
    return read_file(ctx, "--metrics-api-key", api->options.key_file, &ret->key);
}

static int read_trust(struct ctx *ctx, const struct metricsapi *api, struct trust *ret)
{
    json_t *config_map = NULL;
    ctx->deadline_ms = clock_boottime_ms() + READ_MS;
    TRY(kube_get(ctx, CALL_KUBE_FRONT_PROXY_READ, api->options.kube, KIND_CONFIGMAP,
                 TRUST_NAMESPACE, TRUST_NAME, &config_map));
    if (!config_map)
        return err_set(ctx, ERR_UNAVAILABLE, "NoFrontProxy",
                       "the ConfigMap " TRUST_NAMESPACE "/" TRUST_NAME " is not there");
    return trust_read(ctx, config_map, ret);
}

static uint64_t hash_of(const struct tls_terms *terms)
{
    const char *const texts[] = {terms->certificate, terms->key, terms->client_ca};
    uint64_t hash = STR_HASH_START;
    for (size_t at = 0; at < ARRAY_SIZE(texts); at++)
        if (texts[at])
            hash = str_hash_more(hash, texts[at], strlen(texts[at]) + 1);
    return hash;
}

/* With all it points to in `arena`, which replaces the one before. */
static void put_trust(struct metricsapi *api, struct arena *arena, const struct trust *trust)
{
    struct trust own = *trust;
    own.client_ca = trust->client_ca ? arena_strdup(arena, trust->client_ca) : NULL;
    for (size_t at = 0; at < own.name_count; at++)
        own.names[at] = arena_strdup(arena, trust->names[at]);
    for (size_t at = 0; at < own.header_count; at++)
        own.user_headers[at] = arena_strdup(arena, trust->user_headers[at]);
    pthread_mutex_lock(&api->lock);
    struct arena *before = api->arena;
    api->arena = arena;
    api->trust = own;
    api->changing = false;
    pthread_mutex_unlock(&api->lock);
    if (before)
        arena_free(before);
}

static bool set_changing(struct metricsapi *api, bool changing)
{
    pthread_mutex_lock(&api->lock);
    bool before = api->changing;
    api->changing = changing;
    pthread_mutex_unlock(&api->lock);
    return before;
}

/* While the authority is another one already and its names are not, nobody is believed: never does
 * one of the two decide with what the other one was. */
static int renew(struct ctx *ctx, struct metricsapi *api, const struct tls_terms *terms)
{
    uint64_t hash = hash_of(terms);
    if (hash == api->terms_hash)
        return 0;
    bool before =
        set_changing(api, api->changing || !str_equal(terms->client_ca, api->trust.client_ca));
    int rc = tls_server_renew(ctx, api->tls, terms);
    if (rc == -ERR_CONFIG) /* it has all that it had */
        set_changing(api, before);
    else
        api->terms_hash = rc == 0 ? hash : 0; /* 0: what it has is to be put there again */
    TRY(rc);
    log_info(ctx, "metrics API: certificates were read");
    return 0;
}

/* Nobody shall wonder why all are refused. */
static void tell_of_trust(struct ctx *ctx, struct metricsapi *api, const struct trust *trust)
{
    bool nobody = !trust->client_ca;
    if (nobody && !api->trusts_nobody)
        log_warn(ctx, "metrics API: nobody is believed: the ConfigMap " TRUST_NAMESPACE
                      "/" TRUST_NAME " has no requestheader-client-ca-file: the API server has no "
                      "front proxy (--requestheader-client-ca-file)");
    api->trusts_nobody = nobody;
}

/* What cannot be read stays as it was; a ConfigMap that names no authority was read. The trust is
 * changed by nobody else, and so read freely. */
static int refresh(struct ctx *ctx, struct metricsapi *api)
{
    struct tls_terms terms = {.client_ca = api->trust.client_ca};
    struct trust trust = {0};
    int untrusted = read_trust(ctx, api, &trust);
    struct err why_untrusted = ctx->err;
    if (untrusted == 0) {
        terms.client_ca = trust.client_ca;
        tell_of_trust(ctx, api, &trust);
    }
    if (untrusted == 0 && !trust.client_ca) /* whatever becomes of the rest */
        put_trust(api, arena_new(), &trust);
    TRY(read_files(ctx, api, &terms));
    TRY(renew(ctx, api, &terms));
    if (untrusted == 0)
        put_trust(api, arena_new(), &trust);
    ctx->err = why_untrusted;
    return untrusted;
}

static void look_again(struct metricsapi *api)
{
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "metricsapi");
    const char *complaint = refresh(&ctx, api) < 0 ? ctx.err.message : "";
    if (*complaint && !str_equal(complaint, api->complaint))
        log_failure(&ctx, "metrics API: certificates and trust stay as they were");
    snprintf(api->complaint, sizeof api->complaint, "%s", complaint);
    arena_free(arena);
}

static void *refresher_main(void *arg)
{
    struct metricsapi *api = arg;
    pthread_mutex_lock(&api->lock);
    while (!api->stopping) {
        pthread_mutex_unlock(&api->lock);
        look_again(api);
        const struct timespec until = clock_until(api->options.refresh_ms);
        pthread_mutex_lock(&api->lock);
        while (!api->stopping && pthread_cond_timedwait(&api->stop, &api->lock, &until) == 0)
            continue;
    }
    pthread_mutex_unlock(&api->lock);
    return NULL;
}

/* ---- life ---- */

static int start(struct ctx *ctx, struct metricsapi *api)
{
    const struct http_server_options http = {.workers = HTTP_WORKERS,
                                             .request_timeout_ms = REQUEST_MS,
                                             .receive_timeout_ms = RECEIVE_MS,
                                             .star_in_path = true,
                                             .handler = answers_handle,
                                             .refuse = answers_refuse,
                                             .arg = api};
    const struct tls_server_options tls = {.address = api->options.address,
                                           .port = api->options.port,
                                           .allows = allows,
                                           .take = take,
                                           .arg = api};
    struct tls_terms terms = {0}; /* nobody is trusted until the ConfigMap was read */
    TRY(read_files(ctx, api, &terms));
    TRY(http_server_start(ctx, &http, &api->http));
    TRY(tls_server_start(ctx, &tls, &terms, &api->tls));
    if (pthread_create(&api->refresher, NULL, refresher_main, api) != 0)
        abort(); /* no threads at start-up: nothing to go on with */
    return 0;
}

static void free_all(struct metricsapi *api)
{
    tls_server_stop(api->tls); /* nothing comes any more; then what is being answered ends */
    http_server_stop(api->http);
    if (api->arena)
        arena_free(api->arena);
    pthread_mutex_destroy(&api->lock);
    pthread_cond_destroy(&api->stop);
    free(api);
}

int metricsapi_start(struct ctx *ctx, const struct metricsapi_options *options,
                     struct metricsapi **ret)
{
    struct metricsapi *api = calloc(1, sizeof *api);
    if (!api)
        abort();
    api->options = *options;
    if (api->options.refresh_ms <= 0)
        api->options.refresh_ms = METRICSAPI_REFRESH_MS;
    pthread_mutex_init(&api->lock, NULL);
    clock_cond_init(&api->stop);
    int rc = start(ctx, api);
    if (rc < 0) {
        free_all(api);
        return rc;
    }
    log_info(ctx, "metrics API on %s:%d", options->address, tls_server_port(api->tls));
    *ret = api;
    return 0;
}

void metricsapi_stop(struct metricsapi *api)
{
    if (!api)
        return;
    pthread_mutex_lock(&api->lock);
    api->stopping = true;
    pthread_cond_signal(&api->stop);
    pthread_mutex_unlock(&api->lock);
    pthread_join(api->refresher, NULL);
    free_all(api);
}
