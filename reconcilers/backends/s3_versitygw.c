/*
 * versitygw: accounts by its own signed interface (PATCH /list-users and others, XML, the same port
 * as S3). An account is an access key, a secret, a role and three numbers; no words. ProjectID,
 * which its posix backend does not use and only administrators set, carries 31 bits of our mark's
 * digest; the access key carries the identity. Both must fit: 31 bits alone would meet by chance.
 */
#include "reconcilers/backends/s3_session.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"
#include "server/base/xml.h"

#include <stdlib.h>
#include <string.h>

enum { LISTED_MAX = 200000, IDENTITY_LENGTH = 16 };

/* One <Accounts> of the list. */
struct account {
    char *access, *secret, *role;
    int64_t number;
};

static int64_t number_of(const char *mark)
{
    unsigned char digest[SHA256_BYTES];
    crypto_sha256(mark, strlen(mark), digest);
    uint32_t number = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 |
                      (uint32_t)digest[2] << 8 | digest[3];
    return (number & 0x7fffffff) | 1; /* 0 is what everybody has */
}

/* The identity that an access key names, "t-<identity>-...", or NULL. */
static const char *identity_in(struct ctx *ctx, const char *access)
{
    const char *end = str_starts(access, "t-") ? strchr(access + 2, '-') : NULL;
    if (!end || end - access != 2 + IDENTITY_LENGTH)
        return NULL;
    return arena_strndup(ctx->arena, access + 2, IDENTITY_LENGTH);
}

static bool is_ours(struct ctx *ctx, const struct s3 *s3, const struct account *account)
{
    const char *identity = identity_in(ctx, account->access);
    return identity && account->number == number_of(s3_mark(ctx, s3->pool, identity));
}

static struct s3_request admin_request(const char *path, const struct sigv4_pair *query,
                                       const char *body)
{
    return (struct s3_request){.method = "PATCH",
                               .path = path,
                               .query = query,
                               .query_count = query ? 1 : 0,
                               .content_type = "application/xml",
                               .body = body,
                               .body_bytes = strlen(body)};
}

static void take_leaf(struct ctx *ctx, const struct xml *xml, struct account *account)
{
    char **texts[] = {&account->access, &account->secret, &account->role};
    static const char *const names[] = {"Access", "Secret", "Role"};
    for (size_t at = 0; at < ARRAY_SIZE(names); at++)
        if (str_equal(xml->name, names[at]))
            *texts[at] = arena_strdup(ctx->arena, xml->text);
    if (str_equal(xml->name, "ProjectID"))
        account->number = strtoll(xml->text, NULL, 10);
}

/* All accounts; the store has no way to ask for one. */
static int read_accounts(struct ctx *ctx, struct s3 *s3, enum call call,
                         int (*take)(struct ctx *ctx, struct s3 *s3, const struct account *account,
                                     void *arg),
                         void *arg)
{
    const struct s3_request request = admin_request("/list-users", NULL, "");
    struct http_response response;
    struct account account = {0};
    struct xml xml;
    enum xml_event event;
    TRY(s3_query(ctx, s3, call, NULL, &request, &response));
    xml_init(&xml, response.body, response.body_bytes);
    while ((event = xml_next(&xml)) <= XML_CLOSE) {
        if (event == XML_CLOSE && xml.depth == 3)
            take_leaf(ctx, &xml, &account);
        if (event != XML_CLOSE || xml.depth != 2)
            continue;
        if (account.access)
            TRY(take(ctx, s3, &account, arg));
        account = (struct account){0};
    }
    if (event == XML_BAD)
        return err_set(ctx, ERR_PROTOCOL, NULL, "the list of users of pool '%s' is no XML",
                       s3->pool->name);
    return 0;
}

static bool is_wanted(const struct s3 *s3, const char *access)
{
    for (int at = 0; at < S3_KEYS_MAX; at++)
        if (s3->want->keys[at].access && str_equal(s3->want->keys[at].access, access))
            return true;
    return false;
}

static int take_own(struct ctx *ctx, struct s3 *s3, const struct account *account, void *arg)
{
    struct s3_state *state = arg;
    if (!str_starts(account->access, s3->prefix))
        return 0;
    if (account->number != number_of(s3->mark)) {
        if (!is_wanted(s3, account->access))
            return 0;
        return err_set(ctx, ERR_TAKEN, NULL, "account '%s' of pool '%s' does not carry our mark",
                       account->access, s3->pool->name);
    }
    if (state->accounts == S3_ACCOUNTS_MAX)
        return err_set(ctx, ERR_REFUSED, "TooManyAccounts", "'%s' has more than %d accounts",
                       s3->bucket, S3_ACCOUNTS_MAX);
    /* Another role than `user` is mended as another secret would be. */
    bool plain = str_equal(account->role, "user");
    state->account[state->accounts++] =
        (struct s3_key){.access = account->access, .secret = plain ? account->secret : NULL};
    return 0;
}

static int observe(struct ctx *ctx, struct s3 *s3, struct s3_state *state)
{
    return read_accounts(ctx, s3, CALL_S3_OBSERVE, take_own, state);
}

static int set(struct ctx *ctx, struct s3 *s3, const struct s3_state *state,
               const struct s3_key *key)
{
    bool there = false;
    for (int at = 0; at < state->accounts; at++)
        there |= str_equal(state->account[at].access, key->access);
    const struct sigv4_pair query[] = {{"access", key->access}};
    const char *props =
        arena_printf(ctx->arena, "<Secret>%s</Secret><Role>user</Role><ProjectID>%lld</ProjectID>",
                     s3_xml(ctx, key->secret), (long long)number_of(s3->mark));
    const char *body = there ? arena_printf(ctx->arena, "<MutableProps>%s</MutableProps>", props)
                             : arena_printf(ctx->arena, "<Account><Access>%s</Access>%s</Account>",
                                            s3_xml(ctx, key->access), props);
    const struct s3_request request =
        admin_request(there ? "/update-user" : "/create-user", there ? query : NULL, body);
    return s3_change(ctx, s3, CALL_S3_USER_SET, &request);
}

static int drop(struct ctx *ctx, struct s3 *s3, const char *access)
{
    const struct sigv4_pair query[] = {{"access", access}};
    const struct s3_request request = admin_request("/delete-user", query, "");
    bool found;
    return s3_maybe(ctx, s3_change(ctx, s3, CALL_S3_USER_DROP, &request), &found);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Access keys are its principals; sorted, so that the same keys make the same policy. */
static char *principals(struct ctx *ctx, const struct s3 *s3, const struct s3_key keys[], int count)
{
    (void)s3;
    const char **names = arena_alloc(ctx->arena, ((size_t)count + 1) * sizeof *names);
    char *list = arena_strdup(ctx->arena, "");
    for (int at = 0; at < count; at++)
        names[at] = keys[at].access;
    qsort(names, (size_t)count, sizeof *names, compare_texts);
    for (int at = 0; at < count; at++)
        list = arena_printf(ctx->arena, "%s%s\"%s\"", list, at ? "," : "", names[at]);
    return arena_printf(ctx->arena, "[%s]", list);
}

struct listed {
    struct s3_account *accounts;
    int count, capacity;
};

static int take_any(struct ctx *ctx, struct s3 *s3, const struct account *account, void *arg)
{
    struct listed *listed = arg;
    if (!is_ours(ctx, s3, account))
        return 0;
    if (listed->count == LISTED_MAX)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "pool '%s' has more than %d accounts",
                       s3->pool->name, LISTED_MAX);
    if (listed->count == listed->capacity) {
        struct s3_account *before = listed->accounts;
        listed->capacity = listed->capacity ? listed->capacity * 2 : 64;
        listed->accounts =
            arena_alloc(ctx->arena, (size_t)listed->capacity * sizeof *listed->accounts);
        if (before)
            memcpy(listed->accounts, before, (size_t)listed->count * sizeof *before);
    }
    listed->accounts[listed->count++] =
        (struct s3_account){.name = account->access, .identity = identity_in(ctx, account->access)};
    return 0;
}

static int list(struct ctx *ctx, struct s3 *s3, struct s3_account **ret, int *ret_count)
{
    struct listed listed = {0};
    TRY(read_accounts(ctx, s3, CALL_S3_LIST, take_any, &listed));
    *ret = listed.accounts;
    *ret_count = listed.count;
    return 0;
}

const struct s3_driver s3_versitygw = {
    .name = "versitygw",
    .administered = true,
    .tags_at_create = true,
    .observe = observe,
    .set = set,
    .drop = drop,
    .principals = principals,
    .list = list,
};
