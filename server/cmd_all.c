/*
 * flotillad all: serve, fleet and operate as supervised children of one process, for development
 * and small installations. A child that ends is started again after a growing pause; the others
 * go on. Losing a cell never stops HTTP.
 */
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/commands.h"
#include "server/config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_FIRST_MS = 200, PAUSE_MAX_MS = 5000, STEADY_MS = 10000, STOP_MS = 20000 };

struct child {
    const char *role;
    pid_t pid; /* 0 = not running */
    int64_t started_ms, start_at_ms;
    int pause_ms;
};

/* Children read the same environment; options given to `all` reach them through it too. */
static void start(struct child *child, char **arguments)
{
    pid_t parent = getpid();
    child->pid = fork();
    if (child->pid != 0) {
        child->started_ms = clock_boottime_ms();
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    char *argv[64] = {(char[]){"flotillad"}, NULL};
    char role[16];
    snprintf(role, sizeof role, "%s", child->role);
    argv[1] = role;
    for (int at = 0; at < 60 && arguments[at]; at++)
        argv[at + 2] = arguments[at];
    execv("/proc/self/exe", argv);
    _exit(127);
}

static void reap(struct child *children, size_t count, int64_t now)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t at = 0; at < count; at++) {
            struct child *child = &children[at];
            if (child->pid != pid)
                continue;
            child->pid = 0;
            bool steady = now - child->started_ms >= STEADY_MS;
            child->pause_ms = steady || !child->pause_ms ? PAUSE_FIRST_MS : child->pause_ms * 2;
            if (child->pause_ms > PAUSE_MAX_MS)
                child->pause_ms = PAUSE_MAX_MS;
            child->start_at_ms = now + child->pause_ms;
            log_warn(NULL, "%s ended (%s %d), starts again in %d ms", child->role,
                     WIFSIGNALED(status) ? "signal" : "status",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), child->pause_ms);
        }
    }
}

static void stop(struct child *children, size_t count)
{
    for (size_t at = 0; at < count; at++)
        if (children[at].pid > 0)
            kill(children[at].pid, SIGTERM);
    int64_t until = clock_boottime_ms() + STOP_MS;
    bool left = true;
    while (left && clock_boottime_ms() < until) {
        left = false;
        for (size_t at = 0; at < count; at++) {
            if (children[at].pid > 0 && waitpid(children[at].pid, NULL, WNOHANG) == 0)
                left = true;
            else
                children[at].pid = 0;
        }
        clock_sleep_ms(20);
    }
    for (size_t at = 0; at < count; at++)
        if (children[at].pid > 0)
            kill(children[at].pid, SIGKILL);
}

int cmd_all(const struct config *config, int argc, char **argv)
{
    (void)config;
    if (argc > 0) {
        fprintf(stderr, "all: '%s' is no option\n", argv[0]);
        return 2;
    }
    struct child children[] = {{.role = "operate"}, {.role = "fleet"}, {.role = "serve"}};
    /* argv[-k] to argv[-1] are the options that main() consumed: hand them on. */
    char **arguments = argv;
    while (strcmp(arguments[-1], "all") != 0)
        arguments--;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (;;) {
        int64_t now = clock_boottime_ms();
        reap(children, ARRAY_SIZE(children), now);
        for (size_t at = 0; at < ARRAY_SIZE(children); at++)
            if (!children[at].pid && children[at].start_at_ms <= now)
                start(&children[at], arguments);
        const struct timespec pause = {.tv_nsec = 100000000};
        int got = sigtimedwait(&set, NULL, &pause);
        if (got == SIGTERM || got == SIGINT) {
            stop(children, ARRAY_SIZE(children));
            return 0;
        }
    }
}
