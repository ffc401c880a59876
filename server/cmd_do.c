/* flotillad do TABLE: prints the program's own tables. Docs and tests read this output. */
#include "reconcilers/engine/bundle.h"
#include "reconcilers/registry/registry.h"
#include "server/base/arena.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/embed.h"
#include "server/base/err.h"
#include "server/base/failpoint.h"
#include "server/base/json.h"
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

static void print_reasons(void)
{
    for (const struct err_reason *row = err_reasons; row->reason; row++)
        printf("| %s | %s | %s |\n", row->reason, err_row(row->code)->reason, row->doc);
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

/* A List, as kubectl takes it. */
static void print_objects(struct ctx *ctx, const struct bundle_plan *plan)
{
    const char *comma = "";
    printf("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[");
    for (int at = 0; at < plan->count; at++) {
        if (!plan->objects[at].desired)
            continue;
        printf("%s\n%s", comma, json_text(ctx->arena, plan->objects[at].desired));
        comma = ",";
    }
    printf("\n]}\n");
}

static int render_stack(struct ctx *ctx, char **words)
{
    const struct registry_options options = {.operator_namespace = "flotilla-system"};
    struct registry_operator *home = NULL;
    struct bundle_plan plan;
    TRY(registry_operator_new(ctx, NULL, &options, &home));
    int rc = registry_example(ctx, home, words[0], words[1], (const char *const *)&words[2], &plan);
    if (rc == 0)
        print_objects(ctx, &plan);
    registry_operator_free(home);
    return rc;
}

/* do stack VERSION SIZE [OPTION]... */
static int print_stack(char **words)
{
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "do");
    int rc = render_stack(&ctx, words);
    if (rc < 0)
        fprintf(stderr, "%s\n", ctx.err.message);
    arena_free(arena);
    return rc < 0 ? 2 : 0;
}

static const struct {
    const char *name;
    void (*print)(void);
    const char *doc;
} tables[] = {
    {"errors", print_errors, "every error: reason, HTTP status, retry class, log level, meaning"},
    {"reasons", print_reasons, "every finer word for an error: reason, the error, meaning"},
    {"calls", print_calls, "every external call: name, role, why"},
    {"config", config_print, "every option: name, variable, default, roles, meaning"},
    {"assets", print_assets, "every embedded file and its size"},
};

int cmd_do(const struct config *config, int argc, char **argv)
{
    if (argc >= 1 && strcmp(argv[0], "place") == 0)
        return cmd_place(config, argc - 1, argv + 1);
    for (size_t at = 0; argc == 1 && at < ARRAY_SIZE(tables); at++) {
        if (strcmp(argv[0], tables[at].name) == 0) {
            tables[at].print();
            return 0;
        }
    }
    if (argc >= 3 && strcmp(argv[0], "stack") == 0)
        return print_stack(argv + 1);
    fprintf(stderr,
            "flotillad do stack VERSION SIZE [OPTION]...\n"
            "                      the objects of a registry, with words for secrets; options "
            "stand in reconcilers/registry/example.yaml\n"
            "flotillad do place    what would become of pipelines, and why: --dry-run, --explain, "
            "--graph\n");
    for (size_t at = 0; at < ARRAY_SIZE(tables); at++)
        fprintf(stderr, "flotillad do %-8s %s\n", tables[at].name, tables[at].doc);
    return 2;
}
