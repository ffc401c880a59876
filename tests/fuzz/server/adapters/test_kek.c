/* The file of key-encryption keys: no message quotes what may be a key. */
#include "server/adapters/kek.h"
#include "server/base/str.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

enum { KEY_LIKE_BYTES = 40 };

/* Any stretch of the input that is as long as a key. */
static bool quotes(const char *message, const char *text)
{
    for (size_t length; *text; text += length) {
        text += strspn(text, " \n");
        length = strcspn(text, " \n");
        char word[KEY_LIKE_BYTES + 1];
        snprintf(word, sizeof word, "%.*s", (int)length, text);
        if (length >= KEY_LIKE_BYTES && strstr(message, word))
            return true;
    }
    return false;
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    struct kek_ring *ring = NULL;
    if (kek_ring_open(ctx, fuzz_file(text, bytes), &ring) < 0) {
        MUST(ctx->err.message[0] && !quotes(ctx->err.message, text));
        return;
    }
    size_t count = 0;
    for (const char *id; (id = kek_id_at(ring, count)); count++)
        MUST(*id && strlen(id) < KEK_ID_BYTES && kek_find(ring, id));
    MUST(count >= 1 && count <= KEK_MAX);
    kek_ring_free(ring);
}
