/* kubeconfig files: what is accepted says where to go, and a refusal names the file. */
#include "reconcilers/kube/kubeconfig.h"
#include "server/base/str.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    struct kubeconfig config = {0};
    const char *path = fuzz_file(text, bytes);
    if (kubeconfig_read(ctx, path, &config) < 0) {
        MUST(strstr(ctx->err.message, path));
        return;
    }
    MUST(config.server && strncmp(config.server, "http", 4) == 0);
    MUST(config.server[strlen(config.server) - 1] != '/');
}
