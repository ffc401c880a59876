/*
 * flotillad: one program, its roles as commands. This file and the cmd_*.c beside it are the
 * composition root, the only place that sees every room of the house.
 */
#include "server/base/cleanup.h"
#include "server/base/failpoint.h"
#include "server/base/log.h"
#include "server/commands.h"
#include "server/config.h"

#include <curl/curl.h>
#include <jansson.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const struct command {
    const char *name;
    int (*run)(const struct config *config, int argc, char **argv);
    const char *doc;
} commands[] = {
    {"serve", cmd_serve, "the provider API: HTTP requests into PostgreSQL transactions"},
    {"fleet", cmd_fleet, "carries rows to the cells and their status back"},
    {"operate", cmd_operate, "the operators of one cell"},
    {"all", cmd_all, "the three roles as supervised child processes"},
    {"migrate", cmd_migrate, "brings the fleet database to this program's schema"},
    {"bootstrap-key", cmd_bootstrap_key, "makes a provider API key and prints it once"},
    {"rekey", cmd_rekey, "wraps every sealed secret with the first key of --kek-file"},
    {"audit", cmd_audit, "compares externals, claims, custom resources and rows"},
    {"do", cmd_do,
     "prints the program's own tables, a registry's objects, what becomes of pipelines"},
};

static int usage(FILE *out)
{
    fprintf(out, "flotillad %s\n\nusage: flotillad COMMAND [--option value]...\n\n",
            FLOTILLA_VERSION);
    for (size_t at = 0; at < ARRAY_SIZE(commands); at++)
        fprintf(out, "  %-14s %s\n", commands[at].name, commands[at].doc);
    fputs("\n`flotillad do config` lists every option.\n", out);
    return out == stdout ? 0 : 2;
}

/*
 * A core would hold every tenant's secrets. A limit of one byte, not of none: where cores go to a
 * program, the kernel heeds that one only; and unlike the other call it holds for our children.
 */
static void forbid_cores(void)
{
    const struct rlimit none = {1, 1};
    if (setrlimit(RLIMIT_CORE, &none) < 0) /* the hard limit is none, and we are not root */
        fputs("cores of child programs cannot be forbidden: give a hard limit of 1 (ulimit -Hc)\n",
              stderr);
#ifndef __SANITIZE_ADDRESS__ /* the leak checker attaches to its own process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

/*
 * Trees of JSON are many small pieces that die together. With fast bins each free of something
 * large, as libcurl's buffers are, gathers all of them up again: a tenth of an operator's time.
 */
static void tune_malloc(void)
{
#ifndef __SANITIZE_ADDRESS__ /* has an allocator of its own */
    mallopt(M_MXFAST, 0);
#endif
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
        return usage(argc < 2 ? stderr : stdout);
    const struct command *command = NULL;
    for (size_t at = 0; at < ARRAY_SIZE(commands); at++)
        if (strcmp(argv[1], commands[at].name) == 0)
            command = &commands[at];
    if (!command)
        return usage(stderr);

    forbid_cores();
    tune_malloc();
    struct config config;
    int rest = config_load(argc - 1, argv + 1, &config);
    if (rest < 0 || failpoint_init() < 0)
        return 2;
    log_init(command->name);
    signal(SIGPIPE, SIG_IGN);
    json_object_seed(0); /* before threads: jansson's seed is global */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return command->run(&config, argc - 1 - rest, argv + 1 + rest);
}
