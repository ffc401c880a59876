/*
 * Canonical requests: a path and a query come back from their encoding as they were, and the query
 * is sorted. The input: a line for the path, then one "name=value" per line.
 */
#include "server/adapters/sigv4.h"
#include "server/base/str.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

enum { PAIRS_MAX = 64 };

#define UNRESERVED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

static char *decoded(struct arena *arena, const char *text, size_t length)
{
    char *ret = arena_strndup(arena, text, length), *out = ret;
    for (const char *at = ret; *at; at++) {
        char hex[3] = "";
        if (*at == '%') {
            MUST(strspn(at + 1, "0123456789ABCDEF") >= 2);
            memcpy(hex, at + 1, 2);
            at += 2;
        }
        *out++ = *hex ? (char)strtol(hex, NULL, 16) : *at;
    }
    *out = '\0';
    return ret;
}

static size_t split(struct arena *arena, const char *text, struct sigv4_pair pairs[PAIRS_MAX])
{
    size_t count = 0;
    while (*text && count < PAIRS_MAX) {
        size_t length = strcspn(text, "\n"), name = strcspn(text, "=\n");
        pairs[count++] = (struct sigv4_pair){
            arena_strndup(arena, text, name),
            text[name] == '=' ? arena_strndup(arena, text + name + 1, length - name - 1) : NULL};
        text += length + (text[length] == '\n');
    }
    return count;
}

static bool holds(const struct sigv4_pair *pairs, size_t count, const char *name, const char *value)
{
    for (size_t at = 0; at < count; at++)
        if (str_equal(pairs[at].name, name) &&
            str_equal(pairs[at].value ? pairs[at].value : "", value))
            return true;
    return false;
}

static void check_query(struct ctx *ctx, const char *query, const struct sigv4_pair *pairs,
                        size_t count)
{
    const char *before = NULL;
    size_t found = 0;
    MUST(strspn(query, UNRESERVED "%=&") == strlen(query));
    for (const char *at = query; count; found++) {
        size_t length = strcspn(at, "&"), name = strcspn(at, "=");
        MUST(name < length);
        MUST(holds(pairs, count, decoded(ctx->arena, at, name),
                   decoded(ctx->arena, at + name + 1, length - name - 1)));
        const char *key = arena_strndup(ctx->arena, at, name);
        MUST(!before || strcmp(before, key) <= 0);
        before = key;
        if (!at[length]) {
            MUST(++found == count);
            break;
        }
        at += length + 1;
    }
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    static const struct sigv4_pair host[] = {{"Host", "s3.example.com"}};
    struct sigv4_pair pairs[PAIRS_MAX];
    size_t line = strcspn(text, "\n");
    (void)bytes;
    const char *path = arena_printf(ctx->arena, "/%.*s", (int)line, text);
    size_t count = split(ctx->arena, text + line + (text[line] == '\n'), pairs);
    const char *sent = sigv4_path(ctx->arena, path);
    MUST(strspn(sent, UNRESERVED "%/") == strlen(sent));
    MUST(str_equal(decoded(ctx->arena, sent, strlen(sent)), path));
    check_query(ctx, sigv4_query(ctx->arena, pairs, count), pairs, count);
    const struct sigv4_request request = {
        .method = "GET",
        .path = path,
        .query = pairs,
        .query_count = count,
        .headers = host,
        .header_count = 1,
        .payload_hash = "UNSIGNED-PAYLOAD",
        .region = "us-east-1",
        .service = "s3",
        .access_key = "access",
        .secret_key = "secret",
    };
    struct sigv4_signature one, two;
    sigv4_sign(ctx->arena, &request, &one);
    sigv4_sign(ctx->arena, &request, &two);
    MUST(str_equal(one.hex, two.hex) && strlen(one.hex) == SIGV4_SIGNATURE_BYTES - 1);
}
