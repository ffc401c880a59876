/* How libcurl handles reach and trust a server: TLS, time limits, keep-alive. Owns the copy of a
 * target, so that certificates live in memory only. */
#include "server/adapters/curl_target.h"

#include "server/adapters/crypto.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { KEEPALIVE_IDLE_S = 15, KEEPALIVE_INTERVAL_S = 5, TCP_UNACKED_MS = 20000, CONN_AGE_S = 60 };

static char *copy_text(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        abort();
    return copy;
}

static void start_library(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
}

struct http_target *target_copy(const struct http_target *target)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_library);

    struct http_target *copy = calloc(1, sizeof *copy);
    if (!copy)
        abort();
    *copy = *target;
    copy->base_url = copy_text(target->base_url);
    copy->connect_to = copy_text(target->connect_to);
    copy->ca_pem = copy_text(target->ca_pem);
    copy->client_cert_pem = copy_text(target->client_cert_pem);
    copy->client_key_pem = copy_text(target->client_key_pem);
    copy->user_agent = copy_text(target->user_agent);
    return copy;
}

static void free_text(const char *text)
{
    char *mine = (char *)(uintptr_t)text;
    if (mine)
        crypto_wipe(mine, strlen(mine));
    free(mine);
}

void target_free(struct http_target *target)
{
    if (!target)
        return;
    free_text(target->base_url);
    free_text(target->connect_to);
    free_text(target->ca_pem);
    free_text(target->client_cert_pem);
    free_text(target->client_key_pem);
    free_text(target->user_agent);
    free(target);
}

/* Data that nobody acknowledges ends the connection, long before TCP itself would give up. */
static int bound_silence(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)arg;
    (void)purpose;
    unsigned unacked_ms = TCP_UNACKED_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof unacked_ms);
    return CURL_SOCKOPT_OK;
}

/* The blob is not copied: it lives in the target. */
static CURLcode set_pem(CURL *easy, CURLoption option, const char *pem)
{
    if (!pem)
        return CURLE_OK;
    struct curl_blob blob = {
        .data = (void *)(uintptr_t)pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY};
    return curl_easy_setopt(easy, option, &blob);
}

static CURLcode set_trust(CURL *easy, const struct http_target *target)
{
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, target->insecure ? 0L : 1L);
    rc |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, target->insecure ? 0L : 2L);
    rc |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (target->ca_pem) { /* then the system's authorities count for nothing */
        rc |= curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        rc |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    rc |= set_pem(easy, CURLOPT_CAINFO_BLOB, target->ca_pem);
    rc |= set_pem(easy, CURLOPT_SSLCERT_BLOB, target->client_cert_pem);
    rc |= set_pem(easy, CURLOPT_SSLKEY_BLOB, target->client_key_pem);
    return rc;
}

int target_prepare(CURL *easy, const struct http_target *target)
{
    curl_easy_reset(easy);
    CURLcode rc = set_trust(easy, target);
    rc |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    rc |= curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not by accident of the environment */
    rc |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    rc |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MS);
    rc |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)CONN_AGE_S);
    rc |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    rc |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
    rc |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
    rc |= curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, bound_silence);
    rc |= curl_easy_setopt(easy, CURLOPT_USERAGENT, target->user_agent);
    return rc == CURLE_OK ? 0 : -1;
}

int target_authorize(CURL *easy, const struct http_target *target)
{
    if (!target->bearer)
        return 0;
    char token[HTTP_BEARER_BYTES] = "";
    target->bearer(target->bearer_arg, token);
    CURLcode rc = CURLE_OK;
    if (*token) {
        rc = curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        rc |= curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, token);
    }
    crypto_wipe(token, sizeof token);
    return rc == CURLE_OK ? 0 : -1;
}

struct curl_slist *target_header(struct curl_slist *headers, const char *name, const char *value)
{
    char line[512];
    if (!value)
        return headers;
    snprintf(line, sizeof line, "%s: %s", name, value);
    return target_line(headers, line);
}

struct curl_slist *target_line(struct curl_slist *headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(headers, line);
    if (!longer)
        abort();
    return longer;
}
