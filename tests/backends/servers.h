/* Starts what a test of reconcilers/backends needs: the private stack's servers, or a program that
 * prints its port. All of them end with the test. */
#pragma once

#include "server/base/str.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SERVERS_TEXT_BYTES = 16384 };

struct servers {
    char dir[256];
    char env[SERVERS_TEXT_BYTES]; /* KEY='VALUE' lines of `stack env` */
};

/* Runs a command; what it prints goes to `out` when that is given. */
static inline int servers_run(const char *const argv[], char *out, size_t bytes)
{
    int ends[2] = {-1, -1};
    size_t length = 0;
    if (out && pipe(ends) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (out)
            dup2(ends[1], STDOUT_FILENO);
        for (int at = 0; out && at < 2; at++)
            close(ends[at]);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    if (out) {
        close(ends[1]);
        for (ssize_t got;
             length < bytes - 1 && (got = read(ends[0], out + length, bytes - 1 - length)) > 0;)
            length += (size_t)got;
        out[length] = '\0';
        close(ends[0]);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* `without`: the names of the stack's servers that are not needed, ended by NULL. */
static inline int servers_up(struct servers *servers, const char *const without[])
{
    const char *base = getenv("FLOTILLA_TEST_DIR");
    const char *up[32] = {"server/dev/stack", "up", servers->dir, "--fast"};
    const char *const env[] = {"server/dev/stack", "env", servers->dir, NULL};
    int count = 4;
    snprintf(servers->dir, sizeof servers->dir, "%s/backends-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(servers->dir))
        return -1;
    for (int at = 0; without[at]; at++) {
        up[count++] = "--without";
        up[count++] = without[at];
    }
    if (servers_run(up, NULL, 0) < 0)
        return -1;
    return servers_run(env, servers->env, sizeof servers->env);
}

static inline int servers_down(const struct servers *servers)
{
    const char *const down[] = {"server/dev/stack", "down", servers->dir, "--purge", NULL};
    return servers_run(down, NULL, 0);
}

/* The value of a line of `stack env`; none of ours holds a quote. */
static inline const char *servers_value(struct ctx *ctx, const struct servers *servers,
                                        const char *key)
{
    const char *start = arena_printf(ctx->arena, "%s='", key);
    const char *line = strstr(servers->env, start);
    assert_non_null(line);
    line += strlen(start);
    return arena_strndup(ctx->arena, line, strcspn(line, "'"));
}

static inline char *servers_file(struct ctx *ctx, const char *path)
{
    char text[4096];
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    return arena_strndup(ctx->arena, text, length);
}

/* A program that prints a line when it serves; ended by SIGTERM to the pid that is returned. */
static inline pid_t servers_spawn(const char *const argv[], char *line, size_t bytes)
{
    int ends[2];
    if (pipe(ends) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got; length < bytes - 1 && !memchr(line, '\n', length) &&
                      (got = read(ends[0], line + length, bytes - 1 - length)) > 0;)
        length += (size_t)got;
    line[length] = '\0';
    close(ends[0]);
    return pid;
}

/* With the error in the message when it does not. */
#define SUCCEEDS(ctx, expression)                                                                  \
    do {                                                                                           \
        int test_rc_ = (expression);                                                               \
        if (test_rc_ < 0)                                                                          \
            fail_msg("%s: %d %s: %s", #expression, test_rc_, (ctx)->err.reason,                    \
                     (ctx)->err.message);                                                          \
    } while (0)
