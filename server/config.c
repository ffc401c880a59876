#include "server/config.h"

#include "server/base/cleanup.h"
#include "server/base/str.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum type { TYPE_STRING, TYPE_INT, TYPE_BOOL };

struct row {
    const char *name;
    enum type type;
    size_t offset;
    const char *otherwise;
    int64_t min, max;
    const char *roles, *doc;
};

static const struct row rows[] = {
#define CFG(field, name, type, otherwise, min, max, roles, doc)                                    \
    {name, TYPE_##type, offsetof(struct config, field), otherwise, min, max, roles, doc},
#include "server/config.def"
#undef CFG
};

static int assign(struct config *config, const struct row *row, const char *value,
                  const char *where)
{
    void *field = (char *)config + row->offset;
    switch (row->type) {
    case TYPE_STRING:
        *(const char **)field = value;
        return 0;
    case TYPE_INT:
        if (str_to_int(value, row->min, row->max, field))
            return 0;
        fprintf(stderr, "%s: '%s' is not a whole number from %lld to %lld\n", where, value,
                (long long)row->min, (long long)row->max);
        return -1;
    case TYPE_BOOL:
        if (strcmp(value, "on") == 0 || strcmp(value, "off") == 0) {
            *(bool *)field = strcmp(value, "on") == 0;
            return 0;
        }
        fprintf(stderr, "%s: '%s' is neither on nor off\n", where, value);
        return -1;
    }
    return -1;
}

static void environment_name(const struct row *row, char out[64])
{
    int used = snprintf(out, 64, "FLOTILLA_%s", row->name);
    for (int at = 0; at < used; at++)
        out[at] = out[at] == '-' ? '_' : (char)toupper((unsigned char)out[at]);
}

static const struct row *find(const char *name, size_t length)
{
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++)
        if (strlen(rows[at].name) == length && strncmp(rows[at].name, name, length) == 0)
            return &rows[at];
    return NULL;
}

int config_load(int argc, char **argv, struct config *ret)
{
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        char name[64];
        environment_name(&rows[at], name);
        const char *value = getenv(name);
        if (assign(ret, &rows[at], value ? value : rows[at].otherwise, name) < 0)
            return -1;
    }
    int index = 1;
    while (index < argc && str_starts(argv[index], "--")) {
        const char *name = argv[index] + 2, *equals = strchr(name, '=');
        const struct row *row = find(name, equals ? (size_t)(equals - name) : strlen(name));
        if (!row) {
            fprintf(stderr, "%s: no such option; `flotillad do config` lists them\n", argv[index]);
            return -1;
        }
        const char *value = equals ? equals + 1 : index + 1 < argc ? argv[++index] : NULL;
        if (!value) {
            fprintf(stderr, "--%s: a value is missing\n", row->name);
            return -1;
        }
        if (assign(ret, row, value, argv[index]) < 0)
            return -1;
        index++;
    }
    const char *unsafe = getenv("FLOTILLA_UNSAFE");
    if ((!ret->lease_gate || *ret->leave_out) && !str_equal(unsafe, "1")) {
        fputs("--lease-gate=off, --leave-out: allowed only with FLOTILLA_UNSAFE=1\n", stderr);
        return -1;
    }
    if (ret->lease_renew_ms >= ret->lease_deadline_ms ||
        ret->lease_deadline_ms >= ret->lease_duration_ms) {
        fputs("--lease-renew-ms < --lease-deadline-ms < --lease-duration-ms must hold\n", stderr);
        return -1;
    }
    return index;
}

void config_print(void)
{
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        char name[64];
        environment_name(&rows[at], name);
        printf("| `--%s` | `%s` | `%s` | %s | %s |\n", rows[at].name, name, rows[at].otherwise,
               rows[at].roles, rows[at].doc);
    }
}

bool config_split_listen(const char *listen, char address[64], int *ret_port)
{
    const char *colon = strrchr(listen, ':');
    int64_t port;
    if (!colon || colon == listen || (size_t)(colon - listen) >= 64 ||
        !str_to_int(colon + 1, 0, 65535, &port))
        return false;
    memcpy(address, listen, (size_t)(colon - listen));
    address[colon - listen] = '\0';
    *ret_port = (int)port;
    return true;
}
