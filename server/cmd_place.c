/*
 * flotillad do place: what the placement makes of pipelines, and why, by the operator's own code;
 * nothing is written. Exit status: 0 all that is shown is placed (--graph: it is drawn), 3 some of
 * it is not, 1 it cannot be told, 2 wrong words.
 */
#include "server/place.h"

#include "api/schema.h"
#include "reconcilers/pipeline/graph/drawing.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/commands.h"
#include "server/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_PLACED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LACKS = 3 };

static const struct word {
    const char *name;
    size_t offset;       /* in struct place_words */
    const char *takes;   /* NULL = nothing */
    const char *allowed; /* with one blank between them; NULL = anything */
    const char *doc;
} words[] = {
    {"--dry-run", offsetof(struct place_words, dry_run), NULL, NULL,
     "all pipelines of the namespace, as they would be with the files' objects"},
    {"--explain", offsetof(struct place_words, explain), "NAMESPACE/NAME", NULL,
     "one pipeline: each stage, where it runs or what it lacks, since when, until when"},
    {"--graph", offsetof(struct place_words, graph), "FORM", "dot svg",
     "the graph of the pipeline [NAMESPACE/]NAME, or of the only one that there is"},
    {"-f", offsetof(struct place_words, files), "FILE", NULL,
     "objects as kubectl get writes them, YAML up to 1 MiB, JSON up to 32 MiB a file; up to 32 "
     "times; - is standard input"},
    {"--kubeconfig", offsetof(struct place_words, kubeconfig), "FILE", NULL,
     "what is there is this cell's; objects of files stand in for it"},
    {"-n", offsetof(struct place_words, namespace), "NAMESPACE", NULL,
     "else that of the named pipeline, of the first Pipeline of the files, or default"},
    {"-o", offsetof(struct place_words, output), "FORM", "table json", "table, or json"},
};

static void help(FILE *out)
{
    fputs("usage: flotillad do place --dry-run | --explain NAMESPACE/NAME | --graph dot|svg "
          "[[NAMESPACE/]NAME]\n       with -f FILE..., --kubeconfig FILE (else "
          "FLOTILLA_KUBECONFIG), or both\n\n",
          out);
    for (size_t at = 0; at < ARRAY_SIZE(words); at++)
        fprintf(out, "  %-12s %-14s  %s\n", words[at].name, words[at].takes ? words[at].takes : "",
                words[at].doc);
    fputs("\nNothing is written. Exit status: 0 all that is shown is placed (--graph: it is "
          "drawn), 3 some of it is not,\n1 it cannot be told, 2 wrong words.\n",
          out);
}

__attribute__((format(printf, 1, 2))) static int wrong(const char *fault, ...)
{
    va_list values;
    va_start(values, fault);
    fputs("do place: ", stderr);
    vfprintf(stderr, fault, values);
    va_end(values);
    fputs("\n\n", stderr);
    help(stderr);
    return EXIT_USAGE;
}

/* ---- words ---- */

static int put_word(const struct word *word, const char *value, struct place_words *ret)
{
    const char **field = (const char **)(void *)((char *)ret + word->offset);
    if (word->allowed && !str_has_word(word->allowed, value))
        return wrong("%s: '%s' is none of: %s", word->name, value, word->allowed);
    if (field != ret->files) {
        *field = value;
        return 0;
    }
    if (ret->file_count == PLACE_FILES_MAX)
        return wrong("%s: at most 32 files", word->name);
    ret->files[ret->file_count++] = value;
    return 0;
}

static int read_words(int argc, char **argv, struct place_words *ret)
{
    for (int at = 0; at < argc; at++) {
        size_t row = 0;
        while (row < ARRAY_SIZE(words) && strcmp(words[row].name, argv[at]) != 0)
            row++;
        if (row == ARRAY_SIZE(words) && (*argv[at] == '-' || ret->name))
            return wrong("%s: no such option, or a second name", argv[at]);
        if (row == ARRAY_SIZE(words)) {
            ret->name = argv[at];
            continue;
        }
        if (words[row].takes && at + 1 == argc)
            return wrong("%s: a value is missing", argv[at]);
        int rc = put_word(&words[row], words[row].takes ? argv[++at] : "", ret);
        if (rc)
            return rc;
    }
    if (!!ret->dry_run + !!ret->explain + !!ret->graph != 1)
        return wrong("exactly one of --dry-run, --explain, --graph is wanted");
    if (ret->explain && ret->name)
        return wrong("%s: a second name", ret->name);
    if (ret->dry_run && ret->name)
        return wrong("%s: --dry-run tells of all pipelines of the namespace", ret->name);
    return 0;
}

/* "NAMESPACE/NAME" taken apart. */
static int name_pipeline(struct ctx *ctx, struct place_words *given)
{
    const char *whole = given->explain ? given->explain : given->name;
    const char *slash = whole ? strchr(whole, '/') : NULL;
    if (slash ? slash == whole || !slash[1] : given->explain != NULL)
        return wrong("'%s': NAMESPACE/NAME is wanted, as in default/orders", whole);
    if (given->namespace && !schema_is_namespace(given->namespace))
        return wrong("-n: '%s' is no name of a namespace", given->namespace);
    given->name = slash ? slash + 1 : whole;
    if (!slash)
        return 0;
    const char *namespace = arena_strndup(ctx->arena, whole, (size_t)(slash - whole));
    if (!schema_is_namespace(namespace))
        return wrong("%s: '%s' is no name of a namespace", whole, namespace);
    if (given->namespace && !str_equal(given->namespace, namespace))
        return wrong("%s: another namespace than that of -n", whole);
    given->namespace = namespace;
    return 0;
}

/* ---- what is shown ---- */

static int draw(struct ctx *ctx, const struct place_words *given, const struct preview *preview,
                const json_t *told)
{
    const json_t *pipeline;
    const char *text;
    TRY(preview_told(ctx, told, given->name, &pipeline));
    const char *name = json_str_or(pipeline, "name", "");
    TRY(drawing_of(ctx, drawing_form_of(given->graph), name,
                   json_at(preview_pipeline(preview, name), "spec"), json_at(pipeline, "status"),
                   &text));
    fputs(text, stdout);
    return EXIT_PLACED;
}

static int show(struct ctx *ctx, const struct place_words *given)
{
    struct preview preview;
    json_t *told;
    TRY(place_gather(ctx, given, &preview));
    TRY(preview_make(ctx, &preview, &told));
    if (json_array_size(json_at(told, "pipelines")) == 0)
        return err_set(ctx, ERR_NOT_FOUND, NULL, "Namespace %s has no pipeline", preview.namespace);
    if (given->graph)
        return draw(ctx, given, &preview, told);
    if (given->explain)
        TRY(preview_narrow(ctx, told, given->name));
    if (str_equal(given->output, "json"))
        printf("%s\n", json_text(ctx->arena, told));
    else
        place_print(ctx, told);
    return preview_placed(told) ? EXIT_PLACED : EXIT_LACKS;
}

int cmd_place(const struct config *config, int argc, char **argv)
{
    struct place_words given = {.kubeconfig = config->kubeconfig, .output = "table"};
    for (int at = 0; at < argc; at++)
        if (str_has_word("-h --help", argv[at])) {
            help(stdout);
            return EXIT_PLACED;
        }
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "do");
    int status = read_words(argc, argv, &given);
    if (!status)
        status = name_pipeline(&ctx, &given);
    if (!status && !given.file_count && !*given.kubeconfig)
        status = wrong("-f FILE, --kubeconfig FILE or both are wanted");
    if (!status)
        status = show(&ctx, &given);
    if (status < 0) {
        fprintf(stderr, "do place: %s\n", place_plain(&ctx, ctx.err.message));
        status = EXIT_FAILED;
    }
    arena_free(arena);
    return status;
}
