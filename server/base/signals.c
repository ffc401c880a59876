#include "server/base/signals.h"

#include <signal.h>
#include <time.h>

static sigset_t ends(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

void signals_block(void)
{
    const sigset_t set = ends();
    sigprocmask(SIG_BLOCK, &set, NULL);
}

int signals_wait(void)
{
    const sigset_t set = ends();
    int got = 0;
    sigwait(&set, &got);
    return got;
}

int signals_wait_ms(int ms)
{
    const sigset_t set = ends();
    const struct timespec patience = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    int got = sigtimedwait(&set, NULL, &patience);
    return got > 0 ? got : 0;
}
