/*
 * Probe: does the registry's Harbor serve? Asked over the Service of core, under the public host's
 * name, once an interval, and sooner while it does not serve. Never a failure of the pass: what is
 * found becomes the condition Serving. At most a quarter of the workers wait for Harbors at a time:
 * many dead ones must not hold up the rest.
 */
#include "reconcilers/registry/scope.h"

#include "reconcilers/backends/gate.h"
#include "reconcilers/engine/conditions.h"
#include "reconcilers/registry/probes.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

static const char gate_name[] = "Harbors"; /* of no pool: theirs are DNS labels */

enum {
    PROBE_TIMEOUT_MS = 4000, /* health and token together */
    PROBE_SOON_MS = 1000,
    PROBE_DOUBLINGS_MAX = 6,
};

/* ---- pure ---- */

int64_t registry_probe_wait_ms(int64_t interval_ms, int failures)
{
    if (failures <= 0)
        return interval_ms;
    int doublings = failures < PROBE_DOUBLINGS_MAX ? failures - 1 : PROBE_DOUBLINGS_MAX - 1;
    int64_t wait_ms = (int64_t)PROBE_SOON_MS << doublings;
    return wait_ms < interval_ms ? wait_ms : interval_ms;
}

/* Messages hold no times and no words of libraries: equal findings must be equal bytes. */
struct registry_probe registry_probe_verdict(struct ctx *ctx, int rc, const char *address,
                                             const struct harbor_serving *serving)
{
    if (rc == -ERR_UNAVAILABLE || rc == -ERR_TIMEOUT)
        return (struct registry_probe){
            "False", "Unreachable",
            arena_printf(ctx->arena, "no answer of a whole Harbor at %s", address)};
    if (rc < 0)
        return (struct registry_probe){
            "False", "NotHarbor",
            arena_printf(ctx->arena, "what answers at %s is no Harbor", address)};
    if (!serving->healthy)
        return (struct registry_probe){
            "False", "Unhealthy",
            *serving->unhealthy
                ? arena_printf(ctx->arena, "Harbor says: not healthy: %s", serving->unhealthy)
                : "Harbor says that it is not healthy"};
    if (!serving->token)
        return (struct registry_probe){"False", "TokenRefused", serving->refusal};
    return (struct registry_probe){"True", "Serves",
                                   arena_printf(ctx->arena,
                                                "%d components are healthy, and core signs tokens",
                                                serving->components)};
}

/* ---- the phase ---- */

static int ask(struct ctx *ctx, const struct registry_operator *home,
               const struct harbor_server *server, struct harbor_serving *ret)
{
    struct harbor *harbor = NULL;
    TRY(backend_gate_enter(ctx, home->gates, gate_name));
    int64_t deadline_ms = ctx->deadline_ms, ours_ms = clock_boottime_ms() + PROBE_TIMEOUT_MS;
    if (!deadline_ms || ours_ms < deadline_ms)
        ctx->deadline_ms = ours_ms;
    int rc = harbor_open(ctx, server, &harbor);
    if (rc == 0)
        rc = harbor_serving(ctx, harbor, ret);
    harbor_close(harbor);
    ctx->deadline_ms = deadline_ms;
    backend_gate_leave(home->gates, gate_name, true); /* no breaker: Harbors fail one by one */
    return rc;
}

const char *registry_harbor_address(struct ctx *ctx, const struct registry_operator *home,
                                    const struct registry_scope *scope)
{
    return home->harbor_address
               ? home->harbor_address
               : arena_printf(ctx->arena, "%s-core.%s.svc:80", scope->name, scope->namespace);
}

/* What a probe found before, of this very wish; else it is asked at once. */
static bool is_recorded(const struct pass *pass, const struct probe_memory *memory)
{
    static const char probed[] = "Serves Unhealthy TokenRefused Unreachable NotHarbor";
    const struct registry_scope *scope = pass->scope;
    const char *reason = json_str(condition_get(pass->status, "Serving"), "reason");
    return memory->at_ms && memory->generation == scope->generation && reason &&
           str_has_word(probed, reason);
}

static void probe(struct ctx *ctx, struct pass *pass, struct probe_memory *memory)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const char *address = registry_harbor_address(ctx, home, scope);
    const struct harbor_server server = {
        .base_url = arena_printf(ctx->arena, "http://%s", scope->spec.host),
        .connect_to = address,
        .cookie = &memory->cookie};
    struct harbor_serving found = {.unhealthy = ""};
    int rc = ask(ctx, home, &server, &found);
    if (rc == -ERR_OVERLOADED) {
        err_clear(ctx);
        pass_requeue(pass, PROBE_SOON_MS);
        return;
    }
    const struct registry_probe verdict = registry_probe_verdict(ctx, rc, address, &found);
    err_clear(ctx);
    bool serves = str_equal(verdict.status, "True");
    memory->at_ms = clock_boottime_ms();
    memory->generation = scope->generation;
    memory->failures = serves ? 0 : memory->failures + 1;
    /* One lost packet is no outage: the second failure in a row counts. */
    if (serves || memory->failures > 1 || !condition_is(pass->status, "Serving", "True"))
        scope->probe = verdict;
    probes_put(home->probes, scope->uid, memory);
    pass_requeue(pass, registry_probe_wait_ms(home->probe_interval_ms, memory->failures));
}

int registry_probe(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    if (!scope->probing || registry_closed(scope) || !scope->stack_seen)
        return 0;
    if (scope->pods_ready == 0) { /* the next one that is wakes us */
        scope->probe =
            (struct registry_probe){"False", "NoPodReady", "no pod of the stack is ready"};
        return 0;
    }
    struct probe_memory memory = probes_get(home->probes, scope->uid);
    int64_t wait_ms = registry_probe_wait_ms(home->probe_interval_ms, memory.failures) -
                      (clock_boottime_ms() - memory.at_ms);
    if (is_recorded(pass, &memory) && wait_ms > 0)
        pass_requeue(pass, wait_ms);
    else
        probe(ctx, pass, &memory);
    return 0;
}
