/* The rights of the operator's robot: what we ask for, and whether a robot has just these. Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct ctx;

/* The JSON of a robot of this name, description and our rights, for ever. Both strings need no
 * escaping. */
char *harbor_rights_body(struct ctx *ctx, const char *name, const char *mark);
/* A robot as Harbor lists it: it is on, for ever, and has our rights and no others. */
bool harbor_rights_same(const json_t *robot);
