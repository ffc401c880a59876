#include "server/base/clock.h"

#include <stdbool.h>
#include <stdio.h>

static int64_t now_ms(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_boottime_ms(void)
{
    return now_ms(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}

char *clock_rfc3339(char out[CLOCK_RFC3339_BYTES], int64_t wall_ms, int decimals)
{
    int64_t millis = (wall_ms % 1000 + 1000) % 1000;
    time_t seconds = (time_t)((wall_ms - millis) / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    int used =
        snprintf(out, CLOCK_RFC3339_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (decimals == 6)
        snprintf(out + used, CLOCK_RFC3339_BYTES - (size_t)used, ".%06dZ", (int)millis * 1000);
    else
        snprintf(out + used, CLOCK_RFC3339_BYTES - (size_t)used, "Z");
    return out;
}

/* So many digits, and nothing else that scanf() and strptime() would take for a number. */
static bool digits(const char **text, int count, int least, int most, int *ret)
{
    int value = 0;
    for (int at = 0; at < count; at++, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        value = value * 10 + (**text - '0');
    }
    *ret = value;
    return value >= least && value <= most;
}

static bool letter(const char **text, char wanted)
{
    return **text == wanted && (*text)++;
}

/* timegm() makes the 31st of June the 1st of July, and tells by changing what it was given. */
static bool date_and_time(const char **text, int64_t *ret_ms)
{
    struct tm tm = {0};
    bool fine = digits(text, 4, 0, 9999, &tm.tm_year) && letter(text, '-') &&
                digits(text, 2, 1, 12, &tm.tm_mon) && letter(text, '-') &&
                digits(text, 2, 1, 31, &tm.tm_mday) && letter(text, 'T') &&
                digits(text, 2, 0, 23, &tm.tm_hour) && letter(text, ':') &&
                digits(text, 2, 0, 59, &tm.tm_min) && letter(text, ':') &&
                digits(text, 2, 0, 60, &tm.tm_sec);
    int day = tm.tm_mday, second = tm.tm_sec;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    tm.tm_sec = 0;
    *ret_ms = ((int64_t)timegm(&tm) + second) * 1000;
    return fine && tm.tm_mday == day;
}

/* Thousandths; what is finer is left out. */
static bool fraction(const char **text, int64_t *ms)
{
    if (!letter(text, '.'))
        return true;
    const char *first = *text;
    for (int scale = 100; **text >= '0' && **text <= '9'; scale /= 10)
        *ms += (*(*text)++ - '0') * (int64_t)scale;
    return *text > first;
}

static bool offset(const char **text, int64_t *ms)
{
    int hours, minutes, sign = **text == '+' ? 1 : -1;
    if (letter(text, 'Z'))
        return true;
    if ((!letter(text, '+') && !letter(text, '-')) || !digits(text, 2, 0, 23, &hours) ||
        !letter(text, ':') || !digits(text, 2, 0, 59, &minutes))
        return false;
    *ms -= sign * ((int64_t)hours * 60 + minutes) * 60000;
    return true;
}

int clock_parse_rfc3339(const char *text, int64_t *ret_wall_ms)
{
    int64_t ms = 0;
    if (!text || !date_and_time(&text, &ms) || !fraction(&text, &ms) || !offset(&text, &ms) ||
        *text)
        return -1;
    *ret_wall_ms = ms;
    return 0;
}

void clock_sleep_ms(int64_t ms)
{
    if (ms <= 0)
        return;
    struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&ts, NULL);
}

void clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct timespec clock_until(int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nanoseconds = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += (time_t)(ms / 1000 + nanoseconds / 1000000000);
    until.tv_nsec = (long)(nanoseconds % 1000000000);
    return until;
}
