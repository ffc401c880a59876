/*
 * Sets of fields, in the form in which metadata.managedFields keeps them (FieldsV1): a tree of
 * "f:name", "k:{keys}" and "v:value"; a node without children, or with ".", is a member itself.
 * All trees are owned by the arena; the operations change nothing they are given, but for `into`.
 */
#pragma once

#include "server/dev/devcluster/shape.h"

/* What a value sets. */
json_t *fields_of(struct arena *arena, const struct shape *shape, const json_t *value);
/* What differs in `after`; what is gone from it is put into `removed`. */
json_t *fields_changed(struct arena *arena, const struct shape *shape, const json_t *before,
                       const json_t *after, json_t *removed);
json_t *fields_union(struct arena *arena, const json_t *a, const json_t *b);
json_t *fields_intersection(struct arena *arena, const json_t *a, const json_t *b);
json_t *fields_difference(struct arena *arena, const json_t *a, const json_t *b);
/* Without the members of `gone`, and all below them. */
json_t *fields_without(struct arena *arena, const json_t *a, const json_t *gone);
/* Takes the fields out of the value. */
void fields_prune(struct arena *arena, const struct shape *shape, json_t *value,
                  const json_t *fields);
/* Calls `tell` with each member as people write it: .spec.ports[port=80,protocol="TCP"]. */
void fields_each(struct arena *arena, const json_t *fields,
                 void (*tell)(void *arg, const char *path), void *arg);
