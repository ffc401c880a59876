#include "server/adapters/sigv4.h"

#include "server/adapters/crypto.h"
#include "server/base/arena.h"
#include "server/base/str.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A request that we make ourselves never comes near it. */
enum { CANONICAL_MAX_BYTES = 1 << 20, DATE_BYTES = 9 };

static void encode(struct str *out, const char *text, const char *kept)
{
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (const char *at = text; *at; at++) {
        if (strchr(unreserved, *at) || strchr(kept, *at))
            str_add_bytes(out, at, 1);
        else
            str_printf(out, "%%%02X", (unsigned char)*at);
    }
}

static char *taken(struct arena *arena, struct str *text)
{
    if (text->overflow)
        abort(); /* cut short, it would sign something else */
    char *copy = arena_strdup(arena, str_text(text));
    str_done(text);
    return copy;
}

char *sigv4_time(char out[SIGV4_TIME_BYTES], int64_t time_s)
{
    struct tm utc;
    time_t seconds = (time_t)time_s;
    if (!gmtime_r(&seconds, &utc) || strftime(out, SIGV4_TIME_BYTES, "%Y%m%dT%H%M%SZ", &utc) != 16)
        abort(); /* no year of ours has five digits */
    return out;
}

char *sigv4_path(struct arena *arena, const char *path)
{
    struct str out;
    str_init(&out, CANONICAL_MAX_BYTES);
    encode(&out, *path ? path : "/", "/");
    return taken(arena, &out);
}

/* ---- pairs: encoded or normalized, then sorted ---- */

static int compare_pairs(const void *a, const void *b)
{
    const struct sigv4_pair *one = a, *other = b;
    int order = strcmp(one->name, other->name);
    return order ? order : strcmp(one->value, other->value);
}

static char *encoded(struct arena *arena, const char *text)
{
    struct str out;
    str_init(&out, CANONICAL_MAX_BYTES);
    encode(&out, text ? text : "", "");
    return taken(arena, &out);
}

char *sigv4_query(struct arena *arena, const struct sigv4_pair *query, size_t count)
{
    struct sigv4_pair *pairs = arena_alloc(arena, (count + 1) * sizeof *pairs);
    struct str out;
    str_init(&out, CANONICAL_MAX_BYTES);
    for (size_t at = 0; at < count; at++) {
        pairs[at].name = encoded(arena, query[at].name);
        pairs[at].value = encoded(arena, query[at].value);
    }
    qsort(pairs, count, sizeof *pairs, compare_pairs);
    for (size_t at = 0; at < count; at++)
        str_printf(&out, "%s%s=%s", at ? "&" : "", pairs[at].name, pairs[at].value);
    return taken(arena, &out);
}

static char *lower(struct arena *arena, const char *name)
{
    char *copy = arena_strdup(arena, name);
    for (char *at = copy; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    return copy;
}

/* Blanks at both ends go, blanks in a row become one. */
static char *trimmed(struct arena *arena, const char *value)
{
    char *copy = arena_alloc(arena, strlen(value) + 1);
    char *to = copy;
    for (const char *at = value; *at; at++) {
        bool blank = *at == ' ' || *at == '\t';
        if (!blank)
            *to++ = *at;
        else if (to > copy && to[-1] != ' ')
            *to++ = ' ';
    }
    if (to > copy && to[-1] == ' ')
        to--;
    *to = '\0';
    return copy;
}

/* Sorted by name; several of one name stay in their order, so this is an insertion. */
static struct sigv4_pair *sorted_headers(struct arena *arena, const struct sigv4_request *request)
{
    struct sigv4_pair *pairs = arena_alloc(arena, (request->header_count + 1) * sizeof *pairs);
    for (size_t at = 0; at < request->header_count; at++) {
        struct sigv4_pair pair = {.name = lower(arena, request->headers[at].name),
                                  .value = trimmed(arena, request->headers[at].value)};
        size_t to = at;
        for (; to > 0 && strcmp(pairs[to - 1].name, pair.name) > 0; to--)
            pairs[to] = pairs[to - 1];
        pairs[to] = pair;
    }
    return pairs;
}

/* Writes the header lines and the list of their names. */
static void add_headers(struct str *lines, struct str *names, const struct sigv4_pair *pairs,
                        size_t count)
{
    for (size_t at = 0; at < count; at++) {
        bool again = at > 0 && str_equal(pairs[at].name, pairs[at - 1].name);
        if (again) {
            str_printf(lines, ",%s", pairs[at].value);
            continue;
        }
        str_printf(lines, "%s%s:%s", at ? "\n" : "", pairs[at].name, pairs[at].value);
        str_printf(names, "%s%s", at ? ";" : "", pairs[at].name);
    }
    str_add(lines, "\n");
}

/* ---- keys ---- */

static void hmac(const void *key, size_t key_bytes, const char *text,
                 unsigned char out[SHA256_BYTES])
{
    unsigned char digest[SHA256_BYTES];
    if (!HMAC(EVP_sha256(), key, (int)key_bytes, (const unsigned char *)text, strlen(text), digest,
              NULL))
        abort();
    memcpy(out, digest, sizeof digest);
    crypto_wipe(digest, sizeof digest);
}

static void sign_text(const struct sigv4_request *request, const char date[DATE_BYTES],
                      const char *text, struct arena *arena, char hex[SIGV4_SIGNATURE_BYTES])
{
    unsigned char key[SHA256_BYTES];
    char *start = arena_printf(arena, "AWS4%s", request->secret_key);
    hmac(start, strlen(start), date, key);
    crypto_wipe(start, strlen(start));
    hmac(key, sizeof key, request->region, key);
    hmac(key, sizeof key, request->service, key);
    hmac(key, sizeof key, "aws4_request", key);
    hmac(key, sizeof key, text, key);
    for (size_t at = 0; at < sizeof key; at++)
        snprintf(hex + at * 2, 3, "%02x", key[at]);
    crypto_wipe(key, sizeof key);
}

void sigv4_sign(struct arena *arena, const struct sigv4_request *request,
                struct sigv4_signature *ret)
{
    char time[SIGV4_TIME_BYTES], date[DATE_BYTES], hash[SHA256_HEX_BYTES];
    snprintf(date, sizeof date, "%.8s", sigv4_time(time, request->time_s));
    const char *scope =
        arena_printf(arena, "%s/%s/%s/aws4_request", date, request->region, request->service);
    struct str lines, names;
    str_init(&lines, CANONICAL_MAX_BYTES);
    str_init(&names, CANONICAL_MAX_BYTES);
    add_headers(&lines, &names, sorted_headers(arena, request), request->header_count);
    ret->signed_headers = taken(arena, &names);
    const char *canonical = arena_printf(
        arena, "%s\n%s\n%s\n%s\n%s\n%s", request->method, sigv4_path(arena, request->path),
        sigv4_query(arena, request->query, request->query_count), taken(arena, &lines),
        ret->signed_headers, request->payload_hash);
    crypto_sha256_hex(canonical, strlen(canonical), hash);
    const char *text = arena_printf(arena, "AWS4-HMAC-SHA256\n%s\n%s\n%s", time, scope, hash);
    ret->credential = arena_printf(arena, "%s/%s", request->access_key, scope);
    sign_text(request, date, text, arena, ret->hex);
}

char *sigv4_authorization(struct arena *arena, const struct sigv4_request *request)
{
    struct sigv4_signature signature;
    sigv4_sign(arena, request, &signature);
    return arena_printf(arena, "AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=%s, Signature=%s",
                        signature.credential, signature.signed_headers, signature.hex);
}
