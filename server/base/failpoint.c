#include "server/base/failpoint.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct call_row rows[CALL_MAX] = {
#define CALL(id, name, role, why) [CALL_##id] = {name, role, why},
#include "server/base/calls.def"
#undef CALL
};

const struct call_row *call_row(enum call call)
{
    return &rows[call];
}

enum action { ACTION_NONE, ACTION_KILL, ACTION_HANG, ACTION_ERROR };

struct point {
    enum action action;
    int hang_ms;
};

bool failpoint_armed_;
static struct point points[CALL_MAX][2];
static const char *marker_dir;

static int parse_action(const char *text, struct point *point)
{
    int used = 0;
    if (strcmp(text, "kill") == 0)
        point->action = ACTION_KILL;
    else if (strcmp(text, "error") == 0)
        point->action = ACTION_ERROR;
    else if (sscanf(text, "hang(%9d)%n", &point->hang_ms, &used) == 1 && !text[used])
        point->action = ACTION_HANG;
    else
        return -1;
    return 0;
}

static struct point *find_point(const char *name)
{
    for (int call = CALL_NONE + 1; call < CALL_MAX; call++) {
        size_t length = strlen(rows[call].name);
        if (strncmp(name, rows[call].name, length) != 0)
            continue;
        if (strcmp(name + length, ".before") == 0)
            return &points[call][0];
        if (strcmp(name + length, ".after") == 0)
            return &points[call][1];
    }
    return NULL;
}

int failpoint_init(void)
{
    const char *wanted = getenv("FLOTILLA_FAILPOINTS");
    marker_dir = getenv("FLOTILLA_FAILPOINT_DIR");
    failpoint_armed_ = marker_dir || (wanted && *wanted);
    if (!wanted)
        return 0;
    char *copy = strdup(wanted), *rest = copy, *item;
    int rc = 0;
    while (rc == 0 && (item = strsep(&rest, ";"))) {
        char *equals = strchr(item, '=');
        if (!*item)
            continue;
        if (equals)
            *equals = '\0';
        struct point *point = equals ? find_point(item) : NULL;
        if (!point || parse_action(equals + 1, point) < 0) {
            fprintf(stderr, "FLOTILLA_FAILPOINTS: '%s' is not <point>=kill|hang(MS)|error\n", item);
            rc = -1;
        }
    }
    free(copy);
    return rc;
}

/* True when this process is the first to make the file. */
static bool mark(const char *kind, const char *name, const char *side)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.%s.%s", marker_dir, kind, name, side);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

int failpoint_hit(struct ctx *ctx, enum call call, bool after)
{
    const char *side = after ? "after" : "before";
    const struct point *point = &points[call][after];
    if (marker_dir)
        mark("hit", rows[call].name, side);
    if (point->action == ACTION_NONE)
        return 0;
    if (marker_dir && !mark("fired", rows[call].name, side))
        return 0;
    log_warn(ctx, "failpoint %s.%s fires", rows[call].name, side);
    switch (point->action) {
    case ACTION_KILL:
        kill(getpid(), SIGKILL);
        return 0;
    case ACTION_HANG:
        clock_sleep_ms(point->hang_ms);
        return 0;
    case ACTION_NONE:
    case ACTION_ERROR:
        break;
    }
    return err_set(ctx, ERR_UNAVAILABLE, "FailpointError", "failpoint %s.%s", rows[call].name,
                   side);
}
