/* What a preview says, as tables. What strangers wrote is printed without control characters: a
 * terminal obeys those. */
#include "server/place.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 10 };

/* ---- tables ---- */

struct table {
    struct ctx *ctx;
    const char *const *heads; /* NULL behind the last */
    int columns, rows;
    const char *(*cells)[COLUMNS_MAX];
};

static struct table table_new(struct ctx *ctx, const char *const *heads, size_t rows_max)
{
    struct table table = {.ctx = ctx, .heads = heads};
    while (heads[table.columns])
        table.columns++;
    table.cells = arena_alloc(ctx->arena, (rows_max + 1) * sizeof *table.cells);
    return table;
}

static const char **table_row(struct table *table)
{
    return table->cells[table->rows++];
}

/* C1 controls are two bytes: C2, and 80 to 9F. */
const char *place_plain(struct ctx *ctx, const char *text)
{
    char *copy = arena_strdup(ctx->arena, text);
    for (unsigned char *at = (unsigned char *)copy; *at; at++) {
        bool c1 = *at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
        if (c1)
            *at++ = '?';
        if (c1 || *at < ' ' || *at == 0x7f)
            *at = '?';
    }
    return copy;
}

static void print_row(const struct table *table, const char *const *cells, const int *widths)
{
    for (int at = 0; at < table->columns; at++) {
        const char *text = place_plain(table->ctx, cells[at] ? cells[at] : "");
        if (at + 1 < table->columns)
            printf("%-*s", widths[at] + 2, text);
        else
            printf("%s\n", text);
    }
}

static void table_print(const struct table *table)
{
    int widths[COLUMNS_MAX] = {0};
    for (int row = -1; row < table->rows; row++)
        for (int at = 0; at < table->columns; at++) {
            const char *text = row < 0 ? table->heads[at] : table->cells[row][at];
            int length = text ? (int)strlen(text) : 0;
            widths[at] = widths[at] > length ? widths[at] : length;
        }
    print_row(table, table->heads, widths);
    for (int row = 0; row < table->rows; row++)
        print_row(table, table->cells[row], widths);
}

static const char *number(struct ctx *ctx, const json_t *object, const char *path)
{
    return arena_printf(ctx->arena, "%" PRId64, json_int_or(object, path, 0));
}

/* ---- one pipeline ---- */

/* "blue-0@zone-a (10), green 2 to come (5)": in documents per second, and how many more there are.
 */
static const char *pods_text(struct ctx *ctx, const json_t *stage)
{
    const char *text = "";
    size_t at;
    json_t *pod;
    json_array_foreach(json_at(stage, "pods"), at, pod) {
        const char *name = json_str(pod, "name");
        if (!name)
            name = arena_printf(ctx->arena, "%s %" PRId64, json_str_or(stage, "class", ""),
                                json_int_or(pod, "ordinal", 0));
        const char *zone = json_str_or(pod, "zone", "");
        text = arena_printf(ctx->arena, "%s%s%s%s%s%s (%.15g)", text, *text ? ", " : "", name,
                            *zone ? "@" : "", zone,
                            json_bool_or(pod, "serves", false) ? "" : " to come",
                            (double)json_int_or(pod, "milliDocumentsPerSecond", 0) / 1000);
    }
    int64_t more = json_int_or(stage, "podCount", 0) - (int64_t)at;
    return more > 0 ? arena_printf(ctx->arena, "%s and %" PRId64 " more", text, more) : text;
}

static void print_stages(struct ctx *ctx, const json_t *stages)
{
    static const char *const heads[] = {"  STAGE", "CLASS",  "ASKS", "MISSING", "RESERVED",
                                        "TO COME", "REASON", "PODS", NULL};
    struct table table = table_new(ctx, heads, json_array_size(stages));
    size_t at;
    json_t *stage;
    json_array_foreach(stages, at, stage) {
        const char **cells = table_row(&table);
        cells[0] = arena_printf(ctx->arena, "  %s", json_str_or(stage, "name", ""));
        cells[1] = json_str_or(stage, "class", "");
        cells[2] = number(ctx, stage, "documentsPerSecond");
        cells[3] = number(ctx, stage, "missing");
        cells[4] = number(ctx, stage, "reserved");
        cells[5] = number(ctx, stage, "podsToCome");
        cells[6] = json_str_or(stage, "reason", "");
        cells[7] = pods_text(ctx, stage);
    }
    if (table.rows)
        table_print(&table);
}

static void print_time(const json_t *waiting, const char *path, const char *words)
{
    const char *time = json_str(waiting, path);
    if (time)
        printf("; %s %s", words, time);
}

static void print_pipeline(struct ctx *ctx, const json_t *pipeline)
{
    const json_t *status = json_object_get(pipeline, "status");
    const json_t *ready = json_find(status, "conditions", "type", "Ready");
    const json_t *waiting = json_object_get(status, "waiting");
    const char *was = json_str(pipeline, "was"), *is = json_str_or(status, "phase", "");
    printf("%s: %s%s%s, %s: %s", place_plain(ctx, json_str_or(pipeline, "name", "")),
           was && !str_equal(was, is) ? was : "", was && !str_equal(was, is) ? " -> " : "", is,
           json_str_or(ready, "reason", ""), place_plain(ctx, json_str_or(ready, "message", "")));
    print_time(waiting, "since", "waiting since");
    if (json_int_or(waiting, "attempts", 0))
        printf("; tried %" PRId64 " times", json_int_or(waiting, "attempts", 0));
    printf("\n");
    print_stages(ctx, json_object_get(status, "stages"));
    printf("\n");
}

/* ---- all of it ---- */

static void print_classes(struct ctx *ctx, const json_t *classes)
{
    static const char *const heads[] = {"CLASS", "MODE",    "POLICY", "CAPACITY", "READY", "WANTED",
                                        "MAX",   "REQUEST", "USED",   "FREE",     NULL};
    static const char *const numbers[] = {
        "capacity",    "status.readyReplicas", "status.wantedReplicas",
        "maxReplicas", "status.request",       "status.used",
        "status.free"};
    struct table table = table_new(ctx, heads, json_array_size(classes));
    size_t at;
    json_t *class;
    json_array_foreach(classes, at, class) {
        const char **cells = table_row(&table);
        cells[0] = json_str_or(class, "name", "");
        cells[1] = json_str_or(class, "mode", "");
        cells[2] = json_str_or(class, "policy", "");
        for (size_t column = 0; column < ARRAY_SIZE(numbers); column++)
            cells[3 + column] = number(ctx, class, numbers[column]);
    }
    table_print(&table);
}

void place_print(struct ctx *ctx, const json_t *told)
{
    const char *refused = json_str(told, "refused");
    size_t at;
    json_t *pipeline;
    if (refused)
        printf("The ledger is not believed (%s): all pipelines are placed anew.\n\n",
               place_plain(ctx, refused));
    json_array_foreach(json_at(told, "pipelines"), at, pipeline)
        print_pipeline(ctx, pipeline);
    print_classes(ctx, json_at(told, "classes"));
    printf("\nIn documents per second. Namespace %s: %s.\n",
           place_plain(ctx, json_str_or(told, "namespace", "")),
           json_bool_or(told, "changes", false) ? "the operator would decide this next"
                                                : "nothing differs from its ledger");
}
