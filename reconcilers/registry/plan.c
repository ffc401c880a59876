/*
 * Plan: facts to desired objects, by the bundle of the version. Pure: the same scope gives the same
 * bytes, so that a decision can be replayed (tests/golden/reconcilers/registry). What facts cannot
 * say belongs into manifests/, sizes.yaml or versions.yaml, not here.
 */
#include "reconcilers/registry/facts.h"
#include "reconcilers/registry/room.h"

#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

/* Of "2.15" as of "2.15.2"; NULL when we know no such version. */
static const struct bundle *bundle_of(const struct registry_operator *home, const char *version)
{
    for (int at = 0; at < home->bundle_count; at++) {
        const char *minor = home->bundles[at].minor;
        size_t length = strlen(minor);
        if (strncmp(version, minor, length) == 0 &&
            (version[length] == '.' || version[length] == '\0'))
            return home->bundles[at].bundle;
    }
    return NULL;
}

/* Without it, the certificate that the spec asks for could never come. */
static int check_issuer(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    if (!scope->spec.issuer || scope->certificates || registry_closed(scope))
        return 0;
    pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* its coming wakes nobody here */
    return err_set(ctx, ERR_WAITING, "NoCertManager",
                   "exposure.tls.issuerRef is set, and this cluster serves no cert-manager.io/v1 "
                   "Certificate; install cert-manager, or give exposure.tls.secretName");
}

int registry_plan(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const struct bundle *bundle = bundle_of(home, hop_version(scope));
    scope->size = json_object_get(home->sizes, room_size(scope));
    if (!scope->size)
        return err_set(ctx, ERR_INVALID, NULL, "size '%s' is not known", room_size(scope));
    if (!bundle)
        return err_set(ctx, ERR_INVALID, NULL, "version '%s' is not known", hop_version(scope));
    TRY(check_issuer(ctx, pass));
    return bundle_render(ctx, bundle, registry_facts(ctx, home, scope), &scope->plan);
}
