/* The three paths that every process answers, as text for probes and people. */
#include "server/net/health.h"

#include "server/base/str.h"
#include "server/net/metrics.h"

enum { READY_MAX_BYTES = 4096, METRICS_MAX_BYTES = 4 << 20 };

/* One line per check, so that a person sees at once which one fails. */
static void answer_ready(struct ctx *ctx, const struct health_check *checks,
                         struct response *response)
{
    _cleanup_str_ struct str text;
    str_init(&text, READY_MAX_BYTES);
    bool ready = true;
    for (const struct health_check *check = checks; check && check->name; check++) {
        bool ok = check->ok(check->arg);
        ready = ready && ok;
        str_printf(&text, "[%c] %s\n", ok ? '+' : '-', check->name);
    }
    str_add(&text, ready ? "ready\n" : "not ready\n");
    response_text(ctx, response, ready ? 200 : 503, "text/plain", str_text(&text));
}

bool health_answer(struct ctx *ctx, const struct health_check *checks,
                   const struct request *request, struct response *response)
{
    if (str_equal(request->path, "/livez")) {
        response_text(ctx, response, 200, "text/plain", "ok\n");
    } else if (str_equal(request->path, "/readyz")) {
        answer_ready(ctx, checks, response);
    } else if (str_equal(request->path, "/metrics")) {
        _cleanup_str_ struct str text;
        str_init(&text, METRICS_MAX_BYTES);
        metrics_write(&text);
        response_text(ctx, response, 200, "text/plain; version=0.0.4", str_text(&text));
    } else {
        return false;
    }
    return true;
}
