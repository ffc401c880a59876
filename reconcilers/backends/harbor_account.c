/* The operator's robot, and the administrator's password: who may talk to a Harbor. */
#include "reconcilers/backends/harbor_answers.h"
#include "reconcilers/backends/harbor_rights.h"
#include "reconcilers/backends/harbor_session.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define SMALL "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

enum {
    PASSWORD_MIN = 8,
    PASSWORD_MAX = 128,
    MARK_MAX = 255,
    LOCK_MARGIN_MS = 100, /* a name is locked until about when its wrong password is answered */
};

bool harbor_password_fits(const char *password)
{
    size_t length = password ? strlen(password) : 0;
    return length >= PASSWORD_MIN && length <= PASSWORD_MAX && strpbrk(password, CAPITALS) &&
           strpbrk(password, SMALL) && strpbrk(password, DIGITS);
}

/* ---- the robot ---- */

/* One call per right that can be tried without doing anything. */
static int try_robot(struct ctx *ctx, struct harbor *harbor)
{
    static const char *const paths[] = {
        "/api/v2.0/quotas?reference=project&page_size=1",
        "/api/v2.0/system/gc/schedule",
        "/api/v2.0/system/gc?page_size=1",
    };
    for (size_t at = 0; at < ARRAY_SIZE(paths); at++) {
        json_t *unread = NULL;
        TRY(harbor_get(ctx, harbor, CALL_HARBOR_LOGIN, HARBOR_ROBOT, paths[at], &unread));
    }
    return 0;
}

struct search {
    const char *mark;
    const char *name; /* of ours; NULL = there is none */
    int64_t id;
    bool same; /* it has our rights */
};

/* By its description, and by its name as far as that is ours. */
static int take_ours(struct ctx *ctx, const json_t *robot, void *arg)
{
    struct search *search = arg;
    const char *name = json_str_or(robot, "name", "");
    size_t length = strlen(name), suffix = strlen(HARBOR_ROBOT_NAME);
    if (str_equal(json_str(robot, "description"), search->mark) &&
        str_equal(json_str(robot, "level"), "system") && length >= suffix &&
        str_equal(name + length - suffix, HARBOR_ROBOT_NAME)) {
        search->name = arena_strdup(ctx->arena, name);
        search->id = json_int_or(robot, "id", 0);
        search->same = harbor_rights_same(robot);
    }
    return 0;
}

static int find(struct ctx *ctx, struct harbor *harbor, struct search *search)
{
    return harbor_each(ctx, harbor, CALL_HARBOR_ROBOT_FIND, HARBOR_ADMIN, "/api/v2.0/robots",
                       take_ours, search);
}

static int create(struct ctx *ctx, struct harbor *harbor, struct search *search)
{
    const struct harbor_request request = {
        .call = CALL_HARBOR_ROBOT_CREATE,
        .as = HARBOR_ADMIN,
        .method = "POST",
        .path = "/api/v2.0/robots",
        .body = harbor_rights_body(ctx, HARBOR_ROBOT_NAME, search->mark)};
    struct harbor_answer answer; /* its secret is never used */
    int rc = harbor_send(ctx, harbor, &request, &answer);
    if (rc == -ERR_ALREADY_EXISTS)
        return err_set(ctx, ERR_TAKEN, "RobotTaken",
                       "a robot '%s' of this Harbor has another description than ours",
                       HARBOR_ROBOT_NAME);
    TRY(rc);
    TRY(find(ctx, harbor, search));
    if (!search->name)
        return err_set(ctx, ERR_PROTOCOL, NULL, "a robot was made and is not there");
    return 0;
}

static int mend(struct ctx *ctx, struct harbor *harbor, const struct search *search,
                const char *path)
{
    struct harbor_answer answer;
    if (search->same)
        return 0;
    const struct harbor_request request = {.call = CALL_HARBOR_ROBOT_UPDATE,
                                           .as = HARBOR_ADMIN,
                                           .method = "PUT",
                                           .path = path,
                                           .body =
                                               harbor_rights_body(ctx, search->name, search->mark)};
    return harbor_send(ctx, harbor, &request, &answer);
}

static int set_secret(struct ctx *ctx, struct harbor *harbor, const char *path)
{
    json_t *body = arena_json(ctx->arena, json_pack("{s:s}", "secret", harbor->robot.password));
    const struct harbor_request request = {.call = CALL_HARBOR_ROBOT_SECRET,
                                           .as = HARBOR_ADMIN,
                                           .method = "PATCH",
                                           .path = path,
                                           .body = json_text(ctx->arena, body),
                                           .secret = true};
    struct harbor_answer answer;
    return harbor_send(ctx, harbor, &request, &answer);
}

/* A name goes into a header and into JSON of ours as it is. */
static bool is_plain(const char *text, size_t max)
{
    return str_matches(text, CAPITALS SMALL DIGITS ":._-$+@", 1, max);
}

static int repair(struct ctx *ctx, struct harbor *harbor, const char *mark)
{
    struct search search = {.mark = mark};
    TRY(find(ctx, harbor, &search));
    if (!search.name)
        TRY(create(ctx, harbor, &search));
    if (search.id <= 0 || !is_plain(search.name, MARK_MAX))
        return err_set(ctx, ERR_PROTOCOL, NULL, "Harbor lists our robot without id or name");
    const char *path = arena_printf(ctx->arena, "/api/v2.0/robots/%lld", (long long)search.id);
    TRY(mend(ctx, harbor, &search, path));
    TRY(set_secret(ctx, harbor, path));
    harbor->robot.user = search.name;
    return try_robot(ctx, harbor);
}

int harbor_account(struct ctx *ctx, struct harbor *harbor, const char *mark, bool look,
                   const char **ret_user)
{
    if (!is_plain(mark, MARK_MAX) || !harbor_password_fits(harbor->robot.password))
        return err_set(ctx, ERR_INVALID, NULL,
                       "the robot's mark or secret is not of the agreed form");
    int rc = look ? -ERR_DENIED : try_robot(ctx, harbor);
    if (rc == -ERR_DENIED) {
        err_clear(ctx);
        rc = repair(ctx, harbor, mark);
    }
    TRY(rc);
    *ret_user = harbor->robot.user;
    return 0;
}

/* ---- the administrator ---- */

static int change_password(struct ctx *ctx, struct harbor *harbor, const struct harbor_login *old,
                           const char *wanted)
{
    json_t *body = arena_json(
        ctx->arena, json_pack("{s:s, s:s}", "old_password", old->password, "new_password", wanted));
    const struct harbor_request request = {.call = CALL_HARBOR_PASSWORD_SET,
                                           .as = HARBOR_ADMIN,
                                           .login = old,
                                           .method = "PUT",
                                           .path = "/api/v2.0/users/1/password",
                                           .body = json_text(ctx->arena, body),
                                           .secret = true};
    struct harbor_answer answer;
    return harbor_send(ctx, harbor, &request, &answer);
}

static int check_password(struct ctx *ctx, struct harbor *harbor, const struct harbor_login *login)
{
    const struct harbor_request request = {.call = CALL_HARBOR_PASSWORD_CHECK,
                                           .as = HARBOR_ADMIN,
                                           .login = login,
                                           .method = "GET",
                                           .path = "/api/v2.0/users/current"};
    struct harbor_answer answer;
    return harbor_send(ctx, harbor, &request, &answer);
}

int harbor_admin_password(struct ctx *ctx, struct harbor *harbor, const char *old,
                          const char *wanted)
{
    const struct harbor_login before = {harbor->server->admin.user, old};
    const struct harbor_login after = {harbor->server->admin.user, wanted};
    if (!harbor_password_fits(wanted))
        return err_set(ctx, ERR_INVALID, NULL, "the new password is not one that Harbor takes");
    int changed = change_password(ctx, harbor, &before, wanted);
    if (changed == 0)
        return check_password(ctx, harbor, &after);
    if (changed != -ERR_DENIED && changed != -ERR_REFUSED)
        return changed;
    const struct err why = ctx->err;
    clock_sleep_ms(LOCK_MARGIN_MS);
    int rc = check_password(ctx, harbor, &after);
    if (rc == 0)
        err_clear(ctx); /* it had been changed before */
    if (rc != -ERR_DENIED)
        return rc;
    if (changed == -ERR_DENIED)
        return err_set(ctx, ERR_DENIED, "AdminPasswordUnknown",
                       "Harbor takes neither the old nor the new password of its administrator");
    ctx->err = why;
    return changed;
}
