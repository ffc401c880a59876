/* A bearer token, fixed or from a file that somebody renews. Thread-safe. Internal to this room. */
#pragma once

#include "server/adapters/curl.h"

#include <pthread.h>
#include <stdint.h>

enum { TOKEN_REREAD_MS = 10000 };

struct token {
    pthread_mutex_t lock;
    const char *path; /* NULL = fixed */
    int64_t read_at_ms;
    char text[HTTP_BEARER_BYTES]; /* "" = none */
};

/* `text` wins over nothing, `path` over `text`, as in a kubeconfig. Both may be NULL; `path` must
 * outlive the token. */
int token_init(struct ctx *ctx, struct token *token, const char *text, const char *path);
void token_done(struct token *token);
/* As http_target.bearer. Reads the file again after TOKEN_REREAD_MS; a failure keeps the old. */
void token_write(void *token, char out[HTTP_BEARER_BYTES]);
