/* What all targets share: memory that ends where the input ends, so that a byte too far is seen. */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes)
{
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "fuzz");
    char *text = malloc(bytes + 1);
    MUST(text);
    if (bytes)
        memcpy(text, data, bytes);
    text[bytes] = '\0';
    fuzz_one(&ctx, text, bytes);
    free(text);
    arena_free(arena);
    return 0;
}

const char *fuzz_file(const char *text, size_t bytes)
{
    static char path[64];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        MUST(fd >= 0 && fchmod(fd, 0600) == 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    MUST(ftruncate(fd, 0) == 0 && pwrite(fd, text, bytes, 0) == (ssize_t)bytes);
    return path;
}
