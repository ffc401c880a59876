/* What is told about weights: condition Weighted of bindings and of their class. */
#include "reconcilers/pipeline/scope.h"

#include "reconcilers/engine/conditions.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <string.h>

enum { FOREIGN_WORDS_BYTES = 200 };

/* What is no controller's answer, nor a failure. */
static const struct weights_word words[] = {
    {"False", "RouteKindMissing",
     "the cluster serves no HTTPRoute of gateway.networking.k8s.io/v1: the Service spreads evenly"},
    {"False", "TooManyPods",
     "more pods than a rule of an HTTPRoute has room for (16): it leads to the Service, evenly"},
    {"False", "RouteGoing",
     "the HTTPRoute is being deleted, and somebody's finalizer holds it: until it is gone it leads "
     "where it did, and the binding is not reported as routed"},
    {"False", "NoWorkers", "no worker of the stage serves: the HTTPRoute leads to the Service"},
};

/* ---- what gateways and meshes answer, pure ---- */

/* From good to bad: of several answers the worst counts. */
enum answer { ACCEPTED, UNANSWERED, UNRESOLVED, REFUSED };

static const struct {
    const char *status, *reason, *text;
} answers[] = {
    [ACCEPTED] = {"True", "Accepted", "requests are divided by the shares"},
    [UNANSWERED] = {"Unknown", "Unanswered",
                    "nobody has said what becomes of the HTTPRoute as it is now"},
    [UNRESOLVED] = {"False", "RefsNotResolved", "what the HTTPRoute leads to is not found"},
    [REFUSED] = {"False", "NotAccepted", "the HTTPRoute is not accepted"},
};

struct judgement {
    enum answer answer;
    const json_t *parent, *condition; /* whose, and its words; NULL = none */
};

static void worsen(struct judgement *judgement, enum answer answer, const json_t *parent,
                   const json_t *condition)
{
    if (answer > judgement->answer)
        *judgement = (struct judgement){.answer = answer, .parent = parent, .condition = condition};
}

static bool is_same_parent(const json_t *one, const json_t *other, const char *namespace)
{
    const struct {
        const char *field, *otherwise;
    } rows[] = {{"group", "gateway.networking.k8s.io"},
                {"kind", "Gateway"},
                {"name", ""},
                {"namespace", namespace},
                {"sectionName", ""}};
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++)
        if (!str_equal(json_str_or(one, rows[at].field, rows[at].otherwise),
                       json_str_or(other, rows[at].field, rows[at].otherwise)))
            return false;
    return json_int_or(one, "port", 0) == json_int_or(other, "port", 0);
}

static void judge_condition(struct judgement *judgement, const json_t *answer, const char *type,
                            int64_t generation)
{
    const json_t *condition = condition_get(answer, type);
    const json_t *parent = json_object_get(answer, "parentRef");
    bool accepted = str_equal(type, "Accepted");
    if (!condition && !accepted)
        return; /* not every implementation tells it */
    if (json_int_or(condition, "observedGeneration", generation) < generation ||
        !str_has_word("True False", json_str_or(condition, "status", "")))
        worsen(judgement, UNANSWERED, parent, NULL);
    else if (str_equal(json_str(condition, "status"), "False"))
        worsen(judgement, accepted ? REFUSED : UNRESOLVED, parent, condition);
}

static void judge_parent(struct judgement *judgement, const json_t *route, const json_t *parent)
{
    int64_t generation = json_int_or(route, "metadata.generation", 0);
    const char *namespace = json_str_or(route, "metadata.namespace", "");
    size_t at;
    json_t *answer;
    bool answered = false;
    json_array_foreach(json_at(route, "status.parents"), at, answer) {
        if (!is_same_parent(parent, json_object_get(answer, "parentRef"), namespace))
            continue;
        answered = true;
        judge_condition(judgement, answer, "Accepted", generation);
        judge_condition(judgement, answer, "ResolvedRefs", generation);
    }
    if (!answered)
        worsen(judgement, UNANSWERED, parent, NULL);
}

struct weights_word weights_answer(struct ctx *ctx, const json_t *route)
{
    struct judgement judgement = {.answer = ACCEPTED};
    size_t at;
    json_t *parent;
    json_array_foreach(json_at(route, "spec.parentRefs"), at, parent)
        judge_parent(&judgement, route, parent);
    if (at == 0)
        judgement.answer = UNANSWERED;
    const char *text = answers[judgement.answer].text;
    const char *foreign = json_str_or(judgement.condition, "message", "");
    if (judgement.parent)
        text = arena_printf(ctx->arena, "%s: %s %s", text,
                            json_str_or(judgement.parent, "kind", "Gateway"),
                            json_str_or(judgement.parent, "name", ""));
    if (judgement.condition)
        text = arena_printf(ctx->arena, "%s says %s: %.*s", text,
                            json_str_or(judgement.condition, "reason", "no reason"),
                            (int)str_fit(foreign, FOREIGN_WORDS_BYTES), foreign);
    return (struct weights_word){answers[judgement.answer].status, answers[judgement.answer].reason,
                                 text};
}

/* ---- of a binding ---- */

static struct weights_word word_of(struct ctx *ctx, struct pass *pass,
                                   const struct weighing *weighing)
{
    if (pass->failure)
        return (struct weights_word){"False", pass->failure->reason, pass->failure->message};
    for (size_t at = 0; at < ARRAY_SIZE(words); at++)
        if (str_equal(words[at].reason, weighing->reason))
            return words[at];
    return weights_answer(ctx, weights_route(ctx, pass));
}

void weights_tell(struct ctx *ctx, struct pass *pass, const struct weighing *weighing)
{
    if (!json_at(pass->root, "spec.httpRoute")) {
        condition_remove(pass->status, "Weighted");
        return;
    }
    struct weights_word word = word_of(ctx, pass, weighing);
    if (!str_equal(json_str(condition_get(pass->status, "Weighted"), "reason"), word.reason))
        metric_add(METRIC_PIPELINE_REASONS, 1, word.reason);
    condition_set(ctx, pass->status, "Weighted", word.status, word.reason,
                  json_int_or(pass->root, "metadata.generation", 0), "%s", word.message);
}

/* ---- of a class ---- */

/* One that does not run says nothing about weights. */
static int badness(const json_t *condition)
{
    const char *status = json_str_or(condition, "status", "");
    if (!condition || str_equal(json_str(condition, "reason"), "NoWorkers"))
        return 0;
    return str_equal(status, "False") ? 3 : str_equal(status, "Unknown") ? 2 : 1;
}

void weights_class_status(struct ctx *ctx, const struct workers *workers,
                          const struct bindings *bindings, json_t *status)
{
    const json_t *worst = NULL, *whose = NULL;
    for (uint32_t row = 0; workers->http_route && row < bindings->count; row++) {
        const json_t *binding = bindings->rows[row].object;
        const json_t *told = condition_get(json_object_get(binding, "status"), "Weighted");
        if (badness(told) > badness(worst) &&
            str_equal(json_str(binding, "spec.class"), workers->class.name)) {
            worst = told;
            whose = binding;
        }
    }
    if (!worst) {
        condition_remove(status, "Weighted");
        return;
    }
    bool well = str_equal(json_str(worst, "status"), "True");
    condition_set(ctx, status, "Weighted", json_str_or(worst, "status", "Unknown"),
                  json_str_or(worst, "reason", ""), workers->class.generation, "%s%s%s",
                  well ? "" : json_str_or(whose, "metadata.name", ""), well ? "" : ": ",
                  json_str_or(worst, "message", ""));
}
