/* Reads what the kernel knows about this process; what cannot be read is left out. */
#include "server/net/process.h"

#include "server/base/cleanup.h"
#include "server/base/str.h"

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Fields of /proc/self/stat after the command, whose name may hold anything: see proc(5). */
enum {
    STAT_UTIME = 11,
    STAT_STIME = 12,
    STAT_THREADS = 17,
    STAT_START = 19,
    STAT_VSIZE = 20,
    STAT_RSS = 21,
    STAT_FIELDS = 22
};

static bool read_text(const char *path, char *text, size_t bytes)
{
    _cleanup_file_ FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, bytes - 1, file) : 0;
    text[length] = '\0';
    return length > 0;
}

static bool read_stat(double fields[STAT_FIELDS])
{
    char text[2048];
    char *at = read_text("/proc/self/stat", text, sizeof text) ? strrchr(text, ')') : NULL;
    if (!at || strlen(at) < 4)
        return false;
    at += 3; /* past ") S": the state is no number */
    for (int field = 1; field < STAT_FIELDS; field++)
        fields[field] = strtod(at, &at);
    return true;
}

/* Wall time of the machine's start, from the "btime" line. */
static double read_boot_time(void)
{
    char line[4096];
    double seconds = 0;
    _cleanup_file_ FILE *file = fopen("/proc/stat", "re");
    while (file && fgets(line, sizeof line, file))
        if (str_starts(line, "btime "))
            seconds = strtod(line + strlen("btime "), NULL);
    return seconds;
}

static double count_open_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    double count = 0;
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count - 1; /* not the one that counts */
}

static void write_one(struct str *out, const char *name, const char *type, const char *help,
                      double value)
{
    str_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, value);
}

void process_write(struct str *out)
{
    double stat[STAT_FIELDS] = {0};
    struct rlimit limit;
    if (read_stat(stat)) {
        double ticks = (double)sysconf(_SC_CLK_TCK), page = (double)sysconf(_SC_PAGESIZE);
        write_one(out, "process_cpu_seconds_total", "counter", "User and system CPU time",
                  (stat[STAT_UTIME] + stat[STAT_STIME]) / ticks);
        write_one(out, "process_resident_memory_bytes", "gauge", "Resident memory",
                  stat[STAT_RSS] * page);
        write_one(out, "process_virtual_memory_bytes", "gauge", "Virtual memory", stat[STAT_VSIZE]);
        write_one(out, "process_threads", "gauge", "Threads", stat[STAT_THREADS]);
        write_one(out, "process_start_time_seconds", "gauge", "Start, seconds since the epoch",
                  read_boot_time() + stat[STAT_START] / ticks);
    }
    write_one(out, "process_open_fds", "gauge", "Open file descriptors", count_open_fds());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        write_one(out, "process_max_fds", "gauge", "Most file descriptors allowed",
                  (double)limit.rlim_cur);
}
