#include "server/adapters/kek.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_BYTES "abcdefghijklmnopqrstuvwxyz0123456789-"
#define BASE64_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

enum { KEY_TEXT_LENGTH = 44 };

struct kek_ring {
    size_t count;
    struct kek {
        char id[KEK_ID_BYTES];
        unsigned char key[AEAD_KEY_BYTES];
    } kek[KEK_MAX];
};

/* Where the parser is, for messages. */
struct place {
    const char *path;
    int line;
};

static int refuse(struct ctx *ctx, const struct place *at, const char *why)
{
    return err_set(ctx, ERR_CONFIG, "KekFileInvalid", "%s:%d: %s", at->path, at->line, why);
}

/* ---- the file ---- */

/* As PostgreSQL judges a key file: ours and closed to all others, or root's and open to our group.
 */
static bool is_private(const struct stat *file)
{
    if (file->st_uid == 0)
        return (file->st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) == 0;
    return file->st_uid == geteuid() && (file->st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

static int check_file(struct ctx *ctx, const char *path, FILE *file)
{
    struct stat state;
    if (fstat(fileno(file), &state) < 0)
        return err_set(ctx, ERR_CONFIG, "KekFileInvalid", "%s: %s", path, strerror(errno));
    if (!S_ISREG(state.st_mode))
        return err_set(ctx, ERR_CONFIG, "KekFileInvalid", "%s: is no regular file", path);
    if (!is_private(&state))
        return err_set(
            ctx, ERR_CONFIG, "KekFileInvalid",
            "%s: mode %04o, owner %u: must be this user's own with mode 0600 or less, or "
            "root's with 0640 or less",
            path, (unsigned)state.st_mode & 07777, (unsigned)state.st_uid);
    return 0;
}

/* Unbuffered: a stream's buffer could not be wiped. */
static int read_text(struct ctx *ctx, const char *path, char text[KEK_FILE_MAX_BYTES + 1])
{
    if (!*path)
        return err_set(ctx, ERR_CONFIG, "KekFileMissing",
                       "--kek-file is needed: the file of the keys that seal secrets");
    _cleanup_file_ FILE *file = fopen(path, "re");
    if (!file)
        return err_set(ctx, ERR_CONFIG, "KekFileMissing", "%s: %s", path, strerror(errno));
    setvbuf(file, NULL, _IONBF, 0);
    TRY(check_file(ctx, path, file));
    size_t bytes = fread(text, 1, KEK_FILE_MAX_BYTES + 1, file);
    if (ferror(file))
        return err_set(ctx, ERR_CONFIG, "KekFileInvalid", "%s: cannot be read", path);
    if (bytes > KEK_FILE_MAX_BYTES)
        return err_set(ctx, ERR_CONFIG, "KekFileInvalid", "%s: larger than %d bytes", path,
                       KEK_FILE_MAX_BYTES);
    if (memchr(text, '\0', bytes))
        return err_set(ctx, ERR_CONFIG, "KekFileInvalid", "%s: holds a NUL byte", path);
    text[bytes] = '\0';
    return 0;
}

/* ---- a line ---- */

static int read_key(struct ctx *ctx, const struct place *at, const char *text, struct kek *ret)
{
    size_t count = 0;
    char *bytes = str_matches(text, BASE64_BYTES, KEY_TEXT_LENGTH, KEY_TEXT_LENGTH)
                      ? crypto_unbase64(ctx->arena, text, &count)
                      : NULL;
    bool is_key = bytes && count == AEAD_KEY_BYTES;
    if (is_key)
        memcpy(ret->key, bytes, AEAD_KEY_BYTES);
    if (bytes)
        crypto_wipe(bytes, count);
    return is_key ? 0 : refuse(ctx, at, "the key is not the base64 of 32 bytes");
}

static int read_line(struct ctx *ctx, const struct place *at, char *line, struct kek_ring *ring)
{
    if (!*line || *line == '#')
        return 0;
    char *blank = strchr(line, ' ');
    if (!blank)
        return refuse(ctx, at, "is not \"<id> <key>\" with one blank between them");
    *blank = '\0';
    if (!str_matches(line, ID_BYTES, 1, KEK_ID_BYTES - 1))
        return refuse(ctx, at, "the id is not 1 to 32 characters of a-z, 0-9 and -");
    if (kek_find(ring, line))
        return refuse(ctx, at, "this id stands in the file twice");
    if (ring->count == KEK_MAX)
        return refuse(ctx, at, "more than 16 keys");
    struct kek *kek = &ring->kek[ring->count];
    TRY(read_key(ctx, at, blank + 1, kek));
    memcpy(kek->id, line, strlen(line) + 1);
    ring->count++;
    return 0;
}

static int read_lines(struct ctx *ctx, const char *path, char *text, struct kek_ring *ring)
{
    struct place at = {path, 0};
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        at.line++;
        TRY(read_line(ctx, &at, line, ring));
    }
    return ring->count > 0 ? 0 : refuse(ctx, &at, "there is no key in the file");
}

/* ---- the ring ---- */

int kek_ring_open(struct ctx *ctx, const char *path, struct kek_ring **ret)
{
    struct kek_ring *ring = calloc(1, sizeof *ring);
    if (!ring)
        abort();
    (void)mlock(ring, sizeof *ring); /* as far as the limits of this process allow */
    char text[KEK_FILE_MAX_BYTES + 1];
    int rc = read_text(ctx, path, text);
    if (rc == 0)
        rc = read_lines(ctx, path, text, ring);
    crypto_wipe(text, sizeof text);
    if (rc < 0) {
        kek_ring_free(ring);
        return rc;
    }
    *ret = ring;
    return 0;
}

void kek_ring_free(struct kek_ring *ring)
{
    if (!ring)
        return;
    crypto_wipe(ring, sizeof *ring);
    (void)munlock(ring, sizeof *ring);
    free(ring);
}

const char *kek_id_at(const struct kek_ring *ring, size_t index)
{
    return index < ring->count ? ring->kek[index].id : NULL;
}

const unsigned char *kek_find(const struct kek_ring *ring, const char *id)
{
    for (size_t at = 0; at < ring->count; at++)
        if (str_equal(ring->kek[at].id, id))
            return ring->kek[at].key;
    return NULL;
}
