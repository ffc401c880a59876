/* Buckets and accounts of registries on object stores: a real versitygw, and radosgw's protocol as
 * tests/backends/radosgw.py speaks it. Each case runs on both. */
#include "tests/backends/s3_stores.h"

#include "server/base/failpoint.h"

#include <arpa/inet.h>
#include <sys/socket.h>

enum { MANY_OBJECTS = 2500 };

static char *object(struct ctx *ctx, const struct s3_want *want, const char *key)
{
    return arena_printf(ctx->arena, "/%s/%s", s3_name(ctx, want->identity), key);
}

static char *bucket_of(struct ctx *ctx, const struct s3_want *want)
{
    return arena_printf(ctx->arena, "/%s", s3_name(ctx, want->identity));
}

static void converges_and_proves(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool pool = test_pool();
    struct s3_want want = test_want(ctx);
    struct s3_state found;
    int changes = -1;
    SUCCEEDS(ctx, test_observe(ctx, &want, &found));
    assert_false(found.bucket || found.accounts);
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, &changes));
    assert_true(changes >= 3);
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, &changes));
    assert_int_equal(changes, 0);
    SUCCEEDS(ctx, test_observe(ctx, &want, &found));
    assert_true(found.bucket && found.marked && found.lockable && found.policy);
    assert_false(found.foreign_policy);
    assert_int_equal(found.accounts, 1);
    /* The probe leaves nothing behind. */
    struct http_response response;
    SUCCEEDS(ctx, test_do(ctx, NULL, "GET", bucket_of(ctx, &want), "list-type", NULL, &response));
    assert_null(strstr(response.body, "<Key>"));
    SUCCEEDS(ctx, test_remove(ctx, &want, NULL));
}

static void a_changed_secret_is_mended(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool pool = test_pool();
    struct s3_want want = test_want(ctx);
    int changes = -1;
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    want.keys[0].secret = SECRET "other";
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, &changes));
    assert_int_equal(changes, 1);
    SUCCEEDS(ctx, test_remove(ctx, &want, NULL));
}

static void others_are_refused(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool pool = test_pool();
    struct s3_want one = test_want(ctx), other = test_want(ctx);
    const struct s3_key *owner = &one.keys[0], *stranger = &other.keys[0];
    const char *bucket = bucket_of(ctx, &one), *kept = object(ctx, &one, "docker/kept");
    SUCCEEDS(ctx, test_converge(ctx, &pool, &one, NULL));
    SUCCEEDS(ctx, test_converge(ctx, &pool, &other, NULL));
    SUCCEEDS(ctx, test_do(ctx, owner, "PUT", kept, NULL, "data", NULL));
    const struct {
        const struct s3_key *key;
        const char *method, *path, *query, *body;
    } refused[] = {
        {stranger, "GET", bucket, "list-type", NULL},
        {stranger, "GET", bucket, "uploads", NULL},
        {stranger, "GET", kept, NULL, NULL},
        {stranger, "PUT", kept, NULL, "other"},
        {stranger, "DELETE", kept, NULL, NULL},
        {stranger, "DELETE", bucket, NULL, NULL},
        {stranger, "PUT", bucket, "policy", "{}"},
        {stranger, "PUT", "/stranger-made-it", NULL, ""},
        /* What an owner could do, the registry cannot: it owns nothing. */
        {owner, "PUT", bucket, "policy", "{}"},
        {owner, "DELETE", bucket, "policy", NULL},
        {owner, "PUT", bucket, "tagging",
         "<Tagging><TagSet><Tag><Key>flotilla</Key><Value>x</Value></Tag></TagSet></Tagging>"},
        {owner, "DELETE", bucket, "tagging", NULL},
        {owner, "PUT", "/t-stranger", NULL, ""},
        {owner, "GET", "/" S3_POOL_BUCKET "/" S3_POOL_OBJECT, NULL, NULL},
    };
    for (size_t at = 0; at < ARRAY_SIZE(refused); at++) {
        int rc = test_do(ctx, refused[at].key, refused[at].method, refused[at].path,
                         refused[at].query, refused[at].body, NULL);
        if (rc != -ERR_DENIED)
            fail_msg("row %zu: %s %s?%s: %d %s", at, refused[at].method, refused[at].path,
                     refused[at].query ? refused[at].query : "", rc, ctx->err.message);
    }
    assert_int_equal(
        test_do(ctx, &(struct s3_key){owner->access, "wrong"}, "GET", kept, NULL, NULL, NULL),
        -ERR_DENIED);
    assert_string_equal(ctx->err.reason, "SignatureDoesNotMatch");
    assert_int_equal(
        test_do(ctx, &(struct s3_key){"nobody", "wrong"}, "GET", kept, NULL, NULL, NULL),
        -ERR_DENIED);
    assert_string_equal(ctx->err.reason, "InvalidAccessKeyId");
    struct http_response response;
    SUCCEEDS(ctx, test_do(ctx, stranger, "GET", "/", NULL, NULL, &response));
    assert_null(strstr(response.body, one.identity));
    SUCCEEDS(ctx, test_do(ctx, owner, "GET", kept, NULL, NULL, &response));
    assert_string_equal(response.body, "data");
    SUCCEEDS(ctx, test_remove(ctx, &one, NULL));
    SUCCEEDS(ctx, test_remove(ctx, &other, NULL));
}

static void closed_means_closed(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool pool = test_pool();
    struct s3_want want = test_want(ctx);
    const struct s3_key *key = &want.keys[0];
    const char *kept = object(ctx, &want, "docker/kept");
    int changes = -1;
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    SUCCEEDS(ctx, test_do(ctx, key, "PUT", kept, NULL, "data", NULL));
    assert_int_equal(test_presigned(ctx, key, kept), 200);

    want.open = false;
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, &changes));
    assert_true(changes > 0);
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, &changes));
    assert_int_equal(changes, 0);
    assert_int_equal(test_presigned(ctx, key, kept), 403);
    assert_int_equal(test_do(ctx, key, "GET", kept, NULL, NULL, NULL), -ERR_DENIED);
    assert_int_equal(test_do(ctx, key, "PUT", kept, NULL, "more", NULL), -ERR_DENIED);
    assert_int_equal(test_do(ctx, key, "GET", bucket_of(ctx, &want), "list-type", NULL, NULL),
                     -ERR_DENIED);

    want.open = true; /* the undo: the same key, and all is there */
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    struct http_response response;
    SUCCEEDS(ctx, test_do(ctx, key, "GET", kept, NULL, NULL, &response));
    assert_string_equal(response.body, "data");
    assert_int_equal(test_presigned(ctx, key, kept), 200);
    SUCCEEDS(ctx, test_remove(ctx, &want, NULL));
}

/* Who needs a bucket that can be listed gets a proof, or nothing. */
static void a_proof_is_of_a_bucket_that_lets_in(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool pool = test_pool();
    struct s3_want want = test_want(ctx);
    struct s3_proof proof;
    int64_t before_ms = clock_boottime_ms();
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    _cleanup_s3_ struct s3 *s3 = NULL;
    SUCCEEDS(ctx, s3_begin(ctx, &pool, &want, &s3));
    SUCCEEDS(ctx, s3_prove_bucket(ctx, s3, &want.keys[0], &proof));
    assert_string_equal(proof.bucket, s3_name(ctx, want.identity));
    assert_true(proof.at_ms >= before_ms && proof.at_ms <= clock_boottime_ms());
    const struct s3_key wrong = {want.keys[0].access, SECRET "wrong"};
    assert_int_equal(s3_prove_bucket(ctx, s3, &wrong, &proof), -ERR_DENIED);
    assert_int_equal(proof.at_ms, 0);
    SUCCEEDS(ctx, test_remove(ctx, &want, NULL));
}

static void rotates(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool pool = test_pool();
    struct s3_want want = test_want(ctx);
    const struct s3_key old = want.keys[0];
    const struct s3_key new = {arena_printf(ctx->arena, "%sk2", s3_prefix(ctx, want.identity)),
                               SECRET "two"};
    const char *kept = object(ctx, &want, "docker/kept");
    struct s3_state found;
    int changes = -1;
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    want.keys[0] = new;
    want.keys[1] = old;
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    SUCCEEDS(ctx, test_do(ctx, &old, "PUT", kept, NULL, "data", NULL));
    SUCCEEDS(ctx, test_do(ctx, &new, "GET", kept, NULL, NULL, NULL));
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, &changes));
    assert_int_equal(changes, 0);
    want.keys[1] = (struct s3_key){0};
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    assert_int_equal(test_do(ctx, &old, "GET", kept, NULL, NULL, NULL), -ERR_DENIED);
    SUCCEEDS(ctx, test_do(ctx, &new, "GET", kept, NULL, NULL, NULL));
    SUCCEEDS(ctx, test_observe(ctx, &want, &found));
    assert_int_equal(found.accounts, 1);
    SUCCEEDS(ctx, test_remove(ctx, &want, NULL));
}

/* What is left of two keys when somebody takes some away between the look and the proof. */
static int prove_what_is_left(struct ctx *ctx, const struct s3_want *want, bool first, bool second,
                              struct s3_state *ret)
{
    const struct s3_pool pool = test_pool();
    struct s3_want left = *want;
    _cleanup_s3_ struct s3 *s3 = NULL;
    SUCCEEDS(ctx, test_converge(ctx, &pool, want, NULL));
    SUCCEEDS(ctx, s3_begin(ctx, &pool, want, &s3));
    SUCCEEDS(ctx, s3_observe(ctx, s3, ret));
    left.open = first || second;
    left.keys[0] = want->keys[first ? 0 : 1];
    left.keys[1] = first && second ? want->keys[1] : (struct s3_key){0};
    SUCCEEDS(ctx, test_converge(ctx, &pool, &left, NULL));
    return s3_update(ctx, s3, ret);
}

static void of_two_keys_the_one_that_stays_is_enough(void **state)
{
    static const struct {
        bool first, second; /* opens the bucket */
        bool second_is_next;
        int rc;
        bool unproved;
    } rows[] = {
        {true, true, true, 0, false},
        {true, false, true, 0, true},
        {false, true, true, 0, false},
        {false, false, true, -ERR_DENIED, false},
        {true, false, false, 0, false}, /* the old one: nothing waits for it */
        {false, true, false, -ERR_DENIED, false},
    };
    struct ctx *ctx = *state;
    struct s3_want want = test_want(ctx);
    want.keys[1] = (struct s3_key){arena_printf(ctx->arena, "%sk2", s3_prefix(ctx, want.identity)),
                                   SECRET "two"};
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        struct s3_state found = {0};
        want.second_is_next = rows[at].second_is_next;
        int rc = prove_what_is_left(ctx, &want, rows[at].first, rows[at].second, &found);
        if (rc != rows[at].rc || (found.unproved != NULL) != rows[at].unproved)
            fail_msg("row %zu: %d %s", at, rc, found.unproved ? found.unproved : "");
        err_clear(ctx);
    }
    want.second_is_next = false;
    SUCCEEDS(ctx, test_remove(ctx, &want, NULL));
}

static void a_strangers_bucket_is_left_alone(void **state)
{
    struct ctx *ctx = *state;
    struct s3_want want = test_want(ctx);
    struct s3_pool pool = test_pool();
    const char *bucket = bucket_of(ctx, &want), *kept = object(ctx, &want, "theirs");
    SUCCEEDS(ctx, test_do(ctx, NULL, "PUT", bucket, NULL, "", NULL));
    SUCCEEDS(ctx, test_do(ctx, NULL, "PUT", kept, NULL, "data", NULL));
    const char *before = test_snapshot(ctx);
    assert_int_equal(test_converge(ctx, &pool, &want, NULL), -ERR_TAKEN);
    assert_int_equal(test_remove(ctx, &want, NULL), -ERR_TAKEN);
    SUCCEEDS(ctx, test_do(ctx, NULL, "GET", kept, NULL, NULL, NULL));
    assert_string_equal(test_snapshot(ctx), before);
    SUCCEEDS(ctx, test_do(ctx, NULL, "DELETE", kept, NULL, NULL, NULL));
    SUCCEEDS(ctx, test_do(ctx, NULL, "DELETE", bucket, NULL, NULL, NULL));

    /* Another cell's. */
    pool.cell = "99999999-2222-3333-4444-555555555555";
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    before = test_snapshot(ctx);
    const struct s3_pool ours = test_pool();
    assert_int_equal(test_converge(ctx, &ours, &want, NULL), -ERR_TAKEN);
    assert_int_equal(test_remove(ctx, &want, NULL), -ERR_TAKEN);
    assert_string_equal(test_snapshot(ctx), before);
    _cleanup_s3_ struct s3 *s3 = NULL;
    SUCCEEDS(ctx, s3_begin(ctx, &pool, &want, &s3));
    SUCCEEDS(ctx, s3_remove(ctx, s3));
}

static void a_foreign_policy_is_told_and_mended(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool pool = test_pool();
    struct s3_want want = test_want(ctx);
    struct s3_state found;
    int changes = -1;
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    SUCCEEDS(ctx, test_observe(ctx, &want, &found));
    /* The same, but without the right to list. */
    const char *list = strstr(found.policy, "s3:ListBucket\"");
    assert_non_null(list);
    const char *policy =
        arena_printf(ctx->arena, "%.*ss3:GetBucketAcl%s", (int)(list - found.policy), found.policy,
                     list + strlen("s3:ListBucket"));
    SUCCEEDS(ctx, test_do(ctx, NULL, "PUT", bucket_of(ctx, &want), "policy", policy, NULL));
    SUCCEEDS(ctx, test_observe(ctx, &want, &found));
    assert_true(found.foreign_policy);
    {
        _cleanup_s3_ struct s3 *s3 = NULL;
        SUCCEEDS(ctx, s3_begin(ctx, &pool, &want, &s3));
        assert_int_equal(s3_prove(ctx, s3, &want.keys[0]), -ERR_DENIED);
        assert_non_null(strstr(ctx->err.message, "list '"));
    }
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, &changes));
    assert_int_equal(changes, 1);
    SUCCEEDS(ctx, test_observe(ctx, &want, &found));
    assert_false(found.foreign_policy);
    SUCCEEDS(ctx, test_remove(ctx, &want, NULL));
}

static void the_pool_has_one_owner(void **state)
{
    struct ctx *ctx = *state;
    struct s3_pool pool = test_pool();
    struct s3_health health;
    for (int at = 0; at < 2; at++) {
        SUCCEEDS(ctx, s3_check(ctx, &pool, &health));
        assert_true(health.ours);
    }
    pool.cell = "another";
    SUCCEEDS(ctx, s3_check(ctx, &pool, &health));
    assert_false(health.ours);
    assert_string_equal(health.owner, CELL);
    pool.secret_key = "wrong";
    assert_int_equal(s3_check(ctx, &pool, &health), -ERR_DENIED);
}

static void start_upload(struct ctx *ctx, const struct s3_want *want, const char *key)
{
    SUCCEEDS(ctx,
             test_do(ctx, &want->keys[0], "POST", object(ctx, want, key), "uploads", "", NULL));
}

static void removal_leaves_nothing(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool pool = test_pool();
    struct s3_want want = test_want(ctx);
    struct s3_store *open = NULL;
    const struct s3_address address = {
        .host = store.host, .port = store.port, .ssl_mode = "disable", .region = store.region};
    const char *before = test_snapshot(ctx);
    int changes = -1;
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    assert_non_null(strstr(test_snapshot(ctx), "\"kind\":\"Bucket\""));
    SUCCEEDS(ctx, s3_store_new(ctx, &address, &open));
    for (int at = 0; at < MANY_OBJECTS; at++) {
        struct ctx each = ctx_make(arena_new(), "test");
        const struct s3_request request = {
            .method = "PUT",
            .path = object(
                &each, &want,
                arena_printf(each.arena, "docker/%d & <%d>/\xc3\xa9+ %d", at % 50, at % 7, at)),
            .content_type = "text/plain",
            .body = "x",
            .body_bytes = 1};
        struct http_response response;
        SUCCEEDS(&each, s3_call(&each, open, want.keys[0].access, want.keys[0].secret, &request,
                                &response));
        arena_free(each.arena);
    }
    s3_store_free(open);
    start_upload(ctx, &want, "docker/unfinished");
    start_upload(ctx, &want, "docker/unfinished");
    SUCCEEDS(ctx, test_remove(ctx, &want, NULL));
    assert_string_equal(test_snapshot(ctx), before);
    SUCCEEDS(ctx, test_remove(ctx, &want, &changes));
    assert_int_equal(changes, 0);
}

/* ---- crashes ---- */

/* A life: made, rotated, closed, opened, filled, removed. Each step can be repeated. */
static int live(struct ctx *ctx, const struct s3_want *wanted)
{
    const struct s3_pool pool = test_pool();
    struct s3_want want = *wanted;
    want.keys[1] = (struct s3_key){arena_printf(ctx->arena, "%sk2", s3_prefix(ctx, want.identity)),
                                   SECRET "two"};
    TRY(test_converge(ctx, &pool, &want, NULL));
    want.keys[1] = (struct s3_key){0};
    TRY(test_converge(ctx, &pool, &want, NULL));
    want.open = false;
    TRY(test_converge(ctx, &pool, &want, NULL));
    want.open = true;
    TRY(test_converge(ctx, &pool, &want, NULL));
    TRY(test_do(ctx, &want.keys[0], "PUT", object(ctx, &want, "docker/a"), NULL, "x", NULL));
    return test_remove(ctx, &want, NULL);
}

/* In a child: armed there, and nowhere else. Returns its wait status. */
static int live_armed(struct ctx *ctx, const struct s3_want *want, const char *point,
                      const char *action)
{
    char dir[] = "/tmp/flotilla-failpoints-XXXXXX";
    assert_non_null(mkdtemp(dir));
    pid_t pid = fork();
    if (pid != 0) {
        const char *const clean[] = {"/bin/rm", "-r", dir, NULL};
        int status = 0;
        waitpid(pid, &status, 0);
        servers_run(clean, NULL, 0);
        return status;
    }
    setenv("FLOTILLA_FAILPOINT_DIR", dir, 1);
    setenv("FLOTILLA_FAILPOINTS", arena_printf(ctx->arena, "%s=%s", point, action), 1);
    setenv("FLOTILLA_LOG", "error", 1);
    log_init("test");
    if (failpoint_init() < 0)
        _exit(3);
    int rc = live(ctx, want);
    bool fired = access(arena_printf(ctx->arena, "%s/fired.%s", dir, point), F_OK) == 0;
    if (!fired)
        _exit(rc == 0 ? 4 : 5);
    _exit(rc == 0 ? 0 : 1);
}

static void any_interruption_can_be_repeated(void **state)
{
    struct ctx *ctx = *state;
    static const enum call calls[] = {
        CALL_S3_OBSERVE,     CALL_S3_USER_SET,     CALL_S3_BUCKET_CREATE, CALL_S3_BUCKET_MARK,
        CALL_S3_BUCKET_OPEN, CALL_S3_BUCKET_CLOSE, CALL_S3_PROVE,         CALL_S3_OBJECTS_DELETE,
        CALL_S3_BUCKET_DROP, CALL_S3_USER_DROP,
    };
    static const char *const sides[] = {"before", "after"}, *const actions[] = {"error", "kill"};
    const char *before = test_snapshot(ctx);
    int fired = 0;
    for (size_t at = 0; at < ARRAY_SIZE(calls) * 4; at++) {
        struct ctx each = ctx_make(arena_new(), "test");
        struct s3_want want = test_want(&each);
        const char *point =
            arena_printf(each.arena, "%s.%s", call_row(calls[at / 4])->name, sides[at / 2 % 2]);
        int status = live_armed(&each, &want, point, actions[at % 2]);
        bool unreached = WIFEXITED(status) && WEXITSTATUS(status) == 4;
        if (WIFEXITED(status) && WEXITSTATUS(status) != 1 && !unreached)
            fail_msg("%s=%s: exit status %d", point, actions[at % 2], WEXITSTATUS(status));
        assert_true(!unreached || calls[at / 4] == CALL_S3_BUCKET_MARK);
        fired += !unreached;
        SUCCEEDS(&each, live(&each, &want));
        arena_free(each.arena);
    }
    assert_true(fired >= 36);
    assert_string_equal(test_snapshot(ctx), before);
}

/* ---- no answer, no lease ---- */

static void a_dead_store_holds_nobody(void **state)
{
    struct ctx *ctx = *state;
    struct s3_pool pool = test_pool();
    struct s3_want want = test_want(ctx);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    pool.port = ntohs(address.sin_port);
    pool.name = "closed";
    int64_t started_ms = clock_boottime_ms();
    for (int at = 0; at < BREAKER_FAILURES; at++) {
        assert_int_equal(test_converge(ctx, &pool, &want, NULL), -ERR_UNAVAILABLE);
        assert_string_equal(ctx->err.reason, "Unavailable");
    }
    assert_int_equal(test_converge(ctx, &pool, &want, NULL), -ERR_UNAVAILABLE);
    assert_string_equal(ctx->err.reason, "BreakerOpen");
    assert_true(clock_boottime_ms() - started_ms < 1000);

    assert_int_equal(listen(fd, 4), 0); /* takes the connection, and says nothing */
    pool.name = "silent";
    started_ms = clock_boottime_ms();
    ctx->deadline_ms = started_ms + 300;
    assert_int_equal(test_converge(ctx, &pool, &want, NULL), -ERR_TIMEOUT);
    assert_true(clock_boottime_ms() - started_ms < 1500);
    close(fd);
}

static int refuse_all(struct ctx *ctx, const struct gate *gate)
{
    (void)gate;
    return err_set(ctx, ERR_LEASE_LOST, NULL, "lost");
}

static void nothing_is_changed_without_a_lease(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool pool = test_pool();
    const struct gate gate = {.check = refuse_all};
    struct s3_want want = test_want(ctx), never = test_want(ctx);
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, NULL));
    const char *before = test_snapshot(ctx);
    ctx->gate = &gate;
    assert_int_equal(test_converge(ctx, &pool, &never, NULL), -ERR_LEASE_LOST);
    assert_int_equal(test_remove(ctx, &want, NULL), -ERR_LEASE_LOST);
    want.open = false;
    assert_int_equal(test_converge(ctx, &pool, &want, NULL), -ERR_LEASE_LOST);
    ctx->gate = NULL;
    assert_string_equal(test_snapshot(ctx), before);
    SUCCEEDS(ctx, test_remove(ctx, &want, NULL));
}

/* A provider's bucket and key: made here with the administrator's driver, and then used without. */
static void a_static_bucket_is_used_as_it_is(void **state)
{
    struct ctx *ctx = *state;
    const struct s3_pool administered = test_pool();
    struct s3_pool pool = administered;
    struct s3_want provider = test_want(ctx), want = test_want(ctx), other = test_want(ctx);
    struct s3_health health;
    int changes = -1;
    pool.driver = "static";
    pool.access_key = pool.secret_key = NULL;
    SUCCEEDS(ctx, test_converge(ctx, &administered, &provider, NULL));
    want.bucket = other.bucket = s3_name(ctx, provider.identity);
    want.keys[0] = other.keys[0] = provider.keys[0];
    SUCCEEDS(ctx, s3_check(ctx, &pool, &health));
    assert_true(health.ours);
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, &changes));
    assert_int_equal(changes, 1); /* the mark */
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, &changes));
    assert_int_equal(changes, 0);
    assert_int_equal(test_converge(ctx, &pool, &other, NULL), -ERR_TAKEN);
    want.open = false;
    SUCCEEDS(ctx, test_converge(ctx, &pool, &want, &changes));
    assert_int_equal(changes, 0);
    SUCCEEDS(ctx, test_do(ctx, &want.keys[0], "PUT",
                          arena_printf(ctx->arena, "/%s/docker/a", want.bucket), NULL, "x", NULL));
    {
        _cleanup_s3_ struct s3 *s3 = NULL;
        struct s3_state found;
        SUCCEEDS(ctx, s3_begin(ctx, &pool, &want, &s3));
        SUCCEEDS(ctx, s3_observe(ctx, s3, &found));
        assert_false(found.lockable);
        SUCCEEDS(ctx, s3_remove(ctx, s3));
        SUCCEEDS(ctx, s3_observe(ctx, s3, &found));
        assert_true(found.bucket && !found.marked);
    }
    SUCCEEDS(ctx, test_converge(ctx, &pool, &other, NULL)); /* the next registry's */
    SUCCEEDS(ctx, test_remove(ctx, &provider, NULL));
}

static void a_form_that_was_not_agreed_is_refused(void **state)
{
    struct ctx *ctx = *state;
    struct s3_pool pool = test_pool();
    const struct s3_want good = test_want(ctx);
    const char *prefix = s3_prefix(ctx, good.identity);
    const struct s3_key bad[] = {
        {"t-other-k1", SECRET},
        {prefix, SECRET},
        {arena_printf(ctx->arena, "%sa\"b", prefix), SECRET},
        {arena_printf(ctx->arena, "%sk1", prefix), "short"},
        {arena_printf(ctx->arena, "%sk1", prefix), NULL},
    };
    for (size_t at = 0; at < ARRAY_SIZE(bad); at++) {
        struct s3_want want = good;
        want.keys[0] = bad[at];
        assert_int_equal(test_converge(ctx, &pool, &want, NULL), -ERR_INVALID);
    }
    pool.driver = "nfs";
    assert_int_equal(test_converge(ctx, &pool, &good, NULL), -ERR_CONFIG);
    pool = test_pool();
    pool.ssl_mode = "maybe";
    assert_int_equal(test_converge(ctx, &pool, &good, NULL), -ERR_CONFIG);
    pool = test_pool();
    pool.region = "elsewhere-1";
    assert_true(test_converge(ctx, &pool, &good, NULL) < 0);
}

/* An argument names the one store that is wanted. */
int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(the_pool_has_one_owner),
        TEST(converges_and_proves),
        TEST(a_changed_secret_is_mended),
        TEST(others_are_refused),
        TEST(closed_means_closed),
        TEST(a_proof_is_of_a_bucket_that_lets_in),
        TEST(rotates),
        TEST(of_two_keys_the_one_that_stays_is_enough),
        TEST(a_strangers_bucket_is_left_alone),
        TEST(a_foreign_policy_is_told_and_mended),
        TEST(removal_leaves_nothing),
        TEST(any_interruption_can_be_repeated),
        TEST(a_dead_store_holds_nobody),
        TEST(nothing_is_changed_without_a_lease),
        TEST(a_static_bucket_is_used_as_it_is),
        TEST(a_form_that_was_not_agreed_is_refused),
    };
    const char *only = argc > 1 ? argv[1] : NULL;
    int failed = 0;
    if (!only || str_equal(only, "radosgw"))
        failed += cmocka_run_group_tests_name("radosgw", tests, start_radosgw, stop_radosgw);
    if (!only || str_equal(only, "versitygw"))
        failed += cmocka_run_group_tests_name("versitygw", tests, start_versitygw, stop_versitygw);
    return failed;
}
