/* Preloaded by a test: the wall clock of a process is SKEW_S seconds ahead (or behind); no other
 * clock is touched. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *ret)
{
    const char *skew = getenv("SKEW_S");
    int rc = (int)syscall(SYS_clock_gettime, id, ret);
    if (rc == 0 && id == CLOCK_REALTIME && skew)
        ret->tv_sec += strtol(skew, NULL, 10);
    return rc;
}
