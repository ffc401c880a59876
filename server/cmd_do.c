/* flotillad do TABLE: prints the program's own tables. Docs and tests read this output. */
#include "server/base/cleanup.h"
#include "server/base/embed.h"
#include "server/base/err.h"
#include "server/base/failpoint.h"
#include "server/base/log.h"
#include "server/commands.h"
#include "server/config.h"

#include <stdio.h>
#include <string.h>

static void print_errors(void)
{
    static const char *const retries[] = {"never", "backoff", "now", "event"};
    for (int code = 1; code < ERR_MAX; code++) {
        const struct err_row *row = err_row(code);
        printf("| %s | %d | %s | %s | %s |\n", row->reason, row->http, retries[row->retry],
               log_level_name((enum log_level)row->level), row->doc);
    }
}

static void print_calls(void)
{
    for (int call = CALL_NONE + 1; call < CALL_MAX; call++) {
        const struct call_row *row = call_row((enum call)call);
        printf("| %s | %s | %s |\n", row->name, row->role, row->why);
    }
}

static void print_assets(void)
{
    const struct embed_file *first;
    size_t count = embed_list("", &first);
    for (size_t at = 0; at < count; at++)
        printf("%8zu %s\n", first[at].bytes, first[at].path);
}

static const struct {
    const char *name;
    void (*print)(void);
    const char *doc;
} tables[] = {
    {"errors", print_errors, "every error: reason, HTTP status, retry class, log level, meaning"},
    {"calls", print_calls, "every external call: name, role, why"},
    {"config", config_print, "every option: name, variable, default, roles, meaning"},
    {"assets", print_assets, "every embedded file and its size"},
};

int cmd_do(const struct config *config, int argc, char **argv)
{
    (void)config;
    for (size_t at = 0; argc == 1 && at < ARRAY_SIZE(tables); at++) {
        if (strcmp(argv[0], tables[at].name) == 0) {
            tables[at].print();
            return 0;
        }
    }
    for (size_t at = 0; at < ARRAY_SIZE(tables); at++)
        fprintf(stderr, "flotillad do %-8s %s\n", tables[at].name, tables[at].doc);
    return 2;
}
