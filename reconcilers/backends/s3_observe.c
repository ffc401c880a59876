/*
 * Observe, and whose it is. Everything that decides ownership of a bucket is in this file; the
 * reasoning at length stands in s3.h, that about accounts with the drivers.
 */
#include "reconcilers/backends/s3_session.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/xml.h"

#include <string.h>

enum { POLICY_MAX_BYTES = 64 << 10, TAG_BYTES = 256 };

/* ---- the policy ---- */

char *s3_policy(struct ctx *ctx, const struct s3 *s3, const struct s3_key keys[], int count)
{
    const char *who = s3->driver->principals(ctx, s3, keys, count);
    return arena_printf(
        ctx->arena,
        "{\"Version\":\"2012-10-17\",\"Statement\":["
        "{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":%s},\"Action\":[\"s3:ListBucket\","
        "\"s3:GetBucketLocation\",\"s3:ListBucketMultipartUploads\"],"
        "\"Resource\":[\"arn:aws:s3:::%s\"]},"
        "{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":%s},\"Action\":[\"s3:PutObject\","
        "\"s3:GetObject\",\"s3:DeleteObject\",\"s3:ListMultipartUploadParts\","
        "\"s3:AbortMultipartUpload\"],\"Resource\":[\"arn:aws:s3:::%s/*\"]}]}",
        who, s3->bucket, who, s3->bucket);
}

/* What is no JSON is NULL: it equals nothing. */
static json_t *parsed(struct ctx *ctx, const char *policy)
{
    json_t *tree = NULL;
    if (json_parse_foreign(ctx, policy, strlen(policy), POLICY_MAX_BYTES, &tree) < 0)
        err_clear(ctx);
    return tree;
}

bool s3_same_policy(struct ctx *ctx, const char *a, const char *b)
{
    return str_equal(a, b) || (a && b && json_equal(parsed(ctx, a), parsed(ctx, b)));
}

/* Ours is one that lets in all of our accounts or one of them, as rotation leaves them. */
static bool is_our_policy(struct ctx *ctx, const struct s3 *s3, const struct s3_state *state)
{
    const struct s3_key *accounts = state->account;
    if (s3_same_policy(ctx, state->policy, s3_policy(ctx, s3, accounts, state->accounts)))
        return true;
    for (int at = 0; at < state->accounts; at++)
        if (s3_same_policy(ctx, state->policy, s3_policy(ctx, s3, accounts + at, 1)))
            return true;
    return false;
}

static int observe_policy(struct ctx *ctx, struct s3 *s3, struct s3_state *state)
{
    static const struct sigv4_pair query[] = {{"policy", NULL}};
    const struct s3_request request = {.method = "GET",
                                       .path = arena_printf(ctx->arena, "/%s", s3->bucket),
                                       .query = query,
                                       .query_count = ARRAY_SIZE(query)};
    struct http_response response;
    bool found;
    TRY(s3_maybe(ctx, s3_query(ctx, s3, CALL_S3_OBSERVE, NULL, &request, &response), &found));
    state->policy = found && response.body_bytes ? response.body : NULL;
    state->foreign_policy = state->policy && !is_our_policy(ctx, s3, state);
    return 0;
}

/* ---- the mark ---- */

struct mark {
    bool bucket;      /* is there */
    bool any;         /* something stands where the mark would */
    const char *text; /* NULL = no mark of anybody's */
};

/* The tag `flotilla`. */
static int read_tags(struct ctx *ctx, const struct http_response *response, struct mark *ret)
{
    char key[TAG_BYTES] = "";
    struct xml xml;
    enum xml_event event;
    xml_init(&xml, response->body, response->body_bytes);
    while ((event = xml_next(&xml)) <= XML_CLOSE) {
        if (event != XML_CLOSE || xml.depth != 4)
            continue;
        ret->any = true;
        if (str_equal(xml.name, "Key"))
            snprintf(key, sizeof key, "%.*s", (int)sizeof key - 1, xml.text);
        else if (str_equal(xml.name, "Value") && str_equal(key, "flotilla"))
            ret->text = arena_strdup(ctx->arena, xml.text);
    }
    if (event == XML_BAD)
        return err_set(ctx, ERR_PROTOCOL, NULL, "the tags of a bucket are no XML");
    return 0;
}

/* Tags of the bucket, or for static the mark object: what is found, and whether there is a bucket.
 */
static int read_mark(struct ctx *ctx, struct s3 *s3, enum call call, struct mark *ret)
{
    static const struct sigv4_pair query[] = {{"tagging", NULL}};
    bool administered = s3->driver->administered;
    const char *path =
        arena_printf(ctx->arena, administered ? "/%s" : "/%s/" S3_MARK_OBJECT, s3->bucket);
    const struct s3_request request = {.method = "GET",
                                       .path = path,
                                       .query = query,
                                       .query_count = administered ? ARRAY_SIZE(query) : 0};
    struct http_response response;
    *ret = (struct mark){.bucket = true};
    int rc = s3_query(ctx, s3, call, s3_worker(s3), &request, &response);
    if (rc == -ERR_NOT_FOUND) {
        ret->bucket = !s3_error_is(ctx, "NoSuchBucket");
        err_clear(ctx);
        return 0;
    }
    if (rc == -ERR_DENIED && administered && s3_error_is(ctx, "AccessDenied")) {
        ret->any = true; /* somebody else's: an owner may read his bucket's tags */
        err_clear(ctx);
        return 0;
    }
    TRY(rc);
    if (administered)
        return read_tags(ctx, &response, ret);
    ret->any = true;
    ret->text = response.body;
    return 0;
}

int s3_marked(struct ctx *ctx, struct s3 *s3, enum call call, bool *ret)
{
    struct mark mark;
    TRY(read_mark(ctx, s3, call, &mark));
    *ret = mark.bucket && str_equal(mark.text, s3->mark);
    return 0;
}

/*
 * Where bucket and mark are two requests (radosgw, static), a crash between them leaves a bucket
 * without a mark. It is taken for ours if all of this holds: it has exactly our name; it has no tag
 * and no policy; it holds no object; the administrator owns it (or he could not read its tags); we
 * hold the identity's lock, so that nobody of us is between the two now. Such a bucket cannot hold
 * data of anybody. versitygw takes the mark with the creation: there it is never adopted.
 */
static int adoptable(struct ctx *ctx, struct s3 *s3, const struct mark *mark,
                     const struct s3_state *state, bool *ret)
{
    bool any = true, found = false;
    if (!s3->driver->tags_at_create && !mark->any && !state->policy)
        TRY(s3_look(ctx, s3, CALL_S3_OBSERVE, s3_worker(s3), "", NULL, &any, &found));
    *ret = !any;
    return 0;
}

int s3_observe(struct ctx *ctx, struct s3 *s3, struct s3_state *ret)
{
    struct s3_state state = {.lockable = s3->driver->administered};
    struct mark mark;
    if (s3->driver->observe)
        TRY(s3->driver->observe(ctx, s3, &state));
    TRY(read_mark(ctx, s3, CALL_S3_OBSERVE, &mark));
    state.bucket = mark.bucket;
    state.marked = str_equal(mark.text, s3->mark);
    if (state.bucket && s3->driver->administered && (state.marked || !mark.any))
        TRY(observe_policy(ctx, s3, &state));
    if (state.bucket && !state.marked) {
        bool ours = false;
        TRY(adoptable(ctx, s3, &mark, &state, &ours));
        if (!ours)
            return err_set(ctx, ERR_TAKEN, NULL, "bucket '%s' of pool '%s' %s", s3->bucket,
                           s3->pool->name,
                           mark.text ? "carries another owner's mark" : "carries no owner mark");
    }
    *ret = state;
    return 0;
}
