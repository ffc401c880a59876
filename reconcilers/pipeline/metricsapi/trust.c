#include "reconcilers/pipeline/metricsapi/trust.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { WORDS_MAX_BYTES = 8 << 10 };

#define HEADER_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"

static int bad(struct ctx *ctx, const char *key, const char *why)
{
    return err_set(ctx, ERR_INVALID, NULL, "ConfigMap " TRUST_NAMESPACE "/" TRUST_NAME ": %s %s",
                   key, why);
}

/* The keys have no dots: json_str() would do, but for the dashes that it does not mind either. */
static const char *text_of(const json_t *config_map, const char *key)
{
    return json_string_value(json_object_get(json_at(config_map, "data"), key));
}

/* A JSON array of strings, as text; one that is not there is empty. */
static int read_words(struct ctx *ctx, const json_t *config_map, const char *key,
                      const char *words[TRUST_WORDS_MAX], size_t *ret_count)
{
    const char *text = text_of(config_map, key);
    json_t *list = NULL;
    *ret_count = 0;
    if (!text || !*text)
        return 0;
    if (json_parse(ctx, text, strlen(text), WORDS_MAX_BYTES, &list) < 0 || !json_is_array(list))
        return bad(ctx, key, "is no JSON array of strings");
    if (json_array_size(list) > TRUST_WORDS_MAX)
        return bad(ctx, key, "has more than 16 entries");
    for (size_t at = 0; at < json_array_size(list); at++) {
        const char *word = json_string_value(json_array_get(list, at));
        if (!word || !*word)
            return bad(ctx, key, "has an entry that is no text");
        words[(*ret_count)++] = word;
    }
    return 0;
}

int trust_read(struct ctx *ctx, const json_t *config_map, struct trust *ret)
{
    *ret = (struct trust){.client_ca = text_of(config_map, "requestheader-client-ca-file")};
    if (!ret->client_ca || !*ret->client_ca) { /* whatever else it says */
        ret->client_ca = NULL;
        return 0;
    }
    if (strlen(ret->client_ca) > TRUST_CA_MAX_BYTES)
        return bad(ctx, "requestheader-client-ca-file", "is over 256 KiB");
    TRY(read_words(ctx, config_map, "requestheader-allowed-names", ret->names, &ret->name_count));
    TRY(read_words(ctx, config_map, "requestheader-username-headers", ret->user_headers,
                   &ret->header_count));
    for (size_t at = 0; at < ret->header_count; at++)
        if (!str_matches(ret->user_headers[at], HEADER_BYTES, 1, 64))
            return bad(ctx, "requestheader-username-headers", "has an entry that is no header");
    if (!ret->header_count)
        ret->user_headers[ret->header_count++] = "X-Remote-User";
    return 0;
}

bool trust_allows(const struct trust *trust, const char *name)
{
    for (size_t at = 0; at < trust->name_count; at++)
        if (str_equal(trust->names[at], name))
            return true;
    return trust->name_count == 0;
}
