/*
 * Ceph's radosgw: accounts by the admin operations interface (/admin/user, JSON, signed as S3 is).
 * One user t-<identity> per registry, whose display name is the mark; rotation is two keys of it.
 * We always send our own key pair: without one radosgw makes another at every retry. The
 * administrator needs the capability `users=*` and no limit of buckets. A secret travels in the
 * query, because radosgw reads parameters nowhere else: its access log must not keep queries.
 */
#include "reconcilers/backends/s3_session.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { LISTED_MAX = 200000, PAGE = 1000 };

static struct s3_request admin_request(const char *method, const struct sigv4_pair *query,
                                       size_t count)
{
    return (struct s3_request){
        .method = method, .path = "/admin/user", .query = query, .query_count = count};
}

static int read_json(struct ctx *ctx, const struct http_response *response, json_t **ret)
{
    return json_parse_foreign(ctx, response->body, response->body_bytes, JSON_TEXT_MAX_BYTES, ret);
}

/* *ret NULL = there is none. */
static int read_user(struct ctx *ctx, struct s3 *s3, enum call call, const char *uid, json_t **ret)
{
    const struct sigv4_pair query[] = {{"format", "json"}, {"uid", uid}};
    const struct s3_request request = admin_request("GET", query, ARRAY_SIZE(query));
    struct http_response response;
    bool found;
    *ret = NULL;
    TRY(s3_maybe(ctx, s3_query(ctx, s3, call, NULL, &request, &response), &found));
    return found ? read_json(ctx, &response, ret) : 0;
}

static int observe(struct ctx *ctx, struct s3 *s3, struct s3_state *state)
{
    json_t *user = NULL, *key;
    size_t at;
    TRY(read_user(ctx, s3, CALL_S3_OBSERVE, s3->bucket, &user));
    if (!user)
        return 0;
    if (!str_equal(json_str(user, "display_name"), s3->mark))
        return err_set(ctx, ERR_TAKEN, NULL, "user '%s' of pool '%s' does not carry our mark",
                       s3->bucket, s3->pool->name);
    state->user = true;
    /* a number; a word in some releases */
    state->suspended =
        json_int_or(user, "suspended", 0) != 0 || json_bool_or(user, "suspended", false);
    json_array_foreach(json_at(user, "keys"), at, key) {
        if (state->accounts == S3_ACCOUNTS_MAX)
            return err_set(ctx, ERR_REFUSED, "TooManyAccounts", "'%s' has more than %d keys",
                           s3->bucket, S3_ACCOUNTS_MAX);
        state->account[state->accounts++] = (struct s3_key){
            .access = json_str_or(key, "access_key", ""), .secret = json_str(key, "secret_key")};
    }
    return 0;
}

/* PUT makes the user with its first key, PUT ?key adds a key or gives it this secret. */
static int set(struct ctx *ctx, struct s3 *s3, const struct s3_state *state,
               const struct s3_key *key)
{
    const struct sigv4_pair common[] = {
        {"format", "json"},          {"uid", s3->bucket}, {"access-key", key->access},
        {"secret-key", key->secret}, {"key-type", "s3"},  {"generate-key", "false"},
    };
    struct sigv4_pair query[ARRAY_SIZE(common) + 2];
    size_t count = ARRAY_SIZE(common);
    memcpy(query, common, sizeof common);
    if (state->user) {
        query[count++] = (struct sigv4_pair){"key", NULL};
    } else {
        query[count++] = (struct sigv4_pair){"display-name", s3->mark};
        query[count++] = (struct sigv4_pair){"max-buckets", "-1"}; /* it makes none of its own */
    }
    const struct s3_request request = admin_request("PUT", query, count);
    return s3_change(ctx, s3, CALL_S3_USER_SET, &request);
}

static int drop(struct ctx *ctx, struct s3 *s3, const char *access)
{
    const struct sigv4_pair query[] = {
        {"key", NULL}, {"uid", s3->bucket}, {"access-key", access}, {"key-type", "s3"}};
    const struct s3_request request = admin_request("DELETE", query, ARRAY_SIZE(query));
    bool found;
    return s3_maybe(ctx, s3_change(ctx, s3, CALL_S3_USER_DROP, &request), &found);
}

/* Never with purge-data: buckets go by their mark and in their own step. */
static int drop_user(struct ctx *ctx, struct s3 *s3)
{
    const struct sigv4_pair query[] = {{"uid", s3->bucket}};
    const struct s3_request request = admin_request("DELETE", query, ARRAY_SIZE(query));
    bool found;
    return s3_maybe(ctx, s3_change(ctx, s3, CALL_S3_USER_DROP, &request), &found);
}

static int suspend(struct ctx *ctx, struct s3 *s3, bool suspended)
{
    const struct sigv4_pair query[] = {
        {"format", "json"}, {"uid", s3->bucket}, {"suspended", suspended ? "true" : "false"}};
    const struct s3_request request = admin_request("POST", query, ARRAY_SIZE(query));
    return s3_change(ctx, s3, CALL_S3_USER_SET, &request);
}

static char *principals(struct ctx *ctx, const struct s3 *s3, const struct s3_key keys[], int count)
{
    (void)keys; /* all of them are one user's */
    (void)count;
    return arena_printf(ctx->arena, "[\"arn:aws:iam:::user/%s\"]", s3->bucket);
}

static int list_page(struct ctx *ctx, struct s3 *s3, const char *marker, json_t **ret)
{
    const struct sigv4_pair query[] = {
        {"list", NULL}, {"format", "json"}, {"max-entries", "1000"}, {"marker", marker}};
    const struct s3_request request =
        admin_request("GET", query, ARRAY_SIZE(query) - (*marker ? 0 : 1));
    struct http_response response;
    TRY(s3_query(ctx, s3, CALL_S3_LIST, NULL, &request, &response));
    return read_json(ctx, &response, ret);
}

/* The mark is all that counts, so each user whose name could be ours is read. */
static int take_page(struct ctx *ctx, struct s3 *s3, const json_t *page, struct s3_account *to,
                     int *count)
{
    json_t *name, *user;
    size_t at;
    json_array_foreach(json_at(page, "keys"), at, name) {
        const char *uid = json_string_value(name);
        if (at >= PAGE || !uid || !str_starts(uid, "t-"))
            continue;
        TRY(read_user(ctx, s3, CALL_S3_LIST, uid, &user));
        const char *identity = user ? s3_identity_of(s3, json_str(user, "display_name")) : NULL;
        if (identity)
            to[(*count)++] = (struct s3_account){.name = uid, .identity = identity};
    }
    return 0;
}

static int list(struct ctx *ctx, struct s3 *s3, struct s3_account **ret, int *ret_count)
{
    const char *marker = "";
    json_t *page = NULL;
    *ret = NULL;
    *ret_count = 0;
    do {
        struct s3_account *longer =
            arena_alloc(ctx->arena, (size_t)(*ret_count + PAGE) * sizeof *longer);
        if (*ret)
            memcpy(longer, *ret, (size_t)*ret_count * sizeof *longer);
        *ret = longer;
        TRY(list_page(ctx, s3, marker, &page));
        TRY(take_page(ctx, s3, page, longer, ret_count));
        marker = json_str_or(page, "marker", "");
        if (*ret_count > LISTED_MAX)
            return err_set(ctx, ERR_TOO_LARGE, NULL, "pool '%s' has more than %d accounts",
                           s3->pool->name, LISTED_MAX);
    } while (json_bool_or(page, "truncated", false) && *marker);
    return 0;
}

const struct s3_driver s3_radosgw = {
    .name = "radosgw",
    .administered = true,
    .observe = observe,
    .set = set,
    .drop = drop,
    .drop_user = drop_user,
    .suspend = suspend,
    .principals = principals,
    .list = list,
};
