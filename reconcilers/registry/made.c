/*
 * What was made: a row per type in spec.made of the identity, with the claim under which it was
 * made. The status of a Registry knows it, too, but goes with the Registry; the identity outlives
 * it, so that a loss is seen also by whoever takes the identity over. It is written under the lock,
 * before the stack comes, that is before anybody can have stored something; a crash between making
 * and writing costs nothing. It is taken back only by a person who accepts the loss.
 */
#include "reconcilers/registry/scope.h"

#include "server/base/json.h"
#include "server/base/str.h"

const char *registry_made(const json_t *identity, enum backend_type type)
{
    return json_str(json_find(identity, "spec.made", "type", backend_type_names[type]), "claim");
}

int registry_note_made(struct ctx *ctx, struct pass *pass,
                       const struct registry_backend backends[BACKEND_TYPES])
{
    struct registry_scope *scope = pass->scope;
    json_t *rows = arena_json(ctx->arena, json_array()), *noted = NULL;
    bool same = true;
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        const char *claim = backends[type].made;
        same = same && str_equal(claim, registry_made(scope->identity, type));
        if (claim)
            json_array_append_new(
                rows, json_pack("{s:s, s:s}", "type", backend_type_names[type], "claim", claim));
    }
    if (same)
        return 0;
    json_t *patch = arena_json(ctx->arena, json_pack("{s:{s:O}}", "spec", "made", rows));
    TRY(pass_patch(ctx, pass, CALL_KUBE_IDENTITY_NOTE, scope->identity, NULL, patch, &noted));
    scope->identity = noted;
    return 0;
}
