/*
 * Create, update and remove a registry's bucket and accounts. A bucket is made closed (no policy:
 * nobody but the administrator) and opened last; closing is one request. What a step needs is read
 * from the state that observe() found, so that a converged bucket costs no write.
 */
#include "reconcilers/backends/gate.h"
#include "reconcilers/backends/s3_session.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <stdio.h>
#include <string.h>

static const struct sigv4_pair policy_query[] = {{"policy", NULL}};
static const struct sigv4_pair tagging_query[] = {{"tagging", NULL}};

static char *bucket_path(struct ctx *ctx, const struct s3 *s3)
{
    return arena_printf(ctx->arena, "/%s", s3->bucket);
}

static int wanted_keys(const struct s3 *s3)
{
    int count = 0;
    while (count < S3_KEYS_MAX && s3->want->keys[count].access)
        count++;
    return count;
}

/* ---- create ---- */

static char *tags(struct ctx *ctx, const struct s3 *s3, const char *element)
{
    return arena_printf(ctx->arena, "<%s><Tag><Key>flotilla</Key><Value>%s</Value></Tag></%s>",
                        element, s3_xml(ctx, s3->mark), element);
}

static int make_bucket(struct ctx *ctx, struct s3 *s3)
{
    const char *body = "";
    if (!s3->driver->administered)
        return err_set(ctx, ERR_NOT_FOUND, "BucketMissing",
                       "pool '%s' is static, and its bucket '%s' is not there", s3->pool->name,
                       s3->bucket);
    if (s3->driver->tags_at_create)
        body = arena_printf(ctx->arena, "<CreateBucketConfiguration>%s</CreateBucketConfiguration>",
                            tags(ctx, s3, "Tags"));
    const struct s3_request request = {.method = "PUT",
                                       .path = bucket_path(ctx, s3),
                                       .content_type = "application/xml",
                                       .body = body,
                                       .body_bytes = strlen(body)};
    return s3_change(ctx, s3, CALL_S3_BUCKET_CREATE, &request);
}

static int mark_bucket(struct ctx *ctx, struct s3 *s3)
{
    bool administered = s3->driver->administered;
    const char *body =
        administered ? arena_printf(ctx->arena, "<Tagging>%s</Tagging>", tags(ctx, s3, "TagSet"))
                     : s3->mark;
    const struct s3_request request = {
        .method = "PUT",
        .path = arena_printf(ctx->arena, administered ? "/%s" : "/%s/" S3_MARK_OBJECT, s3->bucket),
        .query = tagging_query,
        .query_count = administered ? ARRAY_SIZE(tagging_query) : 0,
        .content_type = administered ? "application/xml" : "text/plain",
        .body = body,
        .body_bytes = strlen(body)};
    return s3_change(ctx, s3, CALL_S3_BUCKET_MARK, &request);
}

int s3_create(struct ctx *ctx, struct s3 *s3, struct s3_state *state)
{
    if (!state->bucket) {
        TRY(make_bucket(ctx, s3));
        TRY(s3_observe(ctx, s3, state));
    }
    if (!state->marked) {
        TRY(mark_bucket(ctx, s3));
        TRY(s3_observe(ctx, s3, state));
    }
    return 0;
}

/* ---- update ---- */

static const struct s3_key *find_account(const struct s3_state *state, const char *access)
{
    for (int at = 0; at < state->accounts; at++)
        if (str_equal(state->account[at].access, access))
            return &state->account[at];
    return NULL;
}

static bool is_wanted(const struct s3 *s3, const char *access)
{
    for (int at = 0; at < wanted_keys(s3); at++)
        if (str_equal(s3->want->keys[at].access, access))
            return true;
    return false;
}

static int set_accounts(struct ctx *ctx, struct s3 *s3, struct s3_state *state)
{
    for (int at = 0; at < wanted_keys(s3); at++) {
        const struct s3_key *key = &s3->want->keys[at];
        const struct s3_key *account = find_account(state, key->access);
        if (account && str_equal(account->secret, key->secret))
            continue;
        TRY(s3->driver->set(ctx, s3, state, key));
        TRY(s3_observe(ctx, s3, state));
    }
    return 0;
}

static int suspend(struct ctx *ctx, struct s3 *s3, struct s3_state *state, bool suspended)
{
    if (!s3->driver->suspend || !state->user || state->suspended == suspended)
        return 0;
    TRY(s3->driver->suspend(ctx, s3, suspended));
    return s3_observe(ctx, s3, state);
}

static int open_bucket(struct ctx *ctx, struct s3 *s3, struct s3_state *state)
{
    const char *policy = s3_policy(ctx, s3, s3->want->keys, wanted_keys(s3));
    if (s3_same_policy(ctx, state->policy, policy))
        return 0;
    const struct s3_request request = {.method = "PUT",
                                       .path = bucket_path(ctx, s3),
                                       .query = policy_query,
                                       .query_count = ARRAY_SIZE(policy_query),
                                       .content_type = "application/json",
                                       .body = policy,
                                       .body_bytes = strlen(policy)};
    TRY(s3_change(ctx, s3, CALL_S3_BUCKET_OPEN, &request));
    TRY(s3_observe(ctx, s3, state));
    if (!s3_same_policy(ctx, state->policy, policy))
        return err_set(ctx, ERR_REFUSED, "ReadBack", "the policy of '%s' read back otherwise",
                       s3->bucket);
    return 0;
}

static int close_bucket(struct ctx *ctx, struct s3 *s3, struct s3_state *state)
{
    if (!state->policy)
        return 0;
    const struct s3_request request = {.method = "DELETE",
                                       .path = bucket_path(ctx, s3),
                                       .query = policy_query,
                                       .query_count = ARRAY_SIZE(policy_query)};
    bool found;
    TRY(s3_maybe(ctx, s3_change(ctx, s3, CALL_S3_BUCKET_CLOSE, &request), &found));
    TRY(s3_observe(ctx, s3, state));
    if (state->policy)
        return err_set(ctx, ERR_REFUSED, "ReadBack", "bucket '%s' still has a policy", s3->bucket);
    return 0;
}

/* After a rotation: the policy does not name them any more. */
static int drop_unwanted(struct ctx *ctx, struct s3 *s3, struct s3_state *state)
{
    for (int at = 0; at < state->accounts; at++) {
        const char *access = state->account[at].access;
        if (is_wanted(s3, access))
            continue;
        TRY(s3->driver->drop(ctx, s3, access));
        TRY(s3_observe(ctx, s3, state));
        at = -1; /* the list is a new one */
    }
    return 0;
}

static int try_closed(struct ctx *ctx, struct s3 *s3)
{
    for (int at = 0; at < wanted_keys(s3); at++) {
        bool any, found;
        int rc = s3_look(ctx, s3, CALL_S3_PROVE, &s3->want->keys[at], "", NULL, &any, &found);
        if (rc == 0)
            return err_set(ctx, ERR_REFUSED, "ReadBack", "bucket '%s' still opens for its key",
                           s3->bucket);
        if (rc != -ERR_DENIED)
            return rc;
        err_clear(ctx);
    }
    return 0;
}

static int shut(struct ctx *ctx, struct s3 *s3, struct s3_state *state)
{
    if (state->bucket)
        TRY(close_bucket(ctx, s3, state));
    TRY(suspend(ctx, s3, state, true));
    return state->bucket ? try_closed(ctx, s3) : 0;
}

/* Of two keys one is enough, as of two logins in postgres.c: the next one is tried first. */
static int prove_keys(struct ctx *ctx, struct s3 *s3, struct s3_state *state)
{
    const struct s3_want *want = s3->want;
    bool next = want->second_is_next && wanted_keys(s3) == 2;
    const char *spoilt = NULL, *unproved = NULL;
    if (next)
        TRY(backend_hold_back(ctx, s3_prove(ctx, s3, &want->keys[1]), &unproved));
    int rc = s3_prove(ctx, s3, &want->keys[0]);
    TRY(next && !unproved ? backend_hold_back(ctx, rc, &spoilt) : rc);
    state->unproved = unproved;
    return 0;
}

int s3_update(struct ctx *ctx, struct s3 *s3, struct s3_state *state)
{
    bool administered = s3->driver->administered;
    if (!s3->want->open)
        return administered ? shut(ctx, s3, state) : 0;
    if (wanted_keys(s3) == 0)
        return err_set(ctx, ERR_INVALID, NULL, "bucket '%s' has no key to be opened for",
                       s3->bucket);
    if (administered) {
        TRY(set_accounts(ctx, s3, state));
        TRY(suspend(ctx, s3, state, false));
        TRY(open_bucket(ctx, s3, state));
        TRY(drop_unwanted(ctx, s3, state));
    }
    return prove_keys(ctx, s3, state);
}

/* ---- prove ---- */

int s3_prove(struct ctx *ctx, struct s3 *s3, const struct s3_key *key)
{
    static const char body[] = "flotilla";
    bool any, found;
    struct s3_request request = {.method = "PUT",
                                 .path =
                                     arena_printf(ctx->arena, "/%s/" S3_PROBE_OBJECT, s3->bucket),
                                 .content_type = "text/plain",
                                 .body = body,
                                 .body_bytes = sizeof body - 1};
    int rc = s3_write(ctx, s3, CALL_S3_PROVE, key, &request, NULL);
    if (rc < 0)
        return err_wrap(ctx, rc, "write into '%s' with its own key", s3->bucket);
    rc = s3_look(ctx, s3, CALL_S3_PROVE, key, S3_PROBE_OBJECT, S3_PROBE_OBJECT, &any, &found);
    if (rc < 0)
        return err_wrap(ctx, rc, "list '%s' with its own key", s3->bucket);
    if (!found)
        return err_set(ctx, ERR_REFUSED, "ReadBack", "a list of '%s' does not show what it holds",
                       s3->bucket);
    request = (struct s3_request){.method = "DELETE", .path = request.path};
    rc = s3_write(ctx, s3, CALL_S3_PROVE, key, &request, NULL);
    return rc < 0 ? err_wrap(ctx, rc, "delete from '%s' with its own key", s3->bucket) : 0;
}

int s3_prove_bucket(struct ctx *ctx, struct s3 *s3, const struct s3_key *key, struct s3_proof *ret)
{
    *ret = (struct s3_proof){0};
    TRY(s3_prove(ctx, s3, key));
    snprintf(ret->bucket, sizeof ret->bucket, "%s", s3->bucket);
    ret->at_ms = clock_boottime_ms();
    return 0;
}

/* ---- remove ---- */

static int drop_bucket(struct ctx *ctx, struct s3 *s3)
{
    const struct s3_request request = {
        .method = "DELETE",
        .path = arena_printf(ctx->arena, s3->driver->administered ? "/%s" : "/%s/" S3_MARK_OBJECT,
                             s3->bucket)};
    bool found;
    return s3_maybe(ctx, s3_change(ctx, s3, CALL_S3_BUCKET_DROP, &request), &found);
}

static int drop_accounts(struct ctx *ctx, struct s3 *s3, const struct s3_state *state)
{
    for (int at = 0; at < state->accounts; at++)
        TRY(s3->driver->drop(ctx, s3, state->account[at].access));
    return state->user && s3->driver->drop_user ? s3->driver->drop_user(ctx, s3) : 0;
}

int s3_remove(struct ctx *ctx, struct s3 *s3)
{
    struct s3_state state;
    bool administered = s3->driver->administered;
    TRY(s3_observe(ctx, s3, &state));
    if (administered)
        TRY(shut(ctx, s3, &state));
    if (state.bucket && (administered || state.marked)) {
        TRY(s3_empty(ctx, s3));
        TRY(drop_bucket(ctx, s3));
    }
    TRY(drop_accounts(ctx, s3, &state));
    TRY(s3_observe(ctx, s3, &state));
    if (administered ? state.bucket || state.accounts || state.user : state.marked)
        return err_set(ctx, ERR_REFUSED, "ReadBack", "'%s' is still there after it was dropped",
                       s3->bucket);
    return 0;
}
