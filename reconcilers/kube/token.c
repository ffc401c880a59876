/* Bearer tokens. kubelet renews service account tokens by swapping a link: read the path anew. */
#include "reconcilers/kube/token.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"

#include <string.h>

/* Leaves the old one when the file cannot be read, is empty or too long. */
static bool read_again(struct token *token)
{
    char text[HTTP_BEARER_BYTES];
    _cleanup_file_ FILE *file = fopen(token->path, "re");
    size_t length = file ? fread(text, 1, sizeof text, file) : 0;
    while (length > 0 && length < sizeof text && strchr(" \t\r\n", text[length - 1]))
        length--;
    bool good = length > 0 && length < sizeof text && !memchr(text, '\n', length);
    if (good) {
        memcpy(token->text, text, length);
        token->text[length] = '\0';
    }
    token->read_at_ms = clock_boottime_ms();
    crypto_wipe(text, sizeof text);
    return good;
}

int token_init(struct ctx *ctx, struct token *token, const char *text, const char *path)
{
    *token = (struct token){.path = path};
    pthread_mutex_init(&token->lock, NULL);
    if (path)
        return read_again(token) ? 0
                                 : err_set(ctx, ERR_CONFIG, NULL,
                                           "token file %s cannot be read or holds no token", path);
    if (text && strlen(text) >= sizeof token->text)
        return err_set(ctx, ERR_CONFIG, NULL, "the token is longer than %zu bytes",
                       sizeof token->text - 1);
    if (text)
        memcpy(token->text, text, strlen(text) + 1);
    return 0;
}

void token_done(struct token *token)
{
    pthread_mutex_destroy(&token->lock);
    crypto_wipe(token->text, sizeof token->text);
}

void token_write(void *arg, char out[HTTP_BEARER_BYTES])
{
    struct token *token = arg;
    pthread_mutex_lock(&token->lock);
    if (token->path && clock_boottime_ms() - token->read_at_ms >= TOKEN_REREAD_MS)
        read_again(token);
    memcpy(out, token->text, strlen(token->text) + 1);
    pthread_mutex_unlock(&token->lock);
}
