#include "reconcilers/backends/harbor_answers.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdio.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum {
    NAME_MAX = 32,
    VERSION_MAX = 64,
    TOKEN_MAX = 16384,
    UNHEALTHY_MAX_BYTES = 256,
    CRON_MAX = 128,
    CRON_FIELDS = 6
};

/* At least as many as the tree will have, counted before it is built: what begins a list or an
 * object or goes on with one, outside of strings. */
static size_t count_values(const char *body, size_t bytes)
{
    size_t count = 1;
    bool quoted = false;
    for (size_t at = 0; at < bytes; at++) {
        if (quoted && body[at] == '\\')
            at++;
        else if (body[at] == '"')
            quoted = !quoted;
        else if (!quoted)
            count += body[at] == '{' || body[at] == '[' || body[at] == ',';
    }
    return count;
}

int harbor_parse_bounded(struct ctx *ctx, const char *body, size_t bytes, size_t values_max,
                         json_t **ret)
{
    if (count_values(body, bytes) > values_max)
        return err_set(ctx, ERR_TOO_LARGE, NULL, "an answer of Harbor has over %zu values",
                       values_max);
    if (bytes == 0) {
        *ret = arena_json(ctx->arena, json_null());
        return 0;
    }
    if (json_parse_foreign(ctx, body, bytes, HARBOR_ANSWER_MAX_BYTES, ret) < 0)
        return err_set(ctx, ERR_PROTOCOL, NULL, "an answer of Harbor is no JSON");
    return 0;
}

int harbor_parse(struct ctx *ctx, const char *body, size_t bytes, json_t **ret)
{
    return harbor_parse_bounded(ctx, body, bytes, HARBOR_VALUES_MAX, ret);
}

/* ---- health ---- */

static const char *name_of(const json_t *component)
{
    const char *name = json_str_or(component, "name", "");
    return str_matches(name, LETTERS DIGITS "-", 1, NAME_MAX) ? name : "unnamed";
}

int harbor_parse_health(struct ctx *ctx, const char *body, size_t bytes, struct harbor_serving *ret)
{
    json_t *health = NULL;
    TRY(harbor_parse(ctx, body, bytes, &health));
    const json_t *components = json_at(health, "components");
    size_t count = json_array_size(components);
    if (!json_str(health, "status") || count == 0 || count > HARBOR_COMPONENTS_MAX)
        return err_set(ctx, ERR_PROTOCOL, NULL, "what answers is no Harbor's health");
    struct str unhealthy;
    str_init(&unhealthy, UNHEALTHY_MAX_BYTES);
    size_t at;
    json_t *component;
    json_array_foreach(components, at, component)
        if (!str_equal(json_str(component, "status"), "healthy"))
            str_printf(&unhealthy, "%s%s", unhealthy.length ? ", " : "", name_of(component));
    ret->components = (int)count;
    ret->unhealthy = arena_strdup(ctx->arena, str_text(&unhealthy));
    ret->healthy = unhealthy.length == 0 && str_equal(json_str(health, "status"), "healthy");
    str_done(&unhealthy);
    return 0;
}

/* ---- token and version ---- */

static bool is_token(const char *text)
{
    int parts = 0;
    for (const char *at = text; at; parts++) {
        size_t length = strspn(at, LETTERS CAPITALS DIGITS "-_");
        if (length == 0 || (at[length] && at[length] != '.'))
            return false;
        at = at[length] ? at + length + 1 : NULL;
    }
    return parts == 3;
}

bool harbor_parse_token(struct ctx *ctx, const char *body, size_t bytes)
{
    json_t *answer = NULL;
    if (harbor_parse(ctx, body, bytes, &answer) < 0) {
        err_clear(ctx);
        return false;
    }
    const char *token = json_str(answer, "token");
    return token && strlen(token) <= TOKEN_MAX && is_token(token);
}

const char *harbor_parse_version(const json_t *info)
{
    const char *version = json_str(info, "harbor_version");
    bool is_one = version && str_matches(version, LETTERS CAPITALS DIGITS ".-+_", 1, VERSION_MAX);
    return is_one ? version : NULL;
}

/* ---- complaints ---- */

const char *harbor_parse_complaint(struct ctx *ctx, const char *body, size_t bytes)
{
    json_t *answer = NULL;
    const struct err before = ctx->err;
    if (harbor_parse(ctx, body, bytes, &answer) < 0) {
        ctx->err = before;
        return "";
    }
    const char *message = json_str_or(answer, "errors.0.message", "");
    char *line = arena_strndup(ctx->arena, message, str_fit(message, HARBOR_WHAT_BYTES));
    for (char *at = line; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
    return line;
}

/* ---- cookies ---- */

bool harbor_parse_session(const char *cookies, struct harbor_cookie *ret)
{
    static const char name[] = "sid=";
    for (const char *line = cookies; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!str_starts(line, name))
            continue;
        const char *value = line + sizeof name - 1;
        size_t length = strspn(value, LETTERS CAPITALS DIGITS "-_");
        char end = value[length];
        if (length == 0 || length >= sizeof ret->sid || (end && end != ';' && end != '\n'))
            return false;
        snprintf(ret->sid, sizeof ret->sid, "%.*s", (int)length, value);
        return true;
    }
    return false;
}

/* ---- garbage collection ---- */

/* Parameters come as JSON in a string; what cannot be read is empty. */
static const json_t *parameters_of(struct ctx *ctx, const json_t *answer)
{
    const char *text = json_str_or(answer, "job_parameters", "");
    const struct err before = ctx->err;
    json_t *parameters = NULL;
    if (harbor_parse(ctx, text, strlen(text), &parameters) < 0)
        ctx->err = before;
    return parameters;
}

bool harbor_is_cron(const char *cron)
{
    static const char letters[] = LETTERS CAPITALS DIGITS "*/,-?";
    int fields = 0;
    if (!str_starts(cron, "0 ") || strlen(cron) > CRON_MAX)
        return false;
    for (const char *at = cron;; at++, fields++) {
        size_t length = strspn(at, letters);
        at += length;
        if (length == 0 || (*at && *at != ' '))
            return false;
        if (!*at)
            return fields + 1 == CRON_FIELDS;
    }
}

void harbor_parse_gc_schedule(struct ctx *ctx, const json_t *answer, struct harbor_gc_schedule *ret)
{
    const char *cron = json_str_or(answer, "schedule.cron", "");
    *ret = (struct harbor_gc_schedule){.cron = *cron ? cron : NULL};
    ret->delete_untagged = json_bool_or(parameters_of(ctx, answer), "delete_untagged", false);
}

int harbor_parse_gc_run(struct ctx *ctx, const json_t *answer, struct harbor_gc_run *ret)
{
    static const char on[] = "Pending Running Scheduled", bad[] = "Error Stopped";
    const char *status = json_str_or(answer, "job_status", "");
    const json_t *counted = parameters_of(ctx, answer);
    int64_t id = json_int_or(answer, "id", 0);
    if (id <= 0 || !str_matches(status, LETTERS CAPITALS, 1, NAME_MAX))
        return err_set(ctx, ERR_PROTOCOL, NULL,
                       "a run of garbage collection has no number or status");
    *ret = (struct harbor_gc_run){
        .id = id,
        .status = status,
        .running = str_has_word(on, status),
        .failed = str_has_word(bad, status),
        .dry = json_bool_or(counted, "dry_run", false),
        .freed_bytes = json_int_or(counted, "freed_space", 0),
        .blobs = json_int_or(counted, "purged_blobs", 0),
        .manifests = json_int_or(counted, "purged_manifests", 0),
        .updated = json_str(answer, "update_time"),
    };
    return 0;
}
