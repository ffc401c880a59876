/*
 * The gate's half of fuzzing: each file of a corpus, and each of its beginnings, since a stream may
 * end anywhere. (Those of a long one from a few lengths only.)
 */
#include "tests/fuzz/fuzz.h"

#include "server/base/cleanup.h"

#include <dirent.h>
#include <string.h>

enum { INPUT_MAX_BYTES = 80 << 10, BEGINNINGS_MAX = 100 };

static size_t replay(const char *folder, const char *name)
{
    static unsigned char input[INPUT_MAX_BYTES];
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    _cleanup_file_ FILE *file = fopen(path, "re");
    MUST(file);
    size_t bytes = fread(input, 1, sizeof input, file);
    MUST(!ferror(file) && feof(file));
    size_t step = bytes / BEGINNINGS_MAX + 1, runs = 1;
    for (size_t length = 0; length < bytes; length += step, runs++)
        LLVMFuzzerTestOneInput(input, length);
    LLVMFuzzerTestOneInput(input, bytes);
    return runs;
}

int main(int argc, char **argv)
{
    size_t files = 0, runs = 0;
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    for (const struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.') {
            runs += replay(argv[1], entry->d_name);
            files++;
        }
    closedir(folder);
    printf("%zu runs of %zu files\n", runs, files);
    return files ? 0 : 1;
}
