/*
 * Rotation: the phase, and its table of steps.
 *
 * Where two values can be valid at a time, the new one is kept first, made valid beside the old one
 * and proved by logging in; then the pods turn to it; the old one goes when no pod is left that was
 * started with it. Where there can only be one, the stack rolls once in its own order (core,
 * registry, jobservice), and what one part says to another is refused in between.
 *
 * A step is taken at the end of a pass that did all that the kept Secret asked for before, and is
 * one write of that Secret, fenced by the version that this pass acted upon.
 */
#include "reconcilers/registry/rotation.h"

#include "server/adapters/crypto.h"
#include "server/adapters/keys.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <stdlib.h>
#include <string.h>

enum { STEP_SOON_MS = 1, KEYS_MAX = 6 };

static const char *const phase_names[ROTATION_PHASES] = {
    [ROTATION_CURRENT] = "Current", [ROTATION_GIVEN] = "Given",       [ROTATION_ADDING] = "Adding",
    [ROTATION_ROLLING] = "Rolling", [ROTATION_RETIRING] = "Retiring",
};

/* On the kept Secret: "3/Rolling". */
static const char *const annotations[CREDENTIAL_KINDS] = {
    [CREDENTIAL_DATABASE] = "rotation.flotilla.dev/database",
    [CREDENTIAL_REDIS] = "rotation.flotilla.dev/redis",
    [CREDENTIAL_S3] = "rotation.flotilla.dev/s3",
    [CREDENTIAL_REGISTRY] = "rotation.flotilla.dev/registry",
    [CREDENTIAL_INTERNAL] = "rotation.flotilla.dev/internal",
};

/* Where a kind opens something outside of the cluster; BACKEND_TYPES = nowhere. */
static const enum backend_type backends_of[CREDENTIAL_KINDS] = {
    [CREDENTIAL_DATABASE] = BACKEND_POSTGRESQL,
    [CREDENTIAL_REDIS] = BACKEND_REDIS,
    [CREDENTIAL_S3] = BACKEND_S3,
    [CREDENTIAL_REGISTRY] = BACKEND_TYPES,
    [CREDENTIAL_INTERNAL] = BACKEND_TYPES,
};

struct input {
    struct ctx *ctx;
    const struct registry_scope *scope;
    enum credential_kind kind;
    int64_t now_ms;
    struct rotation now;
    json_t *data; /* members of the patch */
};

/* ---- how far it is ---- */

const char *rotation_phase_name(enum rotation_phase phase)
{
    return phase_names[phase];
}

/* Garbage, written by somebody's hand, is as nothing. */
struct rotation rotation_of(const json_t *kept, enum credential_kind kind)
{
    const struct rotation none = {0, ROTATION_CURRENT};
    const char *text = kube_annotation(kept, annotations[kind]);
    const char *slash = text ? strchr(text, '/') : NULL;
    if (!slash)
        return none;
    for (int phase = 0; phase < ROTATION_PHASES; phase++)
        if (str_equal(phase_names[phase], slash + 1))
            return (struct rotation){strtoll(text, NULL, 10), phase};
    return none;
}

static bool is_settled(enum rotation_phase phase)
{
    return phase == ROTATION_CURRENT || phase == ROTATION_GIVEN;
}

static bool is_asked_for(const struct registry_scope *scope, enum credential_kind kind)
{
    int64_t wanted = scope->spec.credentials[kind];
    return wanted != 0 && wanted != rotation_of(scope->kept, kind).number;
}

bool rotation_is_open(const struct registry_scope *scope, enum credential_kind kind)
{
    return is_asked_for(scope, kind) || !is_settled(rotation_of(scope->kept, kind).phase);
}

const char *rotation_held_by(const struct registry_scope *scope, enum credential_kind kind)
{
    if (rotation_of(scope->kept, kind).phase != ROTATION_ADDING ||
        backends_of[kind] == BACKEND_TYPES)
        return NULL;
    return scope->backends[backends_of[kind]].unproved;
}

static json_t *note_of(int64_t number, enum rotation_phase phase)
{
    return json_sprintf("%lld/%s", (long long)number, phase_names[phase]);
}

json_t *rotation_fresh(struct ctx *ctx, const struct registry_spec *spec)
{
    json_t *notes = arena_json(ctx->arena, json_object());
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++)
        if (spec->credentials[kind] != 0)
            json_object_set_new(notes, annotations[kind],
                                note_of(spec->credentials[kind], ROTATION_CURRENT));
    return notes;
}

/* ---- new values ---- */

static char *kept_value(const struct input *in, const char *key)
{
    return registry_secret_value(in->ctx, in->scope->kept, key);
}

/* t_<identity> owns what is in the database; in its name log in, by turns, t_<identity>_a and _b.
 */
static char *next_login(const struct input *in, const json_t *values)
{
    const char *identity = in->scope->spec.identity;
    (void)values;
    char *first = postgres_turn_name(in->ctx, identity, 0);
    return str_equal(kept_value(in, "username"), first) ? postgres_turn_name(in->ctx, identity, 1)
                                                        : first;
}

/* The registry takes the last line of a user, so that the second password needs a second user. */
static char *next_line(const struct input *in, const json_t *values)
{
    static const char first[] = REGISTRY_USER ":";
    const char *line = kept_value(in, "registryHtpasswd");
    const char *password = json_str_or(values, "registryPassword", "");
    return arena_printf(in->ctx->arena, "%s:%s",
                        line && str_starts(line, first) ? REGISTRY_USER "_b" : REGISTRY_USER,
                        keys_bcrypt(in->ctx->arena, password));
}

bool rotation_changes(const json_t *kept, enum backend_type type)
{
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++)
        if (backends_of[kind] == type && !is_settled(rotation_of(kept, kind).phase))
            return true;
    return false;
}

static bool backend_opens(const struct input *in)
{
    const struct registry_backend *backend = &in->scope->backends[backends_of[in->kind]];
    return backend->external == EXTERNAL_OPEN && !backend->unproved;
}

/* The stack is as planned, and no pod is left of what it was before. */
static bool stack_rolled(const struct input *in)
{
    return in->scope->stack.ready && rotation_pods_current(in->scope, NULL, in->now_ms);
}

static bool registry_rolled(const struct input *in)
{
    return in->scope->stack.ready && rotation_pods_current(in->scope, "registry", in->now_ms);
}

/* A Redis of its own learns passwords when it starts. */
static bool redis_opens(const struct input *in)
{
    bool own = pool_is_dedicated(in->scope->backends[BACKEND_REDIS].pool);
    bool rolled = in->scope->stack.ready && rotation_pods_current(in->scope, "redis", in->now_ms);
    return backend_opens(in) && (!own || rolled);
}

/* Values that are made anew together, in this order. */
static const struct kind {
    const char *keys[KEYS_MAX];
    /* The one of them that is not made as its first value was. */
    const char *next_key;
    char *(*next)(const struct input *in, const json_t *values);
    /* By this pass: what is kept is valid, and nothing else is. NULL = there can only be one. */
    bool (*valid)(const struct input *in);
    const char *why;
} kinds[CREDENTIAL_KINDS] = {
    [CREDENTIAL_DATABASE] = {{"username", "password"},
                             "username",
                             next_login,
                             backend_opens,
                             "a role has one password, so that two roles take turns"},
    [CREDENTIAL_REDIS] = {{KEPT_REDIS_PASSWORD},
                          NULL,
                          NULL,
                          redis_opens,
                          "a user of Redis may have several passwords"},
    [CREDENTIAL_S3] = {{KEPT_S3_ACCESS, KEPT_S3_SECRET},
                       NULL,
                       NULL,
                       backend_opens,
                       "a bucket's policy lets several accounts in"},
    [CREDENTIAL_REGISTRY] = {{"registryPassword", "registryHtpasswd"},
                             "registryHtpasswd",
                             next_line,
                             registry_rolled,
                             "a password file has a line for each user"},
    [CREDENTIAL_INTERNAL] =
        {{"coreSecret", "jobserviceSecret", "registryHttpSecret", "csrfKey", "tokenKey"},
         NULL,
         NULL,
         NULL,
         "what parts of one Harbor show each other; never secretKey, with which "
         "what is stored would be lost"},
};

static json_t *new_values(const struct input *in)
{
    const struct kind *kind = &kinds[in->kind];
    json_t *values = arena_json(in->ctx->arena, json_object());
    for (const char *const *key = kind->keys; *key; key++) {
        const char *value = str_equal(*key, kind->next_key)
                                ? kind->next(in, values)
                                : registry_kept_value(in->ctx, in->scope->spec.identity, *key);
        json_object_set_new(values, *key, json_string(value));
    }
    return values;
}

/* ---- what a step changes in the Secret ---- */

static const char *other_key(const struct input *in, const char *key)
{
    return arena_printf(in->ctx->arena, "%s" KEPT_OTHER, key);
}

static json_t *encoded(const struct input *in, const char *value)
{
    return json_string(crypto_base64(in->ctx->arena, value, strlen(value)));
}

static int keep_other(const struct input *in)
{
    const char *key;
    json_t *value, *values = new_values(in);
    json_object_foreach(values, key, value)
        json_object_set_new(in->data, other_key(in, key), encoded(in, json_string_value(value)));
    return 0;
}

static int replace(const struct input *in)
{
    const char *key;
    json_t *value, *values = new_values(in);
    json_object_foreach(values, key, value)
        json_object_set_new(in->data, key, encoded(in, json_string_value(value)));
    return 0;
}

static int swap(const struct input *in)
{
    for (const char *const *key = kinds[in->kind].keys; *key; key++) {
        const char *value = kept_value(in, *key), *other = kept_value(in, other_key(in, *key));
        if (!value || !other)
            return err_set(in->ctx, ERR_REFUSED, "SecretDamaged",
                           "the kept Secret lacks %s, or the one that was to follow it", *key);
        json_object_set_new(in->data, *key, encoded(in, other));
        json_object_set_new(in->data, other_key(in, *key), encoded(in, value));
    }
    return 0;
}

static int forget_other(const struct input *in)
{
    for (const char *const *key = kinds[in->kind].keys; *key; key++)
        json_object_set_new(in->data, other_key(in, *key), json_null());
    return 0;
}

/* ---- the steps ---- */

enum way { WAY_TWO, WAY_ONE, WAY_GIVEN };

/* Whose keys a static store takes is the provider's to say. */
static enum way way_of(const struct input *in)
{
    if (in->kind == CREDENTIAL_S3 && in->scope->backends[BACKEND_S3].given)
        return WAY_GIVEN;
    return kinds[in->kind].valid ? WAY_TWO : WAY_ONE;
}

static bool asked_for(const struct input *in)
{
    return is_asked_for(in->scope, in->kind);
}

/* While nothing but the next one itself would be lost. */
static bool withdrawn(const struct input *in)
{
    return in->scope->spec.credentials[in->kind] == 0;
}

static bool always(const struct input *in)
{
    (void)in;
    return true;
}

static bool valid(const struct input *in)
{
    return kinds[in->kind].valid(in);
}

static const struct step {
    enum way way;
    enum rotation_phase from;
    bool (*may)(const struct input *in);
    int (*change)(const struct input *in); /* NULL = only the phase */
    enum rotation_phase to;
    const char *why;
} steps[] = {
    {WAY_TWO, ROTATION_CURRENT, asked_for, keep_other, ROTATION_ADDING, "kept before it is used"},
    {WAY_TWO, ROTATION_GIVEN, asked_for, keep_other, ROTATION_ADDING, "the store has turned ours"},
    {WAY_TWO, ROTATION_ADDING, withdrawn, forget_other, ROTATION_CURRENT, "nobody wants it now"},
    {WAY_TWO, ROTATION_ADDING, valid, swap, ROTATION_ROLLING, "both are valid: pods may turn"},
    {WAY_TWO, ROTATION_ROLLING, stack_rolled, forget_other, ROTATION_RETIRING,
     "no pod is left that was started with the old one"},
    {WAY_TWO, ROTATION_RETIRING, valid, NULL, ROTATION_CURRENT, "the old one opens nothing"},
    {WAY_ONE, ROTATION_CURRENT, asked_for, replace, ROTATION_ROLLING, "one rollout, in its order"},
    {WAY_ONE, ROTATION_GIVEN, asked_for, replace, ROTATION_ROLLING, "noted by hand: settled"},
    {WAY_ONE, ROTATION_ADDING, always, forget_other, ROTATION_CURRENT, "noted by hand"},
    {WAY_ONE, ROTATION_RETIRING, always, NULL, ROTATION_CURRENT, "noted by hand"},
    {WAY_ONE, ROTATION_ROLLING, stack_rolled, NULL, ROTATION_CURRENT, "all parts know the new one"},
    {WAY_GIVEN, ROTATION_CURRENT, asked_for, NULL, ROTATION_GIVEN, "said, and nothing is done"},
    {WAY_GIVEN, ROTATION_GIVEN, asked_for, NULL, ROTATION_GIVEN, "said, and nothing is done"},
    {WAY_GIVEN, ROTATION_ADDING, always, forget_other, ROTATION_GIVEN, "begun on another store"},
    {WAY_GIVEN, ROTATION_ROLLING, always, forget_other, ROTATION_GIVEN, "begun on another store"},
    {WAY_GIVEN, ROTATION_RETIRING, always, NULL, ROTATION_GIVEN, "begun on another store"},
};

static const struct step *step_of(const struct input *in)
{
    for (size_t at = 0; at < ARRAY_SIZE(steps); at++)
        if (steps[at].way == way_of(in) && steps[at].from == in->now.phase && steps[at].may(in))
            return &steps[at];
    return NULL;
}

/* What was withdrawn was never done: the same number may ask for it again. */
static int64_t number_after(const struct input *in, const struct step *step)
{
    bool begins = step->may == asked_for, ends = step->may == withdrawn;
    return begins || ends ? in->scope->spec.credentials[in->kind] : in->now.number;
}

int rotation_step(struct ctx *ctx, const struct registry_scope *scope, json_t **ret_patch)
{
    json_t *data = arena_json(ctx->arena, json_object());
    json_t *notes = arena_json(ctx->arena, json_object());
    int64_t now_ms = clock_wall_ms();
    *ret_patch = NULL;
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        const struct input in = {ctx, scope, kind, now_ms, rotation_of(scope->kept, kind), data};
        const struct step *step = step_of(&in);
        if (!step)
            continue;
        if (step->change)
            TRY(step->change(&in));
        json_object_set_new(notes, annotations[kind], note_of(number_after(&in, step), step->to));
    }
    if (json_object_size(notes) > 0)
        *ret_patch = arena_json(ctx->arena, json_pack("{s:{s:O}, s:O}", "metadata", "annotations",
                                                      notes, "data", data));
    return 0;
}

/* ---- the phase ---- */

static bool is_under_way(const struct registry_scope *scope)
{
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++)
        if (!is_settled(rotation_of(scope->kept, kind).phase))
            return true;
    return false;
}

/* What a closed registry was asked for is done when it is open again: nobody could log in. What is
 * dumped and restored must not change hands meanwhile. */
int registry_rotate(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    json_t *patch, *kept;
    if (registry_closed(scope) || hop_moves(scope) || !scope->stack_seen)
        return 0;
    if (is_under_way(scope))
        TRY(rotation_find_owners(ctx, pass));
    TRY(rotation_step(ctx, scope, &patch));
    if (!patch)
        return 0;
    TRY(pass_patch(ctx, pass, CALL_KUBE_SECRET_ROTATE, scope->kept, NULL, patch, &kept));
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++)
        if (json_object_get(json_at(patch, "metadata.annotations"), annotations[kind]))
            metric_add(METRIC_ROTATION_STEPS, 1, credential_kind_names[kind],
                       phase_names[rotation_of(kept, kind).phase]);
    scope->kept = kept;
    pass_requeue(pass, STEP_SOON_MS);
    return 0;
}

int registry_kept_still(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    json_t *live = NULL;
    TRY(kube_get(ctx, CALL_KUBE_SECRET_READ, pass_kube(pass), KIND_SECRET, home->namespace,
                 registry_secret_name(ctx, scope->spec.identity), &live));
    if (str_equal(json_str(live, "metadata.resourceVersion"),
                  json_str(scope->kept, "metadata.resourceVersion")))
        return 0;
    return err_set(ctx, ERR_CONFLICT, NULL, "the kept credentials changed while this pass ran");
}
