#include "server/adapters/child.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLICE_MS = 500, ASK_MS = 1000, END_POLL_MS = 10, SAID_BYTES = 400, SECRET_FD = 3 };

struct child {
    const char *name;
    pid_t pid; /* 0 = reaped */
    int in, out, err;
    int64_t asked_ms;      /* the gate */
    char said[SAID_BYTES]; /* the beginning of what it complains about */
    size_t said_bytes;
};

/* ---- start ---- */

/* Of ours the child needs where programs and authorities are; libpq reads many more. */
static const char *const passed_on[] = {"PATH", "HOME", "PGSSLROOTCERT"};

struct plan {
    int in[2], out[2], err[2], secret; /* pipes: [0] is read from */
    char *argv[32];
    char *envp[ARRAY_SIZE(passed_on) + 2];
};

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void done_plan(struct plan *plan)
{
    for (int end = 0; end < 2; end++) {
        shut(&plan->in[end]);
        shut(&plan->out[end]);
        shut(&plan->err[end]);
    }
    shut(&plan->secret);
}

/* libpq refuses a password file that others may read. */
static bool keep_secret(struct plan *plan, const char *secret)
{
    size_t bytes = strlen(secret);
    plan->secret = memfd_create("secret", MFD_CLOEXEC);
    return plan->secret >= 0 && fchmod(plan->secret, S_IRUSR | S_IWUSR) == 0 &&
           write(plan->secret, secret, bytes) == (ssize_t)bytes;
}

static bool make_plan(struct ctx *ctx, const struct child_options *options, struct plan *plan)
{
    *plan = (struct plan){.in = {-1, -1}, .out = {-1, -1}, .err = {-1, -1}, .secret = -1};
    size_t count = 0, variables = 0;
    plan->argv[count++] = arena_strdup(ctx->arena, options->program);
    for (const char *const *at = options->arguments; *at; at++) {
        if (count == ARRAY_SIZE(plan->argv) - 1)
            abort(); /* the callers are ours, and none has so many */
        plan->argv[count++] = arena_strdup(ctx->arena, *at);
    }
    plan->envp[variables++] = arena_strdup(ctx->arena, "LC_ALL=C");
    for (size_t at = 0; at < ARRAY_SIZE(passed_on); at++)
        if (getenv(passed_on[at]))
            plan->envp[variables++] =
                arena_printf(ctx->arena, "%s=%s", passed_on[at], getenv(passed_on[at]));
    return pipe2(options->fed ? plan->in : plan->out, O_CLOEXEC) == 0 &&
           pipe2(plan->err, O_CLOEXEC) == 0 &&
           (!options->secret || keep_secret(plan, options->secret));
}

static void redirect(posix_spawn_file_actions_t *actions, int fd, int to, int flags)
{
    if (fd >= 0)
        posix_spawn_file_actions_adddup2(actions, fd, to);
    else
        posix_spawn_file_actions_addopen(actions, to, "/dev/null", flags, 0);
}

/* It inherits neither our blocked signals nor that we ignore SIGPIPE. */
static int spawn(const struct plan *plan, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, ignored;
    sigemptyset(&none);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &ignored);
    redirect(&actions, plan->in[0], STDIN_FILENO, O_RDONLY);
    redirect(&actions, plan->out[1], STDOUT_FILENO, O_WRONLY);
    redirect(&actions, plan->err[1], STDERR_FILENO, O_WRONLY);
    if (plan->secret >= 0)
        posix_spawn_file_actions_adddup2(&actions, plan->secret, SECRET_FD);
    int failed = posix_spawnp(ret, plan->argv[0], &actions, &attributes, plan->argv, plan->envp);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static int take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    if (taken >= 0)
        fcntl(taken, F_SETFL, fcntl(taken, F_GETFL) | O_NONBLOCK);
    return taken;
}

int child_start(struct ctx *ctx, const struct child_options *options, struct child **ret)
{
    struct plan plan;
    pid_t pid = 0;
    bool made = make_plan(ctx, options, &plan);
    int failed = made ? spawn(&plan, &pid) : errno;
    if (failed) {
        done_plan(&plan);
        return made ? err_set(ctx, ERR_NOT_FOUND, "ProgramMissing", "%s cannot be run: %s",
                              options->program, strerror(failed))
                    : err_set(ctx, ERR_INTERNAL, NULL, "no pipes for %s: %s", options->program,
                              strerror(failed));
    }
    struct child *child = calloc(1, sizeof *child);
    if (!child)
        abort();
    const char *slash = strrchr(options->program, '/');
    child->name = arena_strdup(ctx->arena, slash ? slash + 1 : options->program);
    child->pid = pid;
    child->in = take(&plan.in[1]);
    child->out = take(&plan.out[0]);
    child->err = take(&plan.err[0]);
    done_plan(&plan);
    *ret = child;
    return 0;
}

/* ---- waiting ---- */

static void listen_to(struct child *child)
{
    char piece[SAID_BYTES];
    ssize_t got = read(child->err, piece, sizeof piece);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        shut(&child->err);
    for (ssize_t at = 0; at < got && child->said_bytes < SAID_BYTES - 1; at++)
        child->said[child->said_bytes++] = piece[at] == '\n' ? ' ' : piece[at];
}

/* Until `fd` (-1: what it complains about) has something to say. */
static int wait_for(struct ctx *ctx, struct child *child, int fd, short events)
{
    for (;;) {
        int64_t now_ms = clock_boottime_ms();
        if (now_ms - child->asked_ms >= ASK_MS) {
            TRY(ctx_may_write(ctx));
            child->asked_ms = now_ms;
        }
        int left_ms = ctx_left_ms(ctx, SLICE_MS);
        if (left_ms <= 0)
            return err_set(ctx, ERR_TIMEOUT, NULL, "%s did not go on in time", child->name);
        struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = child->err, .events = POLLIN}};
        (void)poll(fds, ARRAY_SIZE(fds), left_ms);
        if (fds[1].revents)
            listen_to(child);
        if (fds[0].revents || (fd < 0 && fds[1].revents))
            return 0;
    }
}

static bool is_passing(void)
{
    return errno == EAGAIN || errno == EINTR;
}

int child_read(struct ctx *ctx, struct child *child, char *into, size_t bytes, size_t *ret_bytes)
{
    size_t have = 0;
    ssize_t got = 1;
    while (have < bytes && got != 0) {
        got = read(child->out, into + have, bytes - have);
        if (got > 0)
            have += (size_t)got;
        else if (got < 0 && !is_passing())
            return err_set(ctx, ERR_INTERNAL, NULL, "reading from %s: %s", child->name,
                           strerror(errno));
        else if (got < 0)
            TRY(wait_for(ctx, child, child->out, POLLIN));
    }
    *ret_bytes = have;
    return 0;
}

int child_write(struct ctx *ctx, struct child *child, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t put = write(child->in, bytes, count);
        if (put >= 0) {
            bytes += put;
            count -= (size_t)put;
        } else if (is_passing()) {
            TRY(wait_for(ctx, child, child->in, POLLOUT));
        } else {
            TRY(child_finish(ctx, child));
            return err_set(ctx, ERR_REFUSED, "ChildFailed", "%s ended before it took everything",
                           child->name);
        }
    }
    return 0;
}

/* ---- end ---- */

int child_finish(struct ctx *ctx, struct child *child)
{
    int status = 0;
    shut(&child->in);
    shut(&child->out);
    while (child->err >= 0) /* its end ends this, too */
        TRY(wait_for(ctx, child, -1, 0));
    pid_t ended;
    while ((ended = waitpid(child->pid, &status, WNOHANG)) == 0) {
        if (ctx_left_ms(ctx, SLICE_MS) <= 0)
            return err_set(ctx, ERR_TIMEOUT, NULL, "%s did not end in time", child->name);
        clock_sleep_ms(END_POLL_MS);
    }
    child->pid = 0;
    if (ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return err_set(ctx, ERR_REFUSED, "ChildFailed", "%s failed: %s", child->name,
                   *child->said ? child->said : "it said nothing");
}

void child_end(struct child *child)
{
    if (!child)
        return;
    shut(&child->in);
    shut(&child->out);
    shut(&child->err);
    if (child->pid > 0) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
    }
    free(child);
}
