/*
 * Events on roots. An event's name is made of what it says and of the ten minutes it falls in, so
 * that nobody can send it twice: the server says that it is there. A small memory of this process
 * saves even the attempt.
 */
#include "reconcilers/engine/engine_internal.h"

#include "server/adapters/crypto.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SAME_FOR_MS = 600000,
    NOTE_BYTES = 1024,
    NAME_PART_MAX = 200,
};

__attribute__((format(printf, 2, 0))) static char *note_of(struct ctx *ctx, const char *format,
                                                           va_list args)
{
    char *note = arena_vprintf(ctx->arena, format, args);
    note[str_fit(note, NOTE_BYTES)] = '\0';
    return note;
}

static json_t *make_event(struct ctx *ctx, struct pass *pass, const char *name, const char *type,
                          const char *reason, const char *action, const char *note)
{
    char now[CLOCK_RFC3339_BYTES];
    clock_rfc3339(now, clock_wall_ms(), 6);
    const struct kube_kind_row *kind = kube_kind_row(pass->reconciler->kind);
    const char *namespace = *pass->key.namespace ? pass->key.namespace : "default";
    json_t *regarding =
        json_pack("{s:s, s:s, s:s*, s:s, s:s*, s:s*}", "apiVersion", kind->api_version, "kind",
                  kind->kind, "namespace", *pass->key.namespace ? pass->key.namespace : NULL,
                  "name", pass->key.name, "uid", json_str(pass->root, "metadata.uid"),
                  "resourceVersion", json_str(pass->root, "metadata.resourceVersion"));
    json_t *event =
        json_pack("{s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s}", "metadata", "name",
                  name, "namespace", namespace, "eventTime", now, "type", type, "reason", reason,
                  "action", action, "note", note, "regarding", regarding, "reportingController",
                  pass_manager(pass), "reportingInstance", pass->engine->options.identity);
    return arena_json(ctx->arena, event);
}

static const char *name_of(struct ctx *ctx, const struct pass *pass, const char *reason,
                           const char *note)
{
    const char *what = arena_printf(ctx->arena, "%s/%s/%s/%lld",
                                    json_str_or(pass->root, "metadata.uid", pass->key.name), reason,
                                    note, (long long)(clock_wall_ms() / SAME_FOR_MS));
    return arena_printf(ctx->arena, "%.*s.%s", NAME_PART_MAX, pass->key.name,
                        crypto_base32_of(ctx->arena, what, 16));
}

void pass_event(struct ctx *ctx, struct pass *pass, const char *type, const char *reason,
                const char *action, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *note = note_of(ctx, format, args);
    va_end(args);
    const char *name = name_of(ctx, pass, reason, note);
    if (seen_has(pass->engine->events, name))
        return;
    json_t *event = make_event(ctx, pass, name, type, reason, action, note);
    struct err before = ctx->err; /* an event tells of an error: it must not replace it */
    int rc = kube_create(ctx, CALL_KUBE_EVENT_CREATE, pass_kube(pass), KIND_EVENT, event,
                         pass_manager(pass), NULL);
    if (rc == 0 || rc == -ERR_ALREADY_EXISTS)
        seen_add(pass->engine->events, name);
    else
        log_warn(ctx, "event %s was not sent, the next pass tries again: %s", reason,
                 ctx->err.message);
    ctx->err = before;
}
