/* Clean-up attributes for foreign handles: `_cleanup_json_ json_t *x = f();` drops x at scope end.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

static inline void cleanup_json_(json_t **p)
{
    json_decref(*p);
}
static inline void cleanup_file_(FILE **p)
{
    if (*p)
        fclose(*p);
}

#define _cleanup_json_ __attribute__((cleanup(cleanup_json_)))
#define _cleanup_file_ __attribute__((cleanup(cleanup_file_)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
